package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/cli/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// bundle is a small set of settings with one of each kind.
type bundle struct {
	Name  string        `yaml:"name" help:"A text."`
	On    bool          `yaml:"on" help:"A switch."`
	Count int           `yaml:"count" help:"A number."`
	Share float64       `yaml:"share" help:"A number with a fraction."`
	Wait  time.Duration `yaml:"wait" help:"A time."`
	Room  config.Size   `yaml:"room" help:"A size."`
	IDs   []int64       `yaml:"ids" help:"A list of numbers."`
	Inner struct {
		Tags []string `yaml:"tags_kept" help:"A list."`
	} `yaml:"inner"`
	Ignored int
}

func none(string) (string, bool) { return "", false }

func env(pairs map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := pairs[k]; return v, ok }
}

// load loads settings from a document, the environment and a command line.
func load(t *testing.T, doc string, vars map[string]string, args ...string) (*bundle, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drover.yaml")
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bundle{Count: 7, Wait: time.Minute}
	flags, err := config.NewFlags(b)
	if err != nil {
		t.Fatal(err)
	}
	var cli struct {
		Settings kong.Plugins `embed:""`
	}
	cli.Settings = kong.Plugins{flags.Struct()}
	p, err := kong.New(&cli)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Parse(args); err != nil {
		t.Fatal(err)
	}
	return b, config.Load(b, path, env(vars), flags)
}

func TestLaterPlacesWin(t *testing.T) {
	t.Parallel()
	doc := "name: file\ncount: 1\nshare: 0.5\nwait: 2m\nroom: 10GiB\nids: [1, 2]\non: yes\n"
	doc = strings.Replace(doc, "on: yes", "on: true", 1) + "inner:\n  tags_kept:\n    - a\n    - b c\n"
	vars := map[string]string{"DROVER_NAME": "environment", "DROVER_WAIT": "3m", "DROVER_INNER_TAGS_KEPT": "x, y", "DROVER_SHARE": ""}
	got, err := load(t, doc, vars, "--name", "flag", "--inner-tags-kept=z", "--on=false")
	if err != nil {
		t.Fatal(err)
	}
	want := &bundle{Name: "flag", Count: 1, Share: 0.5, Wait: 3 * time.Minute, Room: 10 << 30, IDs: []int64{1, 2}}
	want.Inner.Tags = []string{"z"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNothingGivenLeavesDefaults(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{"", "# only a comment\n", "---\n", "inner:\nname:\n"} {
		got, err := load(t, doc, nil)
		if err != nil {
			t.Errorf("%q: %v", doc, err)
			continue
		}
		if d := cmp.Diff(&bundle{Count: 7, Wait: time.Minute}, got); d != "" {
			t.Errorf("%q: %s", doc, d)
		}
	}
	b := &bundle{}
	if err := config.Load(b, filepath.Join(t.TempDir(), "not there.yaml"), none, nil); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestFaultsSayWhereAndWhat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, doc string
		vars      map[string]string
		args      []string
		want      []string
	}{
		{"unknown key", "name: x\ncuont: 3\n", nil, nil, []string{"drover.yaml:2:1", "no setting cuont", "did you mean count?", "cuont: 3"}},
		{"unknown inner key", "inner:\n  tags: [a]\n", nil, nil, []string{":2:3", "no setting inner.tags"}},
		{"key twice", "name: x\nname: y\n", nil, nil, []string{"2:1"}},
		{"wrong type", "count: many\n", nil, nil, []string{":1:8", "count", `"many" is not a whole number`}},
		{"list for one value", "name: [a, b]\n", nil, nil, []string{"one value, not 2"}},
		{"map for a value", "name: {a: b}\n", nil, nil, []string{"name takes a text"}},
		{"value for a section", "inner: 3\n", nil, nil, []string{"inner holds settings of its own"}},
		{"no map at all", "- a\n- b\n", nil, nil, []string{"list of settings"}},
		{"not YAML", "name: [a\n", nil, nil, []string{"drover.yaml"}},
		{"two documents", "name: x\n---\nname: y\n", nil, nil, []string{"second document"}},
		{"bad duration", "wait: 5 minutes\n", nil, nil, []string{"5 minutes", "write it as"}},
		{"negative duration", "wait: -5m\n", nil, nil, []string{"below zero"}},
		{"bad size", "room: lots\n", nil, nil, []string{"lots", "write it as"}},
		{"all faults at once", "cuont: 3\nroom: lots\n", nil, nil, []string{"cuont", "lots"}},
		{"environment", "", map[string]string{"DROVER_COUNT": "x"}, nil, []string{"DROVER_COUNT", "whole number"}},
		{"flag", "", nil, []string{"--wait", "soon"}, []string{"--wait", "soon"}},
		{"environment and flag", "", map[string]string{"DROVER_COUNT": "x"}, []string{"--wait", "soon"}, []string{"DROVER_COUNT", "--wait"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.doc, c.vars, c.args...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error lacks %q:\n%v", w, err)
				}
			}
		})
	}
}

