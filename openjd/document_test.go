package openjd

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlainScalars holds the reading of plain scalars to the core schema of YAML
// 1.2, where YAML 1.1 and careless libraries differ.
func TestPlainScalars(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		kind kind
		text string
	}{
		{"yes", kindString, "yes"}, {"no", kindString, "no"}, {"on", kindString, "on"}, {"y", kindString, "y"},
		{"true", kindBool, "true"}, {"True", kindBool, "true"}, {"FALSE", kindBool, "false"}, {"tRue", kindString, "tRue"},
		{"null", kindNull, ""}, {"~", kindNull, ""}, {"", kindNull, ""}, {"NULL", kindNull, ""}, {"nil", kindString, "nil"},
		{"0", kindInt, "0"}, {"-0", kindInt, "0"}, {"+12", kindInt, "12"}, {"017", kindInt, "17"}, {"0o17", kindInt, "15"},
		{"0x1F", kindInt, "31"}, {"0b11", kindString, "0b11"}, {"1_000", kindString, "1_000"}, {"1:30", kindString, "1:30"},
		{"9223372036854775808", kindInt, "9223372036854775808"},
		{"1e3", kindFloat, "1e3"}, {"1.", kindFloat, "1."}, {".5", kindFloat, ".5"}, {"-1.5E-7", kindFloat, "-1.5E-7"},
		{".inf", kindFloat, ".inf"}, {"-.INF", kindFloat, "-.INF"}, {".nan", kindFloat, ".nan"}, {"nan", kindString, "nan"},
		{"1.2.3", kindString, "1.2.3"}, {"2001-01-01", kindString, "2001-01-01"}, {"'12'", kindString, "12"}, {`"true"`, kindString, "true"},
		{"!!str 12", kindString, "12"}, {"!!int 12", kindInt, "12"}, {"!!float 12", kindFloat, "12"},
	}
	for _, tt := range tests {
		n, err := parseDocument([]byte("a: " + tt.in + "\n"))
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if got := n.items[0]; got.kind != tt.kind || got.text != tt.text {
			t.Errorf("%q: got %v %q, want %v %q", tt.in, got.kind, got.text, tt.kind, tt.text)
		}
	}
}

func TestDocumentRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, rule string }{
		{"empty", "", "is empty"},
		{"only comments", "# nothing\n", "is empty"},
		{"not UTF-8", "a: \xff", "not UTF-8"},
		{"two documents", "a: 1\n---\nb: 2\n", "more than one YAML document"},
		{"repeated key", "a: 1\nb: 2\na: 3\n", `the key "a" twice`},
		{"repeated JSON key", `{"a": 1, "a": 2}`, `the key "a" twice`},
		{"repeated key of one sense", "a: 1\n'a': 2\n", `the key "a" twice`},
		{"integer key", "1: a\n", "has an integer as a key"},
		{"list key", "? [a]\n: b\n", "has a list as a key"},
		{"foreign tag", "a: !!binary aGk=\n", "the YAML tag !!binary"},
		{"local tag", "a: !thing {}\n", "the YAML tag !thing"},
		{"wrong tag", "a: !!int x\n", "tags \"x\" as !!int"},
		{"alias in itself", "a: &x [*x]\n", "alias inside of what it stands for"},
		{"unknown alias", "a: *x\n", "unknown anchor"},
		{"syntax", "a: [1\n", "is not YAML"},
		{"text after JSON", `{"a": 1} {"b": 2}`, "is not YAML"},
		{"deep", strings.Repeat("[", 70) + strings.Repeat("]", 70), "nests deeper than 64"},
		{"deep JSON", strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70), "nests deeper than 64"},
		{"commas", strings.Repeat("a,", maxIndicators+1), "40001 commas and brackets"},
		{"lines", strings.Repeat("\r\n", maxLines+1), "30001 lines"},
		{"lines of old", strings.Repeat("\r", maxLines+1), "30001 lines"},
		{"comments", strings.Repeat("a #", maxComments+1), "10001 comments"},
		{"long", "a: " + strings.Repeat("x", maxDocument), "at most 300000 are read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseJobTemplate([]byte(tt.in))
			errs, ok := err.(Errors)
			if !ok || len(errs) != 1 {
				t.Fatalf("got %T %v, want one error", err, err)
			}
			if !strings.Contains(errs[0].Rule, tt.rule) {
				t.Errorf("rule is %q, want it to have %q", errs[0].Rule, tt.rule)
			}
			if errs[0].Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestNotationsAgree(t *testing.T) {
	t.Parallel()
	yaml := "a:\n- 1\n- 2.50\n- x\n- true\n- null\n- {b: \"\\u00e9 / \\U0001F600\"}\n"
	jsonText := "\ufeff{\"a\": [1, 2.50, \"x\", true, null, {\"b\": \"\\u00e9 \\/ \\ud83d\\ude00\"}]}"
	flow := "{a: [1, 2.50, x, true, null, {b: 'é / 😀'}]}"
	want := ""
	for _, in := range []string{yaml, jsonText, flow} {
		n, err := parseDocument([]byte(in))
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		got := describe(n)
		if want == "" {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func describe(n *node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %q", n.kind, n.text)
	for i, item := range n.items {
		if n.kind == kindMap {
			b.WriteString(n.keys[i] + ":")
		}
		b.WriteString("<" + describe(item) + ">")
	}
	return b.String()
}

func TestPositions(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"specificationVersion: x\nname:\n  - 1\n", "{\"specificationVersion\": \"x\",\n\"name\":\n["} {
		in = strings.TrimSuffix(in, "[")
		if strings.HasPrefix(in, "{") {
			in += "[1]}"
		}
		_, err := ParseJobTemplate([]byte(in))
		for _, e := range err.(Errors) {
			if e.Path == "name" && e.Line != 3 {
				t.Errorf("%q: error of name is at line %d, want 3", in, e.Line)
			}
		}
	}
}

// expressions is the head of a document with the extension EXPR, and more.
func expressions(more string) string {
	return "specificationVersion: jobtemplate-2023-09\nextensions: [EXPR]\nname: a\n" + more
}

// hostileDocuments are built to cost as much as they can.
func hostileDocuments() map[string]string {
	n := maxDocument - 500
	rows := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'z'; i++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*%c,", i-1), 8))
	}
	head := "specificationVersion: jobtemplate-2023-09\nname: a\n"
	return map[string]string{
		"flow list":      "[" + strings.Repeat("a,", maxIndicators-1) + "a]",
		"flow pairs":     "[" + strings.Repeat("a: b,", maxIndicators-2) + "]",
		"brackets":       strings.Repeat("[", n),
		"list":           strings.Repeat("- a\n", maxLines),
		"empty list":     strings.Repeat("-\n", maxLines),
		"list of lists":  strings.Repeat("- ", n/2),
		"list of maps":   strings.Repeat("- a: {b: c}\n", n/12),
		"map":            rows("k%d: v\n")[:220_000],
		"question marks": strings.Repeat("? a\n", maxLines),
		"comments":       strings.Repeat("- a #\n", maxComments),
		"alias bomb":     bomb,
		"alias of text":  "a: &a \"" + strings.Repeat("x", n/2) + "\"\nb: [" + strings.Repeat("*a,", maxIndicators-10) + "]",
		"merge keys":     "a: &a {}\nb:\n" + strings.Repeat("  <<: *a\n", maxLines-3),
		"JSON":           `{"a":[` + strings.Repeat("[],", n/3) + "[]]}",
		"JSON keys":      "{" + rows(`"k%d":1,`) + `"a":1}`,
		"references":     head + "steps: \"" + rows("{{Param.k%d}}") + "\"",
		"parameters":     head + "parameterDefinitions:\n" + rows("- {name: k%d, type: INT}\n"),
		"steps":          head + "steps:\n" + strings.Repeat("- {x: y}\n", 25000),
		"allowed values": head + "parameterDefinitions:\n- {name: a, type: FLOAT, default: 3, allowedValues: [" + strings.Repeat("1e3,", maxIndicators-10) + "3]}\n",
		"operators":      expressions("jobEnvironments: [{name: e, variables: {A: '{{" + strings.Repeat("1+", 4900) + "1}}'}}]"),
		"groups":         expressions("jobEnvironments: [{name: e, variables: {" + rows("A%d: '{{"+strings.Repeat("(", 90)+"1"+strings.Repeat(")", 90)+"}}',") + "}}]"),
		"calls":          expressions("steps:\n- {let: [" + strings.Repeat("'a = len(range(9999))',", 2000) + "]}"),
		"texts":          expressions("steps: [{let: [" + strings.Repeat(`"a = 'x' * 9999999",`, 2000) + "]}]"),
		"patterns":       expressions("steps: [{let: [" + strings.Repeat(`"a = re_findall('x' * 9999, '(a{99}b{99}|x)*')",`, 1000) + "]}]"),
		"comprehensions": expressions("steps: [{let: [\"a = [[[c for c in range(99)] for b in range(99)] for a in range(99)]\"]}]"),
		"unions":         expressions("steps: [{let: ['a = " + strings.Repeat("(1 if Session.HasPathMappingRules else ", 90) + "2.5" + strings.Repeat(")", 90) + " + 1']}]"),
		"long integer":   "a: " + strings.Repeat("1", n),
		"combination":    head + "steps: [{parameterSpace: {combination: '" + strings.Repeat("(", n-200) + "'}}]",
	}
}

// TestHostileMemory holds all that is allocated, also what is given back at once,
// below the 64 MiB that a document may take.
func TestHostileMemory(t *testing.T) {
	for name, in := range hostileDocuments() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseJobTemplate([]byte(in))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: took %d MiB", name, used>>20)
		}
		if len(err.(Errors)) > maxErrors+1 {
			t.Errorf("%s: told %d errors", name, len(err.(Errors)))
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, in := range hostileDocuments() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseJobTemplate([]byte(in))
			}
		})
	}
}
