package cli_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"drover.farm/internal/cli"
)

var update = flag.Bool("update", false, "write the expected output in the scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"drover": func() { os.Exit(cli.Main()) }})
}

// TestScripts runs the command line as people do; testdata/script has one file
// for each subject. Beside testscript's own, scripts have the commands
//
//	exits N PROGRAM ARGS…   run it and expect the exit code N
//	ready FILE [VARIABLE]   wait until a file has content; put it in a variable
//	grab VARIABLE           put what was just printed in a variable
//	normal FILE             what was just printed, with times and places that
//	                        differ from run to run made alike, as a file
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("DROVER_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("DROVER_FILES_MIN_FREE", "0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "grab": grab, "normal": normal,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg || len(args) < 2 {
		ts.Fatalf("usage: exits N PROGRAM ARGS…")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	for end := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil && len(text) > 0 {
			if len(args) > 1 {
				ts.Setenv(args[1], trimmed(string(text)))
			}
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s did not appear: %v", args[0], err)
		}
	}
}

func grab(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], trimmed(ts.ReadFile("stdout")))
}

var spaces = regexp.MustCompile(`\s+$`)

func trimmed(s string) string { return spaces.ReplaceAllString(s, "") }

var unsteady = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)"`), `"TIME"`},
	{regexp.MustCompile(`"(seconds|seconds_mean|seconds_min|seconds_max)": [0-9.e-]+`), `"$1": 0`},
	{regexp.MustCompile(`"memory": \d+`), `"memory": 0`},
	{regexp.MustCompile(`"log": "[0-9a-f]{64}"`), `"log": "HASH"`},
}

func normal(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile("stdout")
	text = regexp.MustCompile(regexp.QuoteMeta(ts.Getenv("WORK"))).ReplaceAllString(text, "WORK")
	for _, u := range unsteady {
		text = u.pattern.ReplaceAllString(text, u.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
