package submit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/openjd"
)

// tree writes files and returns their folder, with its links resolved.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const template = `specificationVersion: jobtemplate-2023-09
name: x
parameterDefinitions:
- {name: Scene, type: PATH, objectType: FILE, dataFlow: IN}
- {name: Out, type: PATH, objectType: DIRECTORY, dataFlow: OUT}
steps:
- name: s
  script: {actions: {onRun: {command: x}}}
`

func TestBundle(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"template.yaml": template, "parameter_values.json": `{"parameterValues": [{"name": "Scene", "value": "a.txt"}, {"name": "deadline:priority", "value": 7}]}`,
		"asset_references.yaml": "assetReferences: {inputs: {filenames: [tex/b.png, gone.png], directories: [more]}}", "tex/b.png": "b", "more/c": "c", "a.txt": "a",
	})
	b, err := ReadBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"Scene": "a.txt"}, b.Values); d != "" {
		t.Error(d)
	}
	tmpl, err := openjd.ParseJobTemplate([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	job, err := tmpl.Instantiate(map[string]string{"Scene": "a.txt", "Out": "out"}, openjd.Options{TemplateDir: dir, WorkingDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	in := New(dir)
	if err := Gather(in, job, b.Refs, false); err != nil {
		t.Fatal(err)
	}
	files, _, err := in.List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, in.Roots[f.Root].Path[len(dir):]+":"+f.Name)
	}
	if d := cmp.Diff([]string{":a.txt", ":more/c", ":tex/b.png"}, names); d != "" {
		t.Error(d)
	}
	if len(in.Notes) != 1 || !strings.Contains(in.Notes[0], "gone.png") {
		t.Errorf("notes: %q", in.Notes)
	}
	if err := Gather(New(dir), job, b.Refs, true); err == nil {
		t.Error("a file that is missing passes when strict")
	}
	if _, err := ReadBundle(filepath.Join(dir, "more")); err == nil {
		t.Error("a folder without a template is a bundle")
	}
}

// TestInside takes no file of the machine that was not uploaded, by whatever way
// it is named.
func TestInside(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(tree(t, map[string]string{"secret": "s"}), "secret")
	dir := tree(t, map[string]string{"mine": "m"})
	link := filepath.Join(dir, "link")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	in := New(dir)
	in.Root(dir, false)
	for _, path := range []string{secret, link, filepath.Join(dir, "..", filepath.Base(filepath.Dir(secret)), "secret")} {
		if err := in.File(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := in.Folder(filepath.Dir(secret)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder of others: %v", err)
	}
	if err := in.File(filepath.Join(dir, "mine")); err != nil {
		t.Error(err)
	}
}

// TestBundlesOfStrangersAreBounded: the page reads what was uploaded, and its
// process is the farm's.
func TestBundlesOfStrangersAreBounded(t *testing.T) {
	t.Parallel()
	aliases := "parameterValues:\n- name: N\n  value: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		aliases += fmt.Sprintf("- name: N\n  value: &a%d [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	for name, text := range map[string]string{
		"brackets":  "parameterValues:\n- name: N\n  value: " + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000),
		"some":      "parameterValues:\n- name: N\n  value: " + strings.Repeat("[", 90_000) + strings.Repeat("]", 90_000),
		"maps":      "parameterValues: " + strings.Repeat("{a: ", 50_000) + "1" + strings.Repeat("}", 50_000),
		"aliases":   aliases,
		"commas":    "parameterValues: [" + strings.Repeat(",", 900_000) + "]",
		"dashes":    "parameterValues:\n" + strings.Repeat("- ", 300_000),
		"two":       "parameterValues:\n- {name: N, value: 1, other: 2}\n",
		"no scalar": "parameterValues:\n- {name: N, value: {a: 1}}\n",
		"nothing":   "parameterValues:\n- {name: N, value: null}\n",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		dir := t.TempDir()
		for file, content := range map[string]string{"template.yaml": "x", "parameter_values.yaml": text} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ReadBundle(dir); err == nil {
			t.Errorf("%s: it was read", name)
		}
		runtime.ReadMemStats(&after)
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 400 {
			t.Errorf("%s took %d MiB", name, used)
		}
	}
}

// TestValuesOfABundleAreTextAsWritten: they are read again by their parameters'
// types.
func TestValuesOfABundleAreTextAsWritten(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"7": "7", "1.50": "1.50", "1e3": "1e3", "0x10": "16", "0o17": "15", "true": "true", "True": "true", `"7"`: "7", "yes": "yes", "2026-01-31": "2026-01-31",
		"text": "text", `""`: "", "[a, 1, true]": `["a",1,true]`, "1-10:2": "1-10:2", "| \n    a\n    b\n": "a\nb\n", "-5": "-5", "12345678901234567890": "12345678901234567890",
	} {
		dir := t.TempDir()
		for file, content := range map[string]string{"template.yaml": "x", "parameter_values.yaml": "parameterValues:\n- name: N\n  value: " + yaml} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b, err := ReadBundle(dir)
		if err != nil || b.Values["N"] != want {
			t.Errorf("%q is %q, %v; want %q", yaml, b.Values["N"], err, want)
		}
	}
}
