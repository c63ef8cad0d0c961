package blob

import (
	"context"
	"errors"
	"fmt"

	"drover.farm/internal/farm"
)

// Sizes is a store of files as the farm's core sees it.
type Sizes struct{ Janitor }

var _ farm.Blobs = Sizes{}

// Size says how large a blob is; its errors are the farm's. Whoever asks is
// about to refer to the blob, so it counts as young again for the collector of
// unused files.
func (s Sizes) Size(ctx context.Context, hash string) (int64, error) {
	h, err := ParseHash(hash)
	if err != nil {
		return 0, farm.Errorf(farm.Invalid, "%q is no SHA-256", hash)
	}
	i, err := s.Touch(ctx, h)
	if errors.Is(err, ErrNotFound) {
		return 0, farm.Errorf(farm.NotFound, "there is no file with the content %s", hash)
	} else if err != nil {
		return 0, fmt.Errorf("look up the file %s: %w", hash, err)
	}
	return i.Size, nil
}
