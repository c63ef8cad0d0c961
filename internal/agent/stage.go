package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"drover.farm/internal/api"
	"drover.farm/openjd"
)

// Bounds of what is believed of a job.
const (
	maxRoots = 10_000
	maxFiles = 1_000_000
)

// arriving is where files are before they get their names.
const arriving = ".in"

// stage is the folder with the files of one session: folder i for root i of the
// job. Everything is put there through os.Root, so that no name or link leads
// out of it.
type stage struct {
	dir   string
	root  *os.Root
	roots []api.Root
	cache *cache
	files Files
	n     atomic.Int64 // of files that arrived

	mu   sync.Mutex
	held []string // of the cache
}

// newStage makes the folder with the folders of all roots. Close it.
func newStage(parent string, roots []api.Root, c *cache, files Files) (*stage, error) {
	if len(roots) > maxRoots {
		return nil, jobFault(fmt.Errorf("the job has %d roots, more than %d", len(roots), maxRoots))
	}
	for i, r := range roots {
		if f := openjd.PathFormat(r.Format); f != openjd.PathPosix && f != openjd.PathWindows {
			return nil, jobFault(fmt.Errorf("root %d of the job is of the unknown path format %s", i, quote(r.Format)))
		}
	}
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return nil, err
	}
	// Rules and environment name the real path, as programs see it.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, root: root, roots: roots, cache: c, files: files}
	for i := range roots {
		err = errors.Join(err, root.Mkdir(strconv.Itoa(i), 0o700))
	}
	if err = errors.Join(err, root.Mkdir(arriving, 0o700)); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close removes the folder and lets go of the cache's files.
func (s *stage) close() {
	_ = s.root.Close()
	if err := removeAll(s.dir); err != nil {
		s.cache.log.Warn("the files of a session cannot be removed", "dir", s.dir, "error", err)
	}
	for _, h := range s.held {
		s.cache.release(h)
	}
	s.held = nil
}

// rules map the submitter's folders to the stage's.
func (s *stage) rules() []openjd.PathRule {
	var rules []openjd.PathRule
	for i, r := range s.roots {
		if r.Path != "" {
			rules = append(rules, openjd.PathRule{
				SourceFormat: openjd.PathFormat(r.Format), Source: r.Path, Destination: filepath.Join(s.dir, strconv.Itoa(i)),
			})
		}
	}
	return rules
}

// target checks a file's place and makes its folder; the name is relative to
// s.root.
func (s *stage) target(f api.File) (string, error) {
	if f.Root < 0 || f.Root >= len(s.roots) {
		return "", jobFault(fmt.Errorf("the file %s is of root %d, but the job has %d roots", quote(f.Name), f.Root, len(s.roots)))
	}
	if err := checkName(f.Name); err != nil {
		return "", jobFault(err)
	}
	if f.Size < 0 {
		return "", jobFault(fmt.Errorf("the file %s has a size of %d bytes", quote(f.Name), f.Size))
	}
	if err := checkHash(f.SHA256); err != nil {
		return "", jobFault(fmt.Errorf("the file %s: %w", quote(f.Name), err))
	}
	to := filepath.Join(strconv.Itoa(f.Root), filepath.FromSlash(f.Name))
	if err := s.root.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", s.clash(f, err)
	}
	return to, nil
}

// clash sorts an error of placing a file: unless the disk is full, it is the
// names of the job's files that do not go together.
func (s *stage) clash(f api.File, err error) error {
	err = fmt.Errorf("put the file %s in its place: %w", quote(f.Name), err)
	if noSpace(err) {
		return workerFault(err)
	}
	return jobFault(err)
}

// addFiles puts the job's input files in their places. In input roots they are
// links to the cache, which cannot be written to; in output roots copies, which
// tasks may change.
func (s *stage) addFiles(ctx context.Context, files []api.File, atOnce int) error {
	return s.each(ctx, files, atOnce, func(ctx context.Context, f api.File, to string) error {
		from, err := s.cache.acquire(ctx, f.SHA256, f.Size)
		if err != nil {
			return fetchFault(f, err)
		}
		s.mu.Lock()
		s.held = append(s.held, f.SHA256)
		s.mu.Unlock()
		return s.place(f, to, func(path string) error {
			switch executable := f.Mode&0o111 != 0; {
			case s.roots[f.Root].Output && executable:
				return copyFile(from, path, 0o755)
			case s.roots[f.Root].Output:
				return copyFile(from, path, 0o644)
			case executable: // the link would share its mode with all others
				return copyFile(from, path, 0o555)
			}
			if os.Link(from, path) == nil {
				return nil
			}
			return copyFile(from, path, 0o444)
		})
	})
}

// addOutputs puts outputs of other steps in their places, for tasks to read or to
// change. Cached they are not: few of them are needed twice.
func (s *stage) addOutputs(ctx context.Context, files []api.File, atOnce int, fetch func(ctx context.Context, hash string, size int64, path string) error) error {
	return s.each(ctx, files, atOnce, func(ctx context.Context, f api.File, to string) error {
		return s.place(f, to, func(path string) error {
			if err := fetch(ctx, f.SHA256, f.Size, path); err != nil {
				return fetchFault(f, err)
			}
			return os.Chmod(path, 0o644|fs.FileMode(f.Mode)&0o111)
		})
	})
}

// place makes a file under a passing name and then gives it its own.
func (s *stage) place(f api.File, to string, put func(path string) error) error {
	name := path.Join(arriving, strconv.FormatInt(s.n.Add(1), 10))
	at := filepath.Join(s.dir, arriving, filepath.Base(name))
	if err := put(at); err != nil {
		_, _ = os.Remove(at), os.Remove(at+".part")
		var ft *fault
		if errors.As(err, &ft) {
			return err
		}
		return workerFault(fmt.Errorf("write the file %s: %w", quote(f.Name), err))
	}
	if err := s.root.Rename(name, to); err != nil {
		return s.clash(f, err)
	}
	return nil
}

// each calls do for every file, atOnce at a time, until the first error.
func (s *stage) each(ctx context.Context, files []api.File, atOnce int, do func(ctx context.Context, f api.File, to string) error) error {
	if len(files) > maxFiles {
		return jobFault(fmt.Errorf("the task needs %d files, more than %d", len(files), maxFiles))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan api.File)
	var wg sync.WaitGroup
	for range min(atOnce, len(files)) {
		wg.Go(func() {
			for f := range queue {
				to, err := s.target(f)
				if err == nil {
					err = do(ctx, f, to)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for _, f := range files {
		select {
		case queue <- f:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}

// fetchFault sorts the failure of a download. What the farm refuses another
// worker would not get either.
func fetchFault(f api.File, err error) error {
	err = fmt.Errorf("get the file %s: %w", quote(f.Name), err)
	if final(err) {
		return jobFault(err)
	}
	return workerFault(err)
}
