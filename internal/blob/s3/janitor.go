package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"drover.farm/internal/blob"
)

// S3 has no request that deletes an object only if it is old. So who prunes
// writes a mark first, then looks at the time of the blob, and deletes it last;
// who puts or touches a blob renews it first and looks for marks then. Whatever
// the order, either the one who prunes sees the new time, or the other sees the
// mark, waits until it is gone, and puts the blob again if need be.

// prunePoll is how often a mark is looked for that is waited for.
const prunePoll = 100 * time.Millisecond

// Touch implements blob.Janitor.
func (s *Store) Touch(ctx context.Context, h blob.Hash) (blob.Info, error) {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return blob.Info{}, err
	}
	defer end()
	info, err := s.Stat(ctx, h)
	if err != nil {
		return blob.Info{}, err
	}
	if err := s.renew(ctx, info); err != nil {
		return blob.Info{}, fmt.Errorf("renew file %s: %w", h, cause(ctx, err))
	}
	if err := s.waitForPrunes(ctx, h); err != nil {
		return blob.Info{}, err
	}
	return s.Stat(ctx, h)
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, h blob.Hash) error {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := s.removeObject(ctx, s.keys.blob(h)); err != nil {
		return fmt.Errorf("delete file %s: %w", h, cause(ctx, err))
	}
	return nil
}

// removeObject removes an object; one that is not there is no error.
func (s *Store) removeObject(ctx context.Context, key string) error {
	err := asBlob(s.core.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}))
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

// Prune implements blob.Janitor. The given time is rounded down to the second.
func (s *Store) Prune(ctx context.Context, h blob.Hash, before time.Time) (bool, error) {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	gone, err := s.prune(ctx, h, before.Truncate(time.Second))
	if err != nil {
		return false, fmt.Errorf("delete file %s: %w", h, cause(ctx, err))
	}
	return gone, nil
}

func (s *Store) prune(ctx context.Context, h blob.Hash, before time.Time) (bool, error) {
	// Most blobs are spared; those need no mark.
	if old, err := s.isOld(ctx, h, before); !old || err != nil {
		return false, err
	}
	work, cancel := context.WithTimeout(ctx, s.opt.pruneTime)
	defer cancel()
	mark := s.keys.prune(h) + blob.NewUploadID()
	if err := s.write(work, mark, nil); err != nil {
		return false, err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		if err := s.removeObject(clean, mark); err != nil {
			s.log.Warn("cannot remove the mark of a deletion; it will expire", "blob", h, "error", err)
		}
	}()
	if old, err := s.isOld(work, h, before); !old || err != nil {
		return false, err
	}
	if err := s.removeObject(work, s.keys.blob(h)); err != nil {
		return false, err
	}
	return true, nil
}

// isOld tells whether a blob is there and was stored before the given time.
func (s *Store) isOld(ctx context.Context, h blob.Hash, before time.Time) (bool, error) {
	info, err := s.head(ctx, h)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	return err == nil && info.Stored.Before(before), err
}

// waitForPrunes waits until every deletion of the blob that had begun has ended
// or can no longer happen.
func (s *Store) waitForPrunes(ctx context.Context, h blob.Hash) error {
	marks, err := s.marks(ctx, h)
	if err != nil || len(marks) == 0 {
		return err
	}
	tick, dead := time.NewTicker(prunePoll), time.NewTimer(3*s.opt.pruneTime)
	defer tick.Stop()
	defer dead.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-dead.C:
			for _, mark := range marks {
				if err := s.removeObject(ctx, mark); err != nil {
					return err
				}
			}
			return nil
		case <-tick.C:
		}
		now, err := s.marks(ctx, h)
		if err != nil {
			return err
		}
		// Marks that came later are of deletions that see the new time.
		marks = slices.DeleteFunc(marks, func(m string) bool { return !slices.Contains(now, m) })
		if len(marks) == 0 {
			return nil
		}
	}
}

// marks lists the deletions of a blob that are under way.
func (s *Store) marks(ctx context.Context, h blob.Hash) ([]string, error) {
	var marks []string
	for o := range s.list(ctx, s.keys.prune(h)) {
		if o.Err != nil {
			return nil, fmt.Errorf("look for deletions of file %s: %w", h, cause(ctx, asBlob(o.Err)))
		}
		marks = append(marks, o.Key)
	}
	return marks, nil
}

// write makes a small object.
func (s *Store) write(ctx context.Context, key string, data []byte) error {
	_, err := s.core.Client.PutObject(ctx, s.bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
		SendContentMd5: true, DisableContentSha256: true, ContentType: "application/json",
	})
	return asBlob(err)
}
