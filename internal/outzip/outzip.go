// Package outzip streams what tasks put out as a zip file. Pictures are packed as
// they are: they hardly get smaller. It knows names by their hash only, so that
// its memory stays within bounds.
package outzip

import (
	"archive/zip"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"path"
	"strings"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
)

// Writer writes one zip file. It is used by one goroutine.
type Writer struct {
	blobs blob.Store
	w     *zip.Writer
	seen  map[uint64]struct{}
	seed  maphash.Seed
	left  int64
}

// New makes a Writer of a zip of at most so many files.
func New(w io.Writer, blobs blob.Store, most int64) *Writer {
	return &Writer{blobs: blobs, w: zip.NewWriter(w), seen: make(map[uint64]struct{}), seed: maphash.MakeSeed(), left: most}
}

// Add packs the outputs of a task, but for what it only handed on to others.
func (z *Writer) Add(ctx context.Context, t *farm.Task) error {
	for _, f := range t.Outputs {
		if renderer.HandedOn(f.Name) {
			continue
		}
		if z.left--; z.left < 0 {
			return fmt.Errorf("there are too many outputs for one zip file")
		}
		if err := z.add(ctx, t, f); err != nil {
			return fmt.Errorf("pack %s of task %d/%d: %w", f.Name, t.Step, t.Index, err)
		}
	}
	return nil
}

// Close ends the zip file.
func (z *Writer) Close() error { return z.w.Close() }

func (z *Writer) add(ctx context.Context, t *farm.Task, f farm.File) error {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return err
	}
	file, err := z.blobs.Open(ctx, h)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	hd := &zip.FileHeader{Name: z.unique(t, f.Name), Method: zip.Store}
	for i := range t.Attempts {
		if a := &t.Attempts[i]; i == len(t.Attempts)-1 || a.Outcome == farm.OutcomeDone {
			hd.Modified = a.Ended
			break
		}
	}
	if f.Mode&0o111 != 0 {
		hd.SetMode(0o755)
	} else {
		hd.SetMode(0o644)
	}
	w, err := z.w.CreateHeader(hd)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}

// unique is a name that no other file of the zip has: where two tasks put out
// the same name, the later one's tells its task.
func (z *Writer) unique(t *farm.Task, name string) string {
	ext := path.Ext(name)
	for i, candidate := 0, name; ; i++ {
		key := maphash.String(z.seed, strings.ToLower(candidate))
		if _, taken := z.seen[key]; !taken {
			z.seen[key] = struct{}{}
			return candidate
		}
		candidate = fmt.Sprintf("%s~%d-%d", strings.TrimSuffix(name, ext), t.Step, t.Index)
		if i > 0 {
			candidate += fmt.Sprintf("-%d", i)
		}
		candidate += ext
	}
}
