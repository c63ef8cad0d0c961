package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/blob/tus"
	"drover.farm/internal/farm"
)

// uploads speaks tus with the page's own script.
func (s *site) uploadHandler() http.Handler {
	return tus.Handler(s.Uploads, tus.Options{Path: Prefix + "uploads/", MaxSize: s.UploadLimit, Idle: s.Idle, Log: s.Log, Owner: func(r *http.Request) string {
		login, _ := r.Context().Value(loginKey{}).(string)
		return login
	}})
}

type loginKey struct{}

func (v *visit) upload() error {
	v.tus.ServeHTTP(v.w, v.r.WithContext(context.WithValue(v.ctx(), loginKey{}, v.by.Login)))
	return nil
}

// uploaded is a file that came with a form: the number of its upload, which is
// finished, and its path as it lay on the submitter's machine.
type uploaded struct {
	Field string // as the form has it: "ID NAME"
	Name  string // relative, with slashes
	info  blob.Info
}

// uploadedFiles finds the uploads that a form names. Those of others do not
// exist.
func (v *visit) uploadedFiles(fields []string) ([]uploaded, error) {
	if len(fields) == 0 || len(fields) > 10_000 {
		return nil, farm.Errorf(farm.Invalid, "choose a file to submit")
	}
	var out []uploaded
	for _, f := range fields {
		id, name, _ := strings.Cut(f, " ")
		name = path.Clean(strings.ReplaceAll(name, "\\", "/"))
		if !blob.ValidUploadID(id) || !fs.ValidPath(name) || name == "." || len(name) > 1024 || strings.ContainsRune(name, ':') {
			return nil, farm.Errorf(farm.Invalid, "the name %s cannot be used for a file; rename it", quoted(name))
		}
		p, err := v.Uploads.Info(v.ctx(), id)
		if errors.Is(err, blob.ErrNotFound) || err == nil && p.Owner != v.by.Login {
			return nil, farm.Errorf(farm.NotFound, "the upload of %s is not there any more; upload it again", quoted(name))
		} else if err != nil {
			return nil, err
		}
		if p.Done == nil {
			return nil, farm.Errorf(farm.Conflict, "%s is not uploaded wholly yet", quoted(name))
		}
		out = append(out, uploaded{f, name, *p.Done})
	}
	return out, nil
}

// layOut puts uploaded files in a folder of their own, archives unpacked, as
// they lay on the submitter's machine. The caller removes the folder.
func (v *visit) layOut(files []uploaded) (dir string, err error) {
	if dir, err = os.MkdirTemp(v.Scratch, "drover-submit-"); err != nil {
		return "", fmt.Errorf("make a folder for what was uploaded: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	for _, f := range files {
		if err := v.place(dir, f); err != nil {
			return "", err
		}
	}
	return dir, nil
}

var archiveKinds = []string{".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".zst", ".7z"}

func (v *visit) place(dir string, f uploaded) error {
	src, err := v.Blobs.Open(v.ctx(), f.info.SHA256)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	base := path.Base(f.Name)
	if slices.Contains(archiveKinds, strings.ToLower(path.Ext(base))) {
		name := strings.TrimSuffix(base, path.Ext(base))
		err := archive.Unpack(v.ctx(), src, src.Size(), dir, name, archive.Options{})
		var no *archive.Refusal
		if errors.As(err, &no) || errors.Is(err, archive.ErrPassword) {
			return farm.Errorf(farm.Invalid, "%s: %v", base, err)
		}
		return err
	}
	to := filepath.Join(dir, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return farm.Errorf(farm.Invalid, "%s was uploaded twice", quoted(f.Name))
	} else if err != nil {
		return err
	}
	_, err = io.Copy(out, io.NewSectionReader(src, 0, src.Size()))
	return errors.Join(err, out.Close())
}

// mains are the kinds of files that can be submitted, the likeliest first.
var mains = []string{".blend", ".vrscene", ".rif", ".yaml", ".yml", ".json"}

// candidates are the files of a folder that can be submitted, the likeliest
// first: by their kind, then the least deep.
func candidates(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		base := strings.ToLower(d.Name())
		ext := filepath.Ext(base)
		if ext == ".yaml" || ext == ".yml" || ext == ".json" {
			if strings.HasPrefix(base, "parameter_values.") || strings.HasPrefix(base, "asset_references.") {
				return nil
			}
		} else if !slices.Contains(mains, ext) {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		out = append(out, filepath.ToSlash(rel))
		return err
	})
	rank := func(s string) int { return slices.Index(mains, strings.ToLower(path.Ext(s))) }
	bundle := slices.ContainsFunc(out, func(s string) bool { return strings.HasPrefix(path.Base(s), "template.") })
	slices.SortStableFunc(out, func(a, b string) int {
		if bundle { // a bundle's template speaks for the scenes in it
			if x, y := strings.HasPrefix(path.Base(a), "template."), strings.HasPrefix(path.Base(b), "template."); x != y {
				return flag(y) - flag(x)
			}
		}
		if n := rank(a) - rank(b); n != 0 {
			return n
		}
		return strings.Count(a, "/") - strings.Count(b, "/")
	})
	return out, err
}
