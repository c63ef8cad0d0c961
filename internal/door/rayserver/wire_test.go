package rayserver

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/simulation"
)

var nonces = regexp.MustCompile(`[0-9a-f]{64}`)

// TestConversation holds every message to its golden bytes: lines that begin with
// "> " are what the client says.
func TestConversation(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *Config) { c.Insecure, c.Keys = true, nil })
	c := r.raw()
	var got strings.Builder
	got.WriteString(c.hear() + "\n")
	for _, line := range []string{
		`{"id":1,"verb":"hello"}`,
		`{"id":2,"verb":"submit","location":"projects","project":"house","variation":"room","view":"v1","options":["-ab","2"]}`,
		`{"id":3,"verb":"submit","location":"projects","project":"house","variation":"room","field":"desk","mkillum":true,"replace":true}`,
		`{"id":4,"verb":"submit","location":"projects","project":"house","variation":"room","view":"v1","type":"rview"}`,
		`{"id":5,"verb":"submit","location":"projects","project":"house","variation":"room","view":"v1","field":"desk"}`,
		`{"id":6,"verb":"submit","location":"projects","project":"house","variation":"room","view":"v1","type":"numeric"}`,
		`{"id":7,"verb":"list"}`,
		`{"id":8,"verb":"info","job":"room_v1"}`,
		`{"id":9,"verb":"log","job":"room_v1","offset":7}`,
		`{"id":10,"verb":"log","job":"room_v1","offset":-7}`,
		`{"id":11,"verb":"suspend","job":"room_v1"}`,
		`{"id":12,"verb":"resume","job":"room_v1"}`,
		`{"id":13,"verb":"kill","job":"room_v1"}`,
		`{"id":14,"verb":"restart","job":"room_v1"}`,
		`{"id":15,"verb":"render"}`,
		`{"id":16,"verb":"auth","name":"anna","client":"","mac":""}`,
		`{"id":0,"verb":"hello"}`,
		`{"id":17,"verb":"hello"}{"id":18}`,
		`{"id":19,"verb":"hello","shell":"rm -rf /"}`,
		`{"id":"x"}`,
		`hello`,
		``,
		`{"id":20,"verb":"watch"}`,
	} {
		c.say(line)
		got.WriteString("> " + line + "\n" + c.hear() + "\n")
	}
	r.jobs.tell <- job("room_v1")
	got.WriteString(c.hear() + "\n")
	golden(t, "conversation.txt", nonces.ReplaceAllString(got.String(), "NONCE"))
	if len(r.jobs.asked) != 3 || r.jobs.asked[1].Type != simulation.Numeric || r.jobs.asked[1].Name != "desk" || r.jobs.asked[2].Type != simulation.Preview {
		t.Errorf("asked: %+v", r.jobs.asked)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

// TestEveryFaultHasItsCode: a kind without a code would be shown as internal.
func TestEveryFaultHasItsCode(t *testing.T) {
	t.Parallel()
	for kind, want := range map[simulation.Kind]string{
		simulation.Invalid: "bad-request", simulation.NoLocation: "unknown-location", simulation.NotFound: "not-found",
		simulation.NoPermission: "no-permission", simulation.Exists: "exists", simulation.Conflict: "conflict",
		simulation.PreviewIsLocal: "preview-not-remote", simulation.Busy: "busy", simulation.NotOnThisSystem: "conflict",
	} {
		if a := fail(3, &simulation.Fault{Kind: kind, Message: "why"}); a.Code != want || a.Error != "why" || a.ID != 3 || a.OK {
			t.Errorf("%s: %+v, want %s", kind, a, want)
		}
	}
	if len(codes) != 9 {
		t.Errorf("%d kinds have codes", len(codes))
	}
	for _, err := range []error{errors.New("secret"), &simulation.Fault{Kind: "new", Message: "secret"}} {
		if a := fail(1, err); a.Code != codeInternal || strings.Contains(a.Error, "secret") {
			t.Errorf("%v: %+v", err, a)
		}
	}
}

func TestLongListsAreCutToALine(t *testing.T) {
	t.Parallel()
	a, err := serve(t, nil).dial().Do(Request{Verb: "list", Project: "many"})
	if err != nil || !a.More || len(a.Jobs) < 30 || len(a.Jobs) > 200 {
		t.Errorf("%d jobs, more: %v, %v", len(a.Jobs), a.More, err)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"id":2,"verb":"submit","options":["-ab","2"]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if r, err := decodeRequest(line); err == nil && r.ID <= 0 {
			t.Errorf("%q is taken without an id", line)
		}
	})
}
