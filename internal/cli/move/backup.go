package move

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/farm"
	"drover.farm/internal/store"
	"drover.farm/internal/store/sqlite"
)

// Names within a data folder.
const (
	database = "drover.db"
	blobs    = "blobs"
)

// Source is a farm in a SQLite database, which may be running.
type Source struct {
	Database string
	// Open opens a file of the farm; it fails with blob.ErrNotFound.
	Open func(context.Context, blob.Hash) (blob.File, error)
	// Beside are files of the data folder that go along, if they are there.
	Beside []string
}

// tries is how often the state is copied anew when the farm deleted a file
// meanwhile that an earlier copy refers to.
const tries = 5

// Backup copies a farm to the folder dst, which must not exist: first its state
// as it is at one moment, then every file that this state refers to. When a job
// was removed meanwhile, and a file with it, the state is copied once more. The
// folder appears whole or not at all; what a broken-off backup left in
// dst.partial is gone on with. The copy is a data folder for `drover serve`.
func Backup(ctx context.Context, src Source, dst string, log *slog.Logger) (*Report, error) {
	if _, err := os.Lstat(dst); err == nil {
		return nil, farm.Errorf(farm.Conflict, "%s exists already; name a folder that does not", dst)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	work := dst + ".partial"
	to, err := disk.Open(filepath.Join(work, blobs), disk.Options{Log: log})
	if err != nil {
		return nil, err
	}
	r, err := copyFarm(ctx, src, work, to)
	if err = errors.Join(err, to.Close()); err != nil {
		return nil, fmt.Errorf("%w (what was copied stays in %s, for the next try)", err, work)
	}
	for _, path := range src.Beside {
		if err := copyBeside(path, work); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(work, dst); err != nil {
		return nil, err
	}
	return r, disk.SyncDir(filepath.Dir(dst))
}

func copyFarm(ctx context.Context, src Source, work string, to blob.Store) (*Report, error) {
	r := &Report{}
	var before []string
	for try := range tries {
		refs, rows, err := snapshot(ctx, src.Database, filepath.Join(work, database))
		if err != nil {
			return nil, err
		}
		r.Rows, r.Files = rows, len(refs)
		if err := r.fetch(ctx, refs, src, to); err != nil {
			return nil, err
		}
		if len(r.Missing) == 0 || try > 0 && slices.Equal(r.Missing, before) {
			return r, nil // what is missing twice is missing in the farm itself
		}
		before = r.Missing
	}
	return nil, errors.New("the farm deletes files faster than they can be copied; try again at a quieter time")
}

// snapshot copies the database and says which files it refers to.
func snapshot(ctx context.Context, src, dst string) (refs []blob.Hash, rows int64, err error) {
	if err := sqlite.Copy(ctx, src, dst); err != nil {
		return nil, 0, fmt.Errorf("copy the state: %w", err)
	}
	s, err := sqlite.Open(ctx, dst)
	if err != nil {
		return nil, 0, fmt.Errorf("read the copied state: %w", err)
	}
	defer func() {
		err = errors.Join(err, s.Close(), os.Remove(dst+".lock"), os.Remove(dst+".pid"))
	}()
	seen := make(map[blob.Hash]struct{})
	err = s.References(ctx, func(text string) error {
		h, err := blob.ParseHash(text)
		seen[h] = struct{}{}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for h := range seen {
		refs = append(refs, h)
	}
	sums, err := store.Sums(ctx, s)
	for _, t := range sums {
		rows += t.Rows
	}
	return refs, rows, err
}

// fetch copies the files that are not there yet, and notes those that the farm
// does not have.
func (r *Report) fetch(ctx context.Context, refs []blob.Hash, src Source, to blob.Store) error {
	var sent, bytes atomic.Int64
	var mu sync.Mutex
	r.Missing = []string{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, h := range refs {
		g.Go(func() error {
			if _, err := to.Stat(ctx, h); err == nil {
				return nil
			}
			n, err := put(ctx, h, src.Open, to)
			if errors.Is(err, blob.ErrNotFound) {
				mu.Lock()
				defer mu.Unlock()
				r.Missing = append(r.Missing, h.String())
				return nil
			} else if err != nil {
				return err
			}
			sent.Add(1)
			bytes.Add(n)
			return nil
		})
	}
	err := g.Wait()
	slices.Sort(r.Missing)
	r.Sent, r.Bytes = r.Sent+int(sent.Load()), r.Bytes+bytes.Load()
	return err
}

// copyBeside copies a small file with its rights, if it is there.
func copyBeside(path, dir string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600); err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	return nil
}
