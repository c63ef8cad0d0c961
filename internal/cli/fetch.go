package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/internal/renderer"
)

type jobFetchCmd struct {
	oneJob
	Waiting
	Out string `required:"" placeholder:"DIR" help:"Folder to write the files to; made if it does not exist."`
}

func (c *jobFetchCmd) Examples() string {
	return "  drover job fetch 1003 --out frames\n"
}

func (c *jobFetchCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	j, err := farm.Job(a.ctx, c.ID)
	if err != nil {
		return err
	}
	files, err := a.fetch(farm, j, c.Out, c.Patience)
	if err != nil {
		return err
	}
	if !ended(j) {
		a.say("job %d is still %s: this is what it had put out so far", j.ID, j.State)
	}
	return a.show(c.Shown, list(files), nil)
}

// fetched is a file that was written.
type fetched struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	mode   int
}

// fetchAtOnce is how many files are fetched at once.
const fetchAtOnce = 4

// fetch writes a job's outputs to a folder. Files that are there already with
// the right content are left alone, so it can be called again and again.
func (a *App) fetch(farm *client.Client, j *api.Job, dir string, patience time.Duration) ([]fetched, error) {
	files, err := outputs(a, farm, j, patience)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for the outputs: %w", err)
	}
	var kept atomic.Int64
	var bytes atomic.Int64
	g, ctx := errgroup.WithContext(a.ctx)
	g.SetLimit(fetchAtOnce)
	for i := range files {
		g.Go(func() error {
			f := &files[i]
			f.Path = filepath.Join(dir, filepath.FromSlash(f.Name))
			if same(f.Path, f.Size, f.SHA256) {
				kept.Add(1)
				return nil
			}
			bytes.Add(f.Size)
			_, err := persist(ctx, patience, func(s string) { a.say("%s", s) }, func() (struct{}, error) {
				return struct{}{}, place(ctx, farm, f)
			})
			if err != nil {
				return fmt.Errorf("fetch %s: %w", f.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	a.say("%s (%s) of job %d written to %s%s", count(len(files), "file"), size(bytes.Load()), j.ID, dir, alreadyThere(kept.Load()))
	return files, nil
}

func alreadyThere(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of them were there", n)
}

// place downloads a file beside its place and moves it there whole.
func place(ctx context.Context, farm *client.Client, f *fetched) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	name := sha256.Sum256([]byte(f.Name))
	temp := filepath.Join(filepath.Dir(f.Path), ".drover-"+f.SHA256[:16]+"-"+hex.EncodeToString(name[:4]))
	os.Remove(temp)
	if err := farm.Download(ctx, f.SHA256, f.Size, temp); err != nil {
		return err
	}
	if f.mode&0o111 != 0 {
		if err := makeExecutable(temp); err != nil {
			return err
		}
	}
	return os.Rename(temp, f.Path)
}

// makeExecutable lets whoever may read a file run it, too.
func makeExecutable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode()|info.Mode()&0o444>>2)
}

// same reports whether a file has a content already.
func same(path string, size int64, want string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false
	}
	return hex.EncodeToString(h.Sum(nil)) == want
}

// outputs lists what a job put out, each under its name below the folder that
// the outputs go to. Of files with one name the last counts.
func outputs(a *App, farm *client.Client, j *api.Job, patience time.Duration) ([]fetched, error) {
	prefix := outputPrefixes(j.Roots)
	var out []fetched
	at := map[string]int{}
	for after := ""; ; {
		page, err := persist(a.ctx, patience, func(s string) { a.say("%s", s) }, func() (*api.Outputs, error) {
			return farm.Outputs(a.ctx, j.ID, after)
		})
		if err != nil {
			return nil, err
		}
		for _, f := range page.Files {
			if renderer.HandedOn(f.Name) {
				continue
			}
			name := path.Join(prefix[f.Root], f.Name)
			if err := safeName(name, f.SHA256); err != nil {
				return nil, err
			}
			if i, ok := at[name]; ok {
				if out[i].SHA256 != f.SHA256 {
					a.say("several tasks put out %s; the last one's is kept", name)
				}
				out[i].SHA256, out[i].Size, out[i].mode = f.SHA256, f.Size, f.Mode
				continue
			}
			at[name] = len(out)
			out = append(out, fetched{Name: name, SHA256: f.SHA256, Size: f.Size, mode: f.Mode})
		}
		if page.Next == "" {
			return out, nil
		}
		after = page.Next
	}
}

// safeName refuses what would write outside the folder: the farm is not
// trusted that far.
func safeName(name, sha string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\x00\\:") {
		return fmt.Errorf("the farm names an output %q, which could lie outside the folder", name)
	}
	if b, err := hex.DecodeString(sha); err != nil || len(b) != sha256.Size {
		return fmt.Errorf("the farm gives no valid hash for the output %q", name)
	}
	return nil
}

// outputPrefixes are the folders that the outputs of each root go to. Those of
// a job with one output folder go straight to the folder that is asked for,
// those of several keep the places they have towards each other.
func outputPrefixes(roots []api.Root) map[int]string {
	out := map[int]string{}
	var paths []string
	var index []int
	for i, r := range roots {
		if r.Output {
			p := r.Path
			if r.Format == "WINDOWS" {
				p = strings.ReplaceAll(p, `\`, "/")
			}
			paths, index = append(paths, path.Clean(p)), append(index, i)
		}
	}
	if len(paths) < 2 {
		return out
	}
	top := paths[0]
	for _, p := range paths[1:] {
		for top != "/" && top != "." && p != top && !strings.HasPrefix(p, top+"/") {
			top = path.Dir(top)
		}
	}
	for n, p := range paths {
		rel := strings.TrimPrefix(strings.TrimPrefix(p, top), "/")
		out[index[n]] = strings.ReplaceAll(rel, ":", "")
	}
	return out
}

// checkOut fails when a folder for outputs cannot be one.
func checkOut(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the folder for the outputs: %w", err)
	case !info.IsDir():
		return usagef("--out %s is a file, not a folder", dir)
	}
	return nil
}
