package openjd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFormatString(t *testing.T) {
	t.Parallel()
	symbols := Symbols{"Param.A": "1", "RawParam.B": "{{Param.A}}", "Task.File.x_1": "/tmp/x"}
	tests := []struct {
		in, want string
		refs     []string
	}{
		{"", "", nil},
		{"plain { text }", "plain { text }", nil},
		{"{{Param.A}}", "1", []string{"Param.A"}},
		{"a{{ Param.A }}b{{\tTask.File.x_1 }}", "a1b/tmp/x", []string{"Param.A", "Task.File.x_1"}},
		{"{{Param.A}}{{Param.A}}", "11", []string{"Param.A", "Param.A"}},
		{"{{RawParam.B}}", "{{Param.A}}", []string{"RawParam.B"}},
		{"}{{Param.A}}{", "}1{", []string{"Param.A"}},
	}
	for _, tt := range tests {
		f, err := ParseFormatString(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		got, err := f.Resolve(symbols)
		if err != nil || got != tt.want {
			t.Errorf("%q resolves to %q, %v, want %q", tt.in, got, err, tt.want)
		}
		if diff := cmp.Diff(tt.refs, f.References()); diff != "" {
			t.Errorf("%q: references (-want +got):\n%s", tt.in, diff)
		}
		if f.String() != tt.in {
			t.Errorf("%q writes itself as %q", tt.in, f.String())
		}
	}
}

func TestFormatStringRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"{{":                      "nothing closes",
		"a {{Param.A":             "nothing closes",
		"a}}":                     "nothing opens",
		"{{Param.A}}}}":           "nothing opens",
		"{{}}":                    "not a dotted name",
		"{{ }}":                   "not a dotted name",
		"{{Param.}}":              "not a dotted name",
		"{{.A}}":                  "not a dotted name",
		"{{Param..A}}":            "not a dotted name",
		"{{Param.1A}}":            "not a dotted name",
		"{{Param.A + 1}}":         "not a dotted name",
		"{{Param.{{Param.A}}}}":   "not a dotted name",
		"{{Param.É}}":             "not a dotted name",
		"{{{Param.A}}}":           "not a dotted name",
		"{{Param.A}} {{Param A}}": "not a dotted name",
	} {
		if _, err := ParseFormatString(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", in, err, want)
		}
	}
}

func TestResolveFails(t *testing.T) {
	t.Parallel()
	f, err := ParseFormatString("{{Param.A}}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Resolve(nil); err == nil || !strings.Contains(err.Error(), "no value for Param.A") {
		t.Errorf("a missing symbol gives %v", err)
	}
	f, err = ParseFormatString(strings.Repeat("{{Param.A}}", 20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Resolve(Symbols{"Param.A": strings.Repeat("x", 1<<20)}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("20 MiB of text give %v", err)
	}
}

func FuzzFormatString(f *testing.F) {
	for _, s := range []string{"", "a", "{{Param.A}}", "x{{ A.B.C }}y{{D}}", "{{", "}}", "{{{{}}}}", "{{\n}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fs, err := ParseFormatString(s)
		if err != nil {
			return
		}
		symbols := Symbols{}
		for _, name := range fs.References() {
			symbols[name] = "v"
		}
		got, err := fs.Resolve(symbols)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if len(fs.References()) == 0 && got != s {
			t.Fatalf("%q without references resolves to %q", s, got)
		}
	})
}
