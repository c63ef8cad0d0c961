package arch

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "drover.farm/"

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	GoFiles    []string
	Dir        string
}

// packages lists the module's packages for one system.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps,GoFiles,Dir", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, module) {
			p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
			all = append(all, p)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func under(path string, dirs ...string) bool {
	for _, d := range dirs {
		if path == d || strings.HasPrefix(path, d+"/") {
			return true
		}
	}
	return false
}

// TestDependencyDirection holds the layout of docs/design/layout.md: the core
// knows neither wire nor store, doors do not know one another, and the worker
// knows nothing of the server.
func TestDependencyDirection(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			own, isOwn := strings.CutPrefix(imp, module)
			if isOwn && strings.HasSuffix(own, "test") {
				continue
			}
			if why := forbidden(p.ImportPath, imp, own, isOwn); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
			}
		}
		if under(p.ImportPath, "internal/agent") {
			for _, dep := range p.Deps {
				own := strings.TrimPrefix(dep, module)
				if own != dep && under(own, "internal/farm", "internal/sched", "internal/store", "internal/door", "internal/web", "internal/blob") {
					t.Errorf("%s depends on %s: the worker must not know the server", p.ImportPath, own)
				}
			}
		}
	}
}

// forbidden says why a package may not import another, "" when it may.
func forbidden(from, imp, own string, isOwn bool) string {
	switch {
	case from == "internal/sched":
		if !standard(imp) {
			return "the scheduler is pure"
		}
	case from == "internal/farm":
		if !standard(imp) && own != "internal/sched" && own != "openjd" {
			return "the core imports only sched, openjd and the standard library"
		}
	case from == "openjd", from == "openjd/expr":
		if isOwn && own != "openjd/expr" {
			return "openjd is a library of its own"
		}
	case under(from, "openjd/session"):
		if isOwn && !under(own, "openjd") {
			return "openjd is a library of its own"
		}
	case under(from, "internal/store", "internal/blob"):
		if isOwn && under(own, "internal/door", "internal/web", "internal/cli", "internal/agent", "internal/client") {
			return "stores know only the farm's ports"
		}
	case under(from, "internal/door"):
		if isOwn && under(own, "internal/store") {
			return "doors know no store"
		}
		if isOwn && under(own, "internal/door") && !under(own, firstTwo(from)) {
			return "doors do not know one another"
		}
	case under(from, "internal/renderer", "internal/frame", "internal/archive", "internal/api"):
		if isOwn && under(own, "internal/farm", "internal/store", "internal/door", "internal/web", "internal/cli", "internal/agent") {
			return "it is below the farm"
		}
	}
	return ""
}

// firstTwo is internal/door/NAME of a package below it.
func firstTwo(path string) string {
	parts := strings.SplitN(path, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}
