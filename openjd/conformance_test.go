//go:build conformance

package openjd

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestConformance runs a copy of the specification's conformance tests, which the
// environment variable OPENJD_CONFORMANCE names. Templates must be accepted or
// refused as their file names say. Of jobs, the template is parsed and made into a
// job; those that may fail only when run are counted on their own.
func TestConformance(t *testing.T) {
	root := os.Getenv("OPENJD_CONFORMANCE")
	if root == "" {
		t.Fatal("set OPENJD_CONFORMANCE to the folder of the conformance tests")
	}
	folders := map[string]*conformanceResult{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		folder := filepath.ToSlash(filepath.Dir(rel))
		verdict := conformanceFile(t, path)
		if verdict == nil {
			return nil
		}
		if folders[folder] == nil {
			folders[folder] = &conformanceResult{}
		}
		folders[folder].add(filepath.Base(path), *verdict)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) == 0 {
		t.Fatalf("no conformance tests in %s", root)
	}
	var table strings.Builder
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		r := folders[folder]
		fmt.Fprintf(&table, "%-45s passed %3d  failed %2d  left to running %2d  other systems %2d\n", folder, r.passed, len(r.failed), len(r.run), r.elsewhere)
		for _, f := range r.failed {
			fmt.Fprintf(&table, "    FAILED %s\n", f)
		}
		for _, f := range r.run {
			fmt.Fprintf(&table, "    to run %s\n", f)
		}
		if len(r.failed) > 0 {
			t.Fail()
		}
	}
	t.Log("\n" + table.String())
}

type conformanceResult struct {
	passed, elsewhere int
	failed, run       []string
}

type conformanceVerdict struct {
	// accepted with the error otherwise, and what was wanted.
	err       error
	invalid   bool
	job       bool
	elsewhere bool
}

func (r *conformanceResult) add(name string, v conformanceVerdict) {
	switch {
	case v.elsewhere:
		r.elsewhere++
	case v.invalid == (v.err != nil):
		r.passed++
	case v.invalid && v.job:
		r.run = append(r.run, name)
	case v.invalid:
		r.failed = append(r.failed, name+": accepted, and must be refused")
	default:
		r.failed = append(r.failed, name+": "+v.err.Error())
	}
}

func conformanceFile(t *testing.T, path string) *conformanceVerdict {
	name := filepath.Base(path)
	if ext := filepath.Ext(name); ext != ".yaml" && ext != ".json" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v := &conformanceVerdict{invalid: strings.Contains(name, ".invalid.")}
	dir := filepath.ToSlash(filepath.Dir(path))
	switch {
	case strings.Contains(name, ".test."):
		v.job = true
		conformanceJob(t, data, v)
	case strings.Contains(dir, "env_templates"):
		_, v.err = ParseEnvironmentTemplate(data)
	case strings.Contains(dir, "job_templates"):
		_, v.err = ParseJobTemplate(data)
	default:
		return nil
	}
	return v
}

func conformanceJob(t *testing.T, data []byte, v *conformanceVerdict) {
	n, err := parseDocument(data)
	if err != nil {
		t.Fatal(err)
	}
	o := object{c: newChecker(), n: n}
	if on := o.get("runOn"); on != nil && !slices.ContainsFunc(on.items, func(i *node) bool { return i.text == "posix" }) {
		v.elsewhere = true
		return
	}
	job, err := ParseJobTemplate(writeNode(t, o.get("template")))
	if err != nil {
		v.err = err
		return
	}
	opts := Options{TemplateDir: "/srv/templates", WorkingDir: "/home/user"}
	if envs := o.get("environments"); envs != nil {
		for _, e := range envs.items {
			env, err := ParseEnvironmentTemplate(writeNode(t, e))
			if err != nil {
				v.err = err
				return
			}
			opts.Environments = append(opts.Environments, env)
		}
	}
	values := map[string]string{}
	if p := o.get("parameters"); p != nil {
		if values, v.err = ParameterValues(writeNode(t, p)); v.err != nil {
			return
		}
	}
	made, err := job.Instantiate(values, opts)
	if err != nil {
		v.err = err
		return
	}
	for _, s := range made.Steps {
		for i := range min(s.Space.Len(), 1000) {
			if _, err := s.Space.At(i); err != nil {
				v.err = err
			}
		}
	}
}

// writeNode writes a value as JSON, numbers as they stood.
func writeNode(t *testing.T, n *node) []byte {
	t.Helper()
	var write func(n *node) json.RawMessage
	write = func(n *node) json.RawMessage {
		switch n.kind {
		case kindNull:
			return json.RawMessage("null")
		case kindString:
			s, _ := json.Marshal(n.text)
			return s
		case kindList:
			items := make([]string, len(n.items))
			for i, c := range n.items {
				items[i] = string(write(c))
			}
			return json.RawMessage("[" + strings.Join(items, ",") + "]")
		case kindMap:
			items := make([]string, len(n.items))
			for i, c := range n.items {
				key, _ := json.Marshal(n.keys[i])
				items[i] = string(key) + ":" + string(write(c))
			}
			return json.RawMessage("{" + strings.Join(items, ",") + "}")
		}
		return json.RawMessage(n.text)
	}
	return write(n)
}
