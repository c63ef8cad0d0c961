package session

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pieces splits text fed in parts of n bytes.
func pieces(text string, n, limit int, keep func(string) int) []string {
	var out []string
	s := &splitter{max: limit, emit: func(p piece) int {
		k := 0
		if p.more && keep != nil {
			k = keep(string(p.text))
		}
		t := string(p.text[:len(p.text)-k])
		if p.continued {
			t = "+" + t
		}
		if p.more {
			t += "…"
		}
		out = append(out, t)
		return k
	}}
	for len(text) > 0 {
		k := min(n, len(text))
		_, _ = s.Write([]byte(text[:k]))
		text = text[k:]
	}
	s.close()
	return out
}

func TestSplitter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []string
	}{
		{"lines", "a\nb\n", []string{"a", "b"}},
		{"no end", "a\nb", []string{"a", "b"}},
		{"empty lines", "\n\na\n", []string{"", "", "a"}},
		{"CRLF", "a\r\nb\r\n\r\nc\r\n", []string{"a", "b", "", "c"}},
		{"progress by CR", "10%\r20%\r\rdone\n", []string{"10%", "20%", "done"}},
		{"long line", "0123456789abcdefXYZ\nnext\n", []string{"01234567…", "+89abcdef…", "+XYZ", "next"}},
		{"exactly full", "01234567\nnext\n", []string{"01234567", "next"}},
		{"whole characters", "0123456é89\n", []string{"0123456…", "+é89"}},
		{"full, then CRLF", "01234567\r\nx\n", []string{"01234567", "x"}},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; n <= len(tt.in)+1; n++ {
				if diff := cmp.Diff(tt.want, pieces(tt.in, n, 8, nil)); diff != "" {
					t.Errorf("fed %d bytes at a time (-want +got):\n%s", n, diff)
				}
			}
		})
	}
}

