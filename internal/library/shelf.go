package library

import (
	"context"
	"fmt"
	"io"
	"os"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// BuildLister is what a FarmShelf needs of a farm.
type BuildLister interface {
	Farm
	BuildList(ctx context.Context, product string) ([]farm.Build, error)
}

// FarmShelf publishes a depot's builds in the farm's own library.
type FarmShelf struct {
	Farm  BuildLister
	Blobs interface {
		Put(ctx context.Context, r io.Reader, want *blob.Hash) (blob.Info, error)
	}
	By farm.Principal
}

var _ Shelf = (*FarmShelf)(nil)

// Publish implements Shelf.
func (s *FarmShelf) Publish(ctx context.Context, file *os.File, f *Found, name string) error {
	st, err := file.Stat()
	if err != nil {
		return err
	}
	info, err := s.Blobs.Put(ctx, blob.WithSize(io.NewSectionReader(file, 0, st.Size()), st.Size()), nil)
	if err != nil {
		return fmt.Errorf("keep the archive: %w", err)
	}
	_, fresh, err := s.Farm.PublishBuild(ctx, s.By, f.Build(info, name))
	if farm.CodeOf(err) == farm.Conflict || err == nil && !fresh {
		v, _ := ParseVRayVersion(f.Version + " " + f.Revision)
		return &Exists{v}
	}
	return err
}

// Known implements Shelf.
func (s *FarmShelf) Known(ctx context.Context, f *Found) (bool, error) {
	builds, err := s.Farm.BuildList(ctx, f.Product)
	if err != nil {
		return false, err
	}
	for i := range builds {
		if b := &builds[i]; b.Version == f.Version && b.Revision == f.Revision && b.OS == f.OS && b.Arch == f.Arch {
			return true, nil
		}
	}
	return false, nil
}
