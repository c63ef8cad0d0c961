package simulation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"drover.farm/internal/renderer/radiance"
)

// folders are those of a project that simulations write to.
var folders = []string{"images", "numeric", "octrees", "illum", "ambfiles", "logfiles", "proc"}

// beneath reports whether a path, links resolved, lies in a folder.
func beneath(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// openProject finds a project's folder in its location; after links are resolved
// it must still lie there. The folders for results are made.
func openProject(location, project string) (string, error) {
	top, err := filepath.EvalSymlinks(location)
	if err != nil {
		return "", faultf(NotFound, "the location's folder cannot be opened on this host: %v", cause(err))
	}
	if project == "" {
		project = "."
	}
	if !filepath.IsLocal(filepath.FromSlash(project)) || strings.ContainsAny(project, "\x00\\") {
		return "", faultf(Invalid, "the project %.100q leaves its location", project)
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(top, filepath.FromSlash(project)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", faultf(NotFound, "there is no project %.100q", project)
	case err != nil:
		return "", faultf(NoPermission, "the project %.100q cannot be opened: %v", project, cause(err))
	case !beneath(top, dir):
		return "", faultf(Invalid, "the project %.100q leaves its location", project)
	}
	for _, name := range folders {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", faultf(NoPermission, "the server may not write in the project: %v", cause(err))
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil || !beneath(top, real) {
			return "", faultf(Invalid, "the folder %s of the project leaves its location", name)
		}
		if err := writable(path); err != nil {
			return "", faultf(NoPermission, "the server may not write in the folder %s of the project: %v; give it the server's group and group write permission", name, cause(err))
		}
	}
	return dir, nil
}

// cause leaves out paths of this host, which are nobody else's business.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".try-")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// checkRequest sees that what a request names is there.
func checkRequest(dir string, r Request) error {
	if r.Type == Preview {
		return faultf(PreviewIsLocal, "previews run on the machine of their user, not on a Rayserver")
	}
	what, program := "view", "rpict"
	if r.Type == Numeric {
		what, program = "measuring field", "rtrace"
	}
	if err := errors.Join(radiance.CheckName("variation", r.Variation), radiance.CheckName(what, r.Name), radiance.CheckOptions(program, r.Options)); err != nil {
		return faultf(Invalid, "%v", err)
	}
	rif, err := radiance.ReadRif(filepath.Join(dir, r.Variation+".rif"))
	if errors.Is(err, fs.ErrNotExist) {
		return faultf(NotFound, "there is no variation %q in the project", r.Variation)
	} else if err != nil {
		return faultf(Invalid, "the variation %q cannot be read: %v", r.Variation, cause(err))
	}
	if r.Type == Numeric {
		return checkField(dir, r.Name)
	}
	if _, err := os.Stat(filepath.Join(dir, viewFile(r.Name))); err != nil && !rif.View(r.Name) {
		return faultf(NotFound, "there is no view %q: neither in %s.rif nor as %s", r.Name, r.Variation, filepath.ToSlash(viewFile(r.Name)))
	}
	return nil
}

func checkField(dir, name string) error {
	f, err := os.Open(filepath.Join(dir, pointsFile(name)))
	if err != nil {
		return faultf(NotFound, "there is no measuring field %q: %s: %v", name, filepath.ToSlash(pointsFile(name)), cause(err))
	}
	defer f.Close()
	if _, err := radiance.CheckPoints(f, nil); err != nil {
		return faultf(Invalid, "the measuring field %q: %v", name, err)
	}
	return nil
}

func viewFile(name string) string   { return filepath.Join("views", name+".vf") }
func pointsFile(name string) string { return filepath.Join("numeric", name+".pts") }

// result is a result's name without its ending, in the project.
func (j *Job) result() string {
	folder := "images"
	if j.Type == Numeric {
		folder = "numeric"
	}
	return filepath.Join(folder, j.Variation+"_"+j.Name)
}

// noLinks refuses to write through links that somebody has put where results go.
func noLinks(dir string, names ...string) error {
	for _, n := range names {
		if info, err := os.Lstat(filepath.Join(dir, n)); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no ordinary file; remove it", n)
		}
	}
	return nil
}