func TestSplitterHoldsBack(t *testing.T) {
	t.Parallel()
	keep := func(s string) int { return unfinished(s, "KEY") }
	if diff := cmp.Diff([]string{"012345…", "+KEYab"}, pieces("012345KEYab\n", 3, 8, keep)); diff != "" {
		t.Errorf("a secret was cut (-want +got):\n%s", diff)
	}
	// To keep all would stop progress: what is kept is lost, rather than hanging.
	all := func(s string) int { return len(s) }
	if got := strings.Join(pieces(strings.Repeat("x", 17), 7, 8, all), ""); strings.Count(got, "x") != 1 {
		t.Errorf("got %q", got)
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add("a\r\nb\rc\n\nd", 3)
	f.Add(strings.Repeat("é", 50)+"\n", 1)
	f.Fuzz(func(t *testing.T, in string, n int) {
		if n < 1 || n > 64 {
			return
		}
		whole := pieces(in, len(in)+1, 16, nil)
		if diff := cmp.Diff(whole, pieces(in, n, 16, nil)); diff != "" {
			t.Fatalf("depends on how it is fed (-whole +parts):\n%s", diff)
		}
		for _, p := range whole {
			if strings.ContainsAny(p, "\r\n") {
				t.Fatalf("a piece holds a line end: %q", p)
			}
		}
	})
}

func TestRedactor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		secrets []string
		in      string
		want    string
	}{
		{"none", nil, "plain", "plain"},
		{"all occurrences, one length", []string{"abc"}, "abc-abc abcd", "********-******** ********d"},
		{"overlapping", []string{"abcd", "cdef"}, "xabcdefx", "x********x"},
		{"one in the other", []string{"abc", "abcdef"}, "abcdef abc", "******** ********"},
		{"with spaces around", []string{" pass "}, "[pass]", "[********]"},
		{"of several lines", []string{"first-line\nmiddle\n}\nlast-line"}, "say middle", "say ********"},
		{"short part alone", []string{"first-line\n}\nlast-line"}, "  }", "********"},
		{"short part in text", []string{"first-line\n}\nlast-line"}, "if x { y }", "if x { y }"},
		{"itself", []string{"aa"}, "aaa", "********"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var r redactor
			for _, s := range tt.secrets {
				if err := r.add(s); err != nil {
					t.Fatal(err)
				}
			}
			if got := r.apply(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRedactorIsBounded(t *testing.T) {
	t.Parallel()
	var r redactor
	for i := range maxSecrets {
		if err := r.add(fmt.Sprint("secret-", i)); err != nil {
			t.Fatalf("secret %d: %v", i, err)
		}
	}
	if err := r.add("one-more"); err == nil {
		t.Error("a secret beyond the bound was taken")
	}
	if err := r.add("secret-1"); err != nil {
		t.Errorf("a known secret: %v", err)
	}
}

func TestDirectives(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line string
		want directive
		err  string
	}{
		{line: "plain"},
		{line: "openjd_unknown: x"},
		{line: "see openjd_env: A=b"},
		{line: "openjd_environment: A=b"},
		{line: "openjd_progress: 12.5", want: directive{kind: directiveProgress, value: "12.5", progress: 12.5}},
		{line: "openjd_progress: 101", want: directive{kind: directiveProgress, value: "101", progress: 101}, err: "0 to 100"},
		{line: "openjd_progress: -1", want: directive{kind: directiveProgress, value: "-1", progress: -1}, err: "0 to 100"},
		{line: "openjd_progress: half", want: directive{kind: directiveProgress, value: "half"}, err: "0 to 100"},
		{line: "openjd_progress:5"},
		{line: "openjd_status: loading: assets", want: directive{kind: directiveStatus, value: "loading: assets"}},
		{line: "openjd_fail: no licence", want: directive{kind: directiveFail, value: "no licence"}},
		{line: "openjd_env: A=b=c ", want: directive{kind: directiveEnv, name: "A", value: "b=c "}},
		{line: "openjd_env: A=", want: directive{kind: directiveEnv, name: "A"}},
		{line: `openjd_env: "A=x\ny"`, want: directive{kind: directiveEnv, name: "A", value: "x\ny"}},
		{line: `openjd_env: "A=x`, want: directive{kind: directiveEnv, value: `"A=x`}, err: "JSON"},
		{line: `openjd_env: "A=\u0000"`, want: directive{kind: directiveEnv, value: `"A=\u0000"`}, err: "NUL"},
		{line: "openjd_env: A", want: directive{kind: directiveEnv, value: "A"}, err: "no ="},
		{line: "openjd_env: 1A=b", want: directive{kind: directiveEnv, value: "1A=b"}, err: "name"},
		{line: "openjd_env:A=b", want: directive{kind: directiveEnv}, err: "must begin"},
		{line: " openjd_env: A=b", want: directive{kind: directiveEnv}, err: "must begin"},
		{line: "OpenJD_Unset_Env: A", want: directive{kind: directiveUnsetEnv}, err: "must begin"},
		{line: "openjd_unset_env: A", want: directive{kind: directiveUnsetEnv, name: "A", value: "A"}},
		{line: "openjd_unset_env: A=b", want: directive{kind: directiveUnsetEnv, name: "A=b", value: "A=b"}, err: "name"},
		{line: "openjd_redacted_env: A=s3", want: directive{kind: directiveRedactedEnv, name: "A", value: "s3", secrets: []string{"s3"}}},
		{line: `openjd_redacted_env: "A=x\ny"`, want: directive{kind: directiveRedactedEnv, name: "A", value: "x\ny",
			secrets: []string{`x\ny"`, `x\ny`, "x\ny"}}},
		{line: "openjd_redacted_env: oops", want: directive{kind: directiveRedactedEnv, value: "oops", secrets: []string{"oops"}}, err: "no ="},
		{line: "openjd_redacted_env:A=s3", want: directive{kind: directiveRedactedEnv, secrets: []string{"s3"}}, err: "must begin"},
		{line: "openjd_session_runtime_loglevel: warning", want: directive{kind: directiveLogLevel, value: "warning", level: slog.LevelWarn}},
		{line: "openjd_session_runtime_loglevel: LOUD", want: directive{kind: directiveLogLevel, value: "LOUD"}, err: "DEBUG"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			got, err := parseDirective(tt.line)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want one with %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(directive{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedactedForm(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"plain":                                   "plain",
		"openjd_redacted_env: A=s3":               "openjd_redacted_env: A=********",
		"openjd_redacted_env:A=s3":                "openjd_redacted_env:A=********",
		"openjd_redacted_env: oops":               "openjd_redacted_env: ********",
		`openjd_redacted_env: "A=x\ny"`:           "openjd_redacted_env: ********",
		"+ echo 'openjd_redacted_env: A=s3'":      "+ echo 'openjd_redacted_env: A=********",
		"OPENJD_REDACTED_ENV: A=s3":               "OPENJD_REDACTED_ENV: A=********",
		"the line openjd_redacted_env":            "the line openjd_redacted_env",
		"openjd_redacted_env_vars is a long name": "openjd_redacted_env_vars is a long name",
	}
	for in, want := range tests {
		if got := redactedForm(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzDirective(f *testing.F) {
	for _, s := range []string{"openjd_redacted_env: A=topsecret", `openjd_redacted_env: "A=topsecret"`, " openjd_redacted_env:topsecret", "openjd_env: A=b", "openjd_progress: 1e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d, err := parseDirective(line)
		if err == nil && d.kind == directiveProgress && (d.progress < 0 || d.progress > 100) {
			t.Errorf("progress %v", d.progress)
		}
		if err == nil && d.kind.setsEnvironment() && !isEnvName(d.name) {
			t.Errorf("name %q", d.name)
		}
		if strings.Contains(line, "topsecret") && d.kind == directiveRedactedEnv {
			var r redactor
			for _, s := range d.secrets {
				_ = r.add(s)
			}
			if got := r.apply(redactedForm(line)); strings.Contains(got, "topsecret") {
				t.Errorf("%q shows as %q", line, got)
			}
			if err != nil && strings.Contains(err.Error(), "topsecret") {
				t.Errorf("the error shows the secret: %v", err)
			}
		}
	})
}

func TestVariables(t *testing.T) {
	t.Parallel()
	v := newVariables([]string{"A=1", "B=2", "A=3", "bad", sessionVar + "=outer"})
	v.apply(&layer{set: map[string]string{"C": "x", "B": "y"}, unset: map[string]bool{"A": true}})
	// Unset wins over set within an environment, whichever came first.
	v.apply(&layer{set: map[string]string{"D": "z"}, unset: map[string]bool{"D": true}})
	got := v.list(sessionVar + "=me")
	want := []string{sessionVar + "=me", "B=y", "C=x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	v.apply(&layer{set: map[string]string{"A": "back"}})
	if got := v.get("A"); got != "back" {
		t.Errorf("a later environment sets A: got %q", got)
	}
}

func TestNextChunkSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		size    int
		n       int64
		elapsed time.Duration
		want    int
	}{
		{10, 10, 10 * time.Second, 10},
		{10, 10, 5 * time.Second, 20},
		{10, 10, time.Millisecond, 20},
		{10, 10, 15 * time.Second, 7},
		{10, 10, time.Hour, 5},
		{1, 1, time.Hour, 1},
		{10, 2, 2 * time.Second, 10},
		{10, 10, 0, 20},
		{10, 0, time.Second, 10},
		{1 << 30, 1, 0, 1<<31 - 1},
	}
	for _, tt := range tests {
		if got := nextChunkSize(tt.size, tt.n, tt.elapsed, 10*time.Second); got != tt.want {
			t.Errorf("size %d, %d values in %v: got %d, want %d", tt.size, tt.n, tt.elapsed, got, tt.want)
		}
	}
}

func TestEventsDropAndSaySo(t *testing.T) {
	t.Parallel()
	gate, taken := make(chan struct{}), make(chan struct{})
	var got []string
	first := true
	e := newEvents(func(l Line) {
		if first {
			first = false
			close(taken)
			<-gate
		}
		got = append(got, l.Text)
	}, false)
	e.line(Line{Text: "first"})
	<-taken
	// The receiver hangs; all of this must return at once.
	for range maxQueuedItems + 10 {
		e.line(Line{Text: "more"})
	}
	close(gate)
	e.flush(nil)
	e.line(Line{Text: "last"})
	e.close()
	<-e.done
	if len(got) != 1+maxQueuedItems+2 {
		t.Fatalf("got %d lines", len(got))
	}
	if note := got[len(got)-2]; !strings.HasPrefix(note, "10 lines of output were dropped") {
		t.Errorf("the gap is not told: %q", note)
	}
	if got[len(got)-1] != "last" {
		t.Errorf("last line is %q", got[len(got)-1])
	}
}

func TestEventsWait(t *testing.T) {
	t.Parallel()
	n := 0
	e := newEvents(func(Line) { n++ }, true)
	for range 2 * maxQueuedItems {
		e.line(Line{Text: "x"})
	}
	e.flush(nil)
	e.close()
	<-e.done
	if n != 2*maxQueuedItems {
		t.Errorf("got %d lines", n)
	}
}
