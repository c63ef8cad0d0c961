package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"drover.farm/internal/blob"
)

// Folder reads the blobs of a store that another process may have open. Blobs
// are whole files that never change, so that takes no lock; one may be deleted
// by its store before it is asked for.
type Folder struct{ dir string }

// OpenFolder fails when dir holds no files of Drover, or those of a newer one.
func OpenFolder(dir string) (*Folder, error) {
	text, err := os.ReadFile(filepath.Join(dir, formatName))
	if err != nil {
		return nil, fmt.Errorf("read the folder for files: %w", err)
	}
	if string(text) != formatText {
		return nil, fmt.Errorf("the folder for files %s has format %q, which this Drover does not know: use the Drover that wrote it or a newer one", dir, firstLine(text))
	}
	return &Folder{dir: dir}, nil
}

// Open opens a blob. It fails with blob.ErrNotFound.
func (f *Folder) Open(_ context.Context, h blob.Hash) (blob.File, error) {
	name := h.String()
	o, err := os.Open(filepath.Join(f.dir, blobDir, name[:2], name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", blob.ErrNotFound, h)
	} else if err != nil {
		return nil, fmt.Errorf("open the file %s: %w", h, err)
	}
	info, err := o.Stat()
	if err != nil {
		o.Close()
		return nil, fmt.Errorf("look at the file %s: %w", h, err)
	}
	return &file{File: o, size: info.Size()}, nil
}

// SyncDir makes the names in a folder durable, where the system can.
func SyncDir(path string) error { return syncDir(path) }
