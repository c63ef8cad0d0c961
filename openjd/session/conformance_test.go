//go:build conformance && unix

package session

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"drover.farm/openjd"
)

// fixture is what a .test.yaml says besides the template.
type fixture struct {
	PathMapping []struct {
		Format      openjd.PathFormat `yaml:"source_path_format"`
		Source      string            `yaml:"source_path"`
		Destination string            `yaml:"destination_path"`
	} `yaml:"pathMapping"`
	RunOn    []string `yaml:"runOn"`
	Expected struct {
		Output         []any `yaml:"output"`
		OutputPosix    []any `yaml:"output_posix"`
		Forbidden      []any `yaml:"forbidden"`
		ForbiddenPosix []any `yaml:"forbidden_posix"`
		TaskFailure    *struct {
			ExitCode *int `yaml:"exitCode"`
		} `yaml:"taskFailure"`
	} `yaml:"expected"`
}

// disagreed are tests of the suite that the specification's own text contradicts,
// each with the reason.
var disagreed = map[string]string{
	"3.4--too-many-range-items.invalid.yaml":                 "section 3.4.1.1 limits lists to 1,024 elements, not range expressions",
	"1.2.1--constraint-widening-int-range.invalid.test.yaml": "1.2.1--allowedvalues-intersection* has constraints meet, whichever template is wider",
	"1.2.1--constraint-widening-minlength.invalid.test.yaml": "as the one above",
	"1.2.1--constraint-widening.invalid.test.yaml":           "as the one above",
	"1.2.1--disjoint-parameters.test.yaml":                   "section 7.3.1 gives a template the parameters that it defines itself",
}

// tally is what became of the tests of a folder.
type tally struct {
	passed, elsewhere              int
	failed, disagrees, unsupported []string
}

// TestConformance tries every file of a copy of the specification's conformance
// tests, which the environment variable OPENJD_CONFORMANCE names: templates must
// be accepted or refused as their names say, jobs are run and their output
// compared. It prints the table of the documentation.
func TestConformance(t *testing.T) {
	root := os.Getenv("OPENJD_CONFORMANCE")
	if root == "" {
		t.Fatal("set OPENJD_CONFORMANCE to the folder of the conformance tests")
	}
	var mu sync.Mutex
	folders := map[string]*tally{}
	t.Run("files", func(t *testing.T) {
		for _, path := range fixtures(t, root) {
			t.Run(filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				verdict := tryFixture(t, path)
				mu.Lock()
				defer mu.Unlock()
				rel, _ := filepath.Rel(root, filepath.Dir(path))
				if folders[rel] == nil {
					folders[rel] = &tally{}
				}
				folders[rel].add(filepath.Base(path), verdict)
			})
		}
	})
	if len(folders) == 0 {
		t.Fatalf("no conformance tests in %s", root)
	}
	fmt.Println("| folder | passed | failed | for other systems | |\n|---|---|---|---|---|")
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		f := folders[folder]
		fmt.Printf("| %s | %d | %d | %d | %s |\n", filepath.ToSlash(folder), f.passed,
			len(f.failed)+len(f.disagrees)+len(f.unsupported), f.elsewhere, f.why())
		for _, name := range f.failed {
			t.Errorf("%s/%s", folder, name)
		}
	}
}

func (f *tally) add(name, verdict string) {
	switch {
	case verdict == "":
		f.passed++
	case verdict == "elsewhere":
		f.elsewhere++
	case verdict == "unsupported":
		f.unsupported = append(f.unsupported, name)
	case disagreed[name] != "":
		f.disagrees = append(f.disagrees, name)
	default:
		f.failed = append(f.failed, name+": "+verdict)
	}
}

// why says what became of the tests that did not pass.
func (f *tally) why() string {
	slices.Sort(f.disagrees)
	slices.Sort(f.unsupported)
	var parts []string
	for _, name := range f.disagrees {
		parts = append(parts, "`"+name+"`: "+disagreed[name])
	}
	if len(f.unsupported) > 0 {
		parts = append(parts, "`"+strings.Join(f.unsupported, "`, `")+"`: need an extension that is not supported")
	}
	return strings.Join(parts, "; ")
}

