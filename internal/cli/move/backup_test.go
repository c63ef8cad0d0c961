package move_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/cli/move"
	"drover.farm/internal/farm"
	"drover.farm/internal/store/sqlite"
	"drover.farm/internal/store/storetest"
)

var silent = slog.New(slog.DiscardHandler)

// source is a farm in a folder that stays open, as of a farm at work.
func source(t *testing.T, e *end) move.Source {
	t.Helper()
	token := filepath.Join(e.dir, "admin.token")
	if err := os.WriteFile(token, []byte("a token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := disk.OpenFolder(filepath.Join(e.dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return move.Source{Database: filepath.Join(e.dir, "drover.db"), Open: f.Open, Beside: []string{token, filepath.Join(e.dir, "nothing")}}
}

// opened opens a copy.
func opened(t *testing.T, dir string) *end {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "drover.db"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := disk.Open(filepath.Join(dir, "blobs"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(); s.Close() })
	return &end{s, d, dir}
}

func TestBackupOfAnOpenFarm(t *testing.T) {
	t.Parallel()
	a := local(t)
	files := a.fill(t, 12)
	dst := filepath.Join(t.TempDir(), "copy")
	r, err := move.Backup(t.Context(), source(t, a), dst, silent)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 12 || len(r.Missing)+12 != r.Files || r.Rows < 300 {
		t.Errorf("the report is %+v", r)
	}
	if _, err := move.Backup(t.Context(), source(t, a), dst, silent); farm.CodeOf(err) != farm.Conflict {
		t.Errorf("over an earlier copy: %v, want a conflict", err)
	}
	if text, err := os.ReadFile(filepath.Join(dst, "admin.token")); err != nil || string(text) != "a token\n" {
		t.Errorf("the token's file: %q, %v", text, err)
	}
	c := opened(t, dst)
	c.has(t, files)
	storetest.Moved(t, a.state, c.state)
	if _, err := os.Stat(dst + ".partial"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder it was made in is left: %v", err)
	}
}

// TestAJobRemovedMeanwhile removes a job, and its file, after the state was
// copied and before the file was.
func TestAJobRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	a := local(t)
	files := a.fill(t, 4)
	src := source(t, a)
	open := src.Open
	var once sync.Once
	src.Open = func(ctx context.Context, h blob.Hash) (blob.File, error) {
		if files[h.String()] == "" {
			return open(ctx, h)
		}
		once.Do(func() {
			epoch, err := a.state.Acquire(ctx)
			if err == nil {
				err = a.state.Commit(ctx, &farm.Batch{Epoch: epoch, Tasks: []*farm.Task{{TaskKey: farm.TaskKey{Job: 1000, Index: 900}, State: farm.TaskDone}}})
			}
			for name := range files {
				gone, _ := blob.ParseHash(name)
				err = errors.Join(err, a.files.Delete(ctx, gone))
			}
			if err != nil {
				t.Error(err)
			}
		})
		return open(ctx, h)
	}
	dst := filepath.Join(t.TempDir(), "copy")
	r, err := move.Backup(t.Context(), src, dst, silent)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range r.Missing {
		if files[h] != "" {
			t.Errorf("the copy refers to the file %s, which the farm no longer has", h)
		}
	}
	storetest.Moved(t, a.state, opened(t, dst).state)
}

func TestABackupThatBrokeOffGoesOn(t *testing.T) {
	t.Parallel()
	a := local(t)
	files := a.fill(t, 20)
	src := source(t, a)
	open, n := src.Open, make(chan struct{}, 15)
	src.Open = func(ctx context.Context, h blob.Hash) (blob.File, error) {
		if files[h.String()] != "" {
			select {
			case n <- struct{}{}:
			default:
				return nil, errLine
			}
		}
		return open(ctx, h)
	}
	dst := filepath.Join(t.TempDir(), "copy")
	if _, err := move.Backup(t.Context(), src, dst, silent); !errors.Is(err, errLine) || !strings.Contains(err.Error(), ".partial") {
		t.Fatalf("with a cut line: %v", err)
	}
	if _, err := os.Stat(dst); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a copy is at its place: %v", err)
	}
	src.Open = open
	r, err := move.Backup(t.Context(), src, dst, silent)
	if err != nil || r.Sent >= 20 {
		t.Fatalf("the second try: %+v, %v; want it to copy only what was missing", r, err)
	}
	opened(t, dst).has(t, files)
}