func TestFileOfAbsurdSizeIsRefused(t *testing.T) {
	t.Parallel()
	_, err := load(t, "name: "+strings.Repeat("x", 1<<20), nil)
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error: %v", err)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Size{
		"0": 0, "512": 512, "1KiB": 1024, "1 kb": 1000, "1.5GiB": 3 << 29, "2TB": 2e12, "10G": 10 << 30, "7B": 7,
	} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %d (error %v), want %d", text, s, err, want)
		}
		var again config.Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is written as %q, which is read as %d (%v)", text, s, again, err)
		}
	}
	for _, text := range []string{"", "B", "-1", "1e30TB", "NaN", "inf", "ten"} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %d", text, s)
		}
	}
}

// targets are the settings of all commands.
func targets() map[string]any {
	return map[string]any{"serve": config.DefaultServe(), "work": config.DefaultWork(), "rayserver": config.DefaultRayserver()}
}

// TestEverySettingHasAllItsPlaces ties flags, environment, file and help.
func TestEverySettingHasAllItsPlaces(t *testing.T) {
	t.Parallel()
	for name, target := range targets() {
		table, err := config.Table(target)
		if err != nil {
			t.Fatal(err)
		}
		if len(table) < 10 {
			t.Errorf("%s has only %d settings", name, len(table))
		}
		flags, err := config.NewFlags(target)
		if err != nil {
			t.Fatal(err)
		}
		var cli struct {
			Settings kong.Plugins `embed:""`
		}
		cli.Settings = kong.Plugins{flags.Struct()}
		p, err := kong.New(&cli)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]string{}
		for _, f := range p.Model.Flags {
			known[f.Name] = f.Help
		}
		for _, s := range table {
			if !strings.HasPrefix(known[s.Flag()], s.Help) {
				t.Errorf("%s: the flag --%s has the help %q", s.Key, s.Flag(), known[s.Flag()])
			}
			if want := "DROVER_" + strings.ToUpper(strings.NewReplacer(".", "_").Replace(s.Key)); s.Env() != want {
				t.Errorf("%s: the variable is %s, want %s", s.Key, s.Env(), want)
			}
			if !strings.HasSuffix(s.Help, ".") {
				t.Errorf("%s: the help is no sentence: %q", s.Key, s.Help)
			}
			if err := s.Set(s.Default); err != nil && s.Default != "" {
				t.Errorf("%s: its own default %q is refused: %v", s.Key, s.Default, err)
			}
		}
	}
}

// TestNoFieldIsForgotten finds fields of the settings that are none.
func TestNoFieldIsForgotten(t *testing.T) {
	t.Parallel()
	var look func(where string, typ reflect.Type)
	look = func(where string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no yaml tag", where, f.Name)
			}
			if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() != "net/netip" {
				look(where+"."+f.Name, f.Type)
			}
		}
	}
	for name, target := range targets() {
		look(name, reflect.TypeOf(target).Elem())
	}
}

func TestReferencePageIsCurrent(t *testing.T) {
	t.Parallel()
	const page = "../../../docs/configuration.md"
	var b bytes.Buffer
	if err := config.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(have), b.String()); d != "" {
		t.Errorf("run \"go test ./internal/cli/config -update\":\n%s", d)
	}
}

func FuzzLoad(f *testing.F) {
	for _, doc := range []string{
		"name: x\n", "inner: {tags_kept: [a, b]}\n", "inner:\n  tags_kept:\n  - a\n", "wait: 5m # five\n", "room: |\n  10GiB\n",
		"a: &a [x]\nb: *a\n", "<<: {name: x}\n", "? name\n: x\n", "!!str name: x\n", "name: 'it''s'\n", "---\n...\n", "{", "\t", "name: >-\n  a\n",
	} {
		f.Add(doc)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, doc string) {
		path := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		b := &bundle{}
		if err := config.Load(b, path, none, nil); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