// fixtures lists the tests below a folder.
func fixtures(t *testing.T, root string) []string {
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext != ".yaml" && ext != ".json" {
			return err
		}
		if strings.HasSuffix(path, ".test.yaml") || strings.Contains(path, "_templates") {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// tryFixture says what is wrong with how a test comes out.
func tryFixture(t *testing.T, path string) string {
	if strings.HasSuffix(path, ".test.yaml") {
		return runFixture(t, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(filepath.Dir(path), "env_templates") {
		_, err = openjd.ParseEnvironmentTemplate(data)
	} else {
		_, err = openjd.ParseJobTemplate(data)
	}
	switch invalid := strings.Contains(filepath.Base(path), ".invalid."); {
	case invalid && err == nil:
		return "accepted, and must be refused"
	case !invalid && err != nil:
		return err.Error()
	}
	return ""
}

var exitedWith = regexp.MustCompile(`exited with code: (-?\d+)`)

// runFixture runs one job and says what is wrong with the outcome.
func runFixture(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := yaml.Unmarshal(data, &f); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(f.RunOn) > 0 && !slices.Contains(f.RunOn, "posix") {
		return "elsewhere"
	}
	var out bytes.Buffer
	runErr := runDocument(t, data, f, &out)
	if runErr != nil {
		fmt.Fprintln(&out, runErr)
	}
	text := out.String()
	invalid := strings.HasSuffix(path, ".invalid.test.yaml")
	switch {
	case !invalid && runErr != nil && strings.Contains(runErr.Error(), "EXPR"):
		return "unsupported"
	case invalid && runErr == nil:
		return "succeeded, and must fail"
	case invalid:
		return ""
	}
	return f.judge(text, runErr)
}

func (f *fixture) judge(text string, runErr error) string {
	if want := f.Expected.TaskFailure; want != nil {
		if runErr == nil {
			return "succeeded, and must fail"
		}
		if want.ExitCode != nil {
			first := ""
			for _, m := range exitedWith.FindAllStringSubmatch(text, -1) {
				if m[1] != "0" && first == "" {
					first = m[1]
				}
			}
			if first != fmt.Sprint(*want.ExitCode) {
				return fmt.Sprintf("exited with %q, not %d", first, *want.ExitCode)
			}
		}
	}
	for _, entry := range slices.Concat(f.Expected.Output, f.Expected.OutputPosix) {
		if !occurs(entry, text) {
			return fmt.Sprintf("lacks %v in:\n%s", entry, text)
		}
	}
	for _, entry := range slices.Concat(f.Expected.Forbidden, f.Expected.ForbiddenPosix) {
		if occurs(entry, text) {
			return fmt.Sprintf("has the forbidden %v in:\n%s", entry, text)
		}
	}
	return ""
}

// occurs reports whether text holds an entry, or one of its anyOf.
func occurs(entry any, text string) bool {
	if m, ok := entry.(map[string]any); ok {
		list, _ := m["anyOf"].([]any)
		return slices.ContainsFunc(list, func(e any) bool { return occurs(e, text) })
	}
	return strings.Contains(text, fmt.Sprint(entry))
}

// runDocument makes the job of a fixture and runs it.
func runDocument(t *testing.T, data []byte, f fixture, out *bytes.Buffer) error {
	job, err := openjd.ParseJobTemplate(section(data, "template"))
	if err != nil {
		return err
	}
	dir := t.TempDir()
	o := openjd.Options{TemplateDir: dir, WorkingDir: dir}
	for _, doc := range items(section(data, "environments")) {
		e, err := openjd.ParseEnvironmentTemplate(doc)
		if err != nil {
			return err
		}
		o.Environments = append(o.Environments, e)
	}
	values := map[string]string{}
	if doc := section(data, "parameters"); len(bytes.TrimSpace(doc)) > 0 {
		if values, err = openjd.ParameterValues(doc); err != nil {
			return err
		}
	}
	made, err := job.Instantiate(values, o)
	if err != nil {
		return err
	}
	ro := RunOptions{Dir: t.TempDir(), Out: out, Env: append(os.Environ(), "PYTHONUTF8=1")}
	for _, r := range f.PathMapping {
		ro.Rules = append(ro.Rules, openjd.PathRule{SourceFormat: r.Format, Source: r.Source, Destination: r.Destination})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	_, err = RunJob(ctx, made, ro)
	return err
}

// section cuts the value of a key of the first level out of a document, as text,
// so that numbers and strings keep their form.
func section(data []byte, key string) []byte {
	var out bytes.Buffer
	inside := false
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			inside = true
			out.WriteString(strings.TrimLeft(rest, " "))
			continue
		}
		if inside && strings.TrimSpace(line) != "" && !strings.ContainsAny(line[:1], " -#\n") {
			break
		}
		if inside {
			out.WriteString(line)
		}
	}
	return dedent(out.Bytes())
}

// dedent takes away the indentation of the first line with text.
func dedent(data []byte) []byte {
	text := strings.TrimLeft(string(data), "\n")
	width := len(text) - len(strings.TrimLeft(text, " "))
	var out bytes.Buffer
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimPrefix(line, strings.Repeat(" ", min(width, len(line)))))
	}
	return out.Bytes()
}

// items splits a list into the documents of its items.
func items(data []byte) [][]byte {
	var out [][]byte
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "- "); ok {
			out = append(out, []byte("  "+rest))
		} else if len(out) > 0 {
			out[len(out)-1] = append(out[len(out)-1], line...)
		}
	}
	for i := range out {
		out[i] = dedent(out[i])
	}
	return out
}
