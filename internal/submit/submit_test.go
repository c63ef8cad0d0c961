package submit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
