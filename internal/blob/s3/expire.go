package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drover.farm/internal/blob"
)

// Expire implements blob.Uploads. It also removes what servers that died left
// in the bucket: marks of deletions and multipart uploads never completed.
func (u *Uploads) Expire(ctx context.Context, before time.Time) (int, error) {
	ctx, end, err := u.s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	n, err := u.expire(ctx, before.Truncate(time.Second))
	if err != nil {
		return n, fmt.Errorf("expire uploads: %w", cause(ctx, err))
	}
	return n, nil
}

func (u *Uploads) expire(ctx context.Context, before time.Time) (int, error) {
	s := u.s
	n, err := u.expireOpen(ctx, before)
	if err != nil {
		return n, err
	}
	for o := range s.list(ctx, s.keys.finished()) {
		if o.Err != nil {
			return n, asBlob(o.Err)
		}
		if _, ok := s.keys.parseUpload(s.keys.finished(), o.Key); !ok || !o.LastModified.Before(before) {
			continue
		}
		if err := s.removeObject(ctx, o.Key); err != nil {
			return n, err
		}
		n++
	}
	for o := range s.list(ctx, s.keys.prunes()) {
		if o.Err != nil {
			return n, asBlob(o.Err)
		}
		if o.LastModified.Before(before) {
			if err := s.removeObject(ctx, o.Key); err != nil {
				return n, err
			}
		}
	}
	return n, s.abortMultiparts(ctx, before)
}

// expireOpen removes the unfinished uploads of which no object is younger, and
// what is left of finished ones. Objects of one upload follow one another.
func (u *Uploads) expireOpen(ctx context.Context, before time.Time) (int, error) {
	var id string
	var latest time.Time
	n := 0
	flush := func() error {
		if id == "" || !latest.Before(before) {
			return nil
		}
		gone, err := u.expireOne(ctx, id)
		if gone {
			n++
		}
		return err
	}
	for o := range u.s.list(ctx, u.s.keys.uploads()) {
		if o.Err != nil {
			return n, asBlob(o.Err)
		}
		next, ok := u.s.keys.parseUpload(u.s.keys.uploads(), o.Key)
		if !ok {
			continue
		}
		if next != id {
			if err := flush(); err != nil {
				return n, err
			}
			id, latest = next, time.Time{}
		}
		if o.LastModified.After(latest) {
			latest = o.LastModified
		}
	}
	return n, flush()
}

func (u *Uploads) expireOne(ctx context.Context, id string) (bool, error) {
	ctx, end, err := u.take(ctx, id)
	if err != nil {
		return false, nil // it is being written, or the store is closing
	}
	defer end()
	return true, u.clear(ctx, id)
}

// abortMultiparts ends the multipart uploads of Puts that died, whose parts
// cost money and are seen by nobody.
func (s *Store) abortMultiparts(ctx context.Context, before time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the list when an abort fails
	for m := range s.core.ListIncompleteUploads(ctx, s.bucket, s.keys.prefix, true) {
		if err := asBlob(m.Err); errors.Is(err, blob.ErrNotFound) {
			return nil // some servers say so of a bucket without any
		} else if err != nil {
			return err
		}
		if _, ok := s.keys.parseBlob(m.Key); !ok && !s.isPart(m.Key) || !m.Initiated.Before(before) {
			continue
		}
		err := asBlob(s.core.AbortMultipartUpload(ctx, s.bucket, m.Key, m.UploadID))
		if err != nil && !errors.Is(err, blob.ErrNotFound) { // it may have ended meanwhile
			return err
		}
		s.log.Info("removed a write that was cut off", "key", m.Key)
	}
	return nil
}

func (s *Store) isPart(key string) bool {
	id, ok := s.keys.parseUpload(s.keys.uploads(), key)
	if !ok {
		return false
	}
	_, ok = s.keys.parsePart(id, key)
	return ok
}
