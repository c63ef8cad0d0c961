// Package gc deletes the files that nothing of a farm refers to any more. It
// decides which those are; the store of files deletes them, unless somebody
// has put or touched them meanwhile.
package gc

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"drover.farm/internal/blob"
)

// Store is what the collector needs of the store of files. Prune deletes a blob
// only if it was last put or touched before the given time.
type Store interface {
	Walk(ctx context.Context, f func(blob.Info) error) error
	Prune(ctx context.Context, h blob.Hash, before time.Time) (bool, error)
}

// Uploads is what it needs of uploads under way.
type Uploads interface {
	Expire(ctx context.Context, before time.Time) (int, error)
}

// References names every blob in use, possibly several times.
type References func(ctx context.Context, fn func(hash string) error) error

// DefaultMost is how many files one pass looks at, at about 100 bytes of memory
// each; a store that holds more of them takes several passes.
const DefaultMost = 1_000_000

// Collector is what a pass needs.
type Collector struct {
	Store      Store
	References References
	Uploads    Uploads       // nil: none
	Spare      time.Duration // younger blobs stay, whatever refers to them
	UploadKept time.Duration // uploads without new bytes for so long are dropped
	Most       int           // 0: DefaultMost
	Now        func() time.Time
	Log        *slog.Logger
}

// Result is what a pass did.
type Result struct {
	Seen, Deleted int
	Bytes         int64
	Uploads       int  // dropped
	More          bool // there are more than Most candidates: go on
}

// Collect is one pass. The order matters: first the old blobs are listed, then
// what is in use is read, so that a blob which comes into use afterwards was
// touched after the list was begun and Prune spares it.
func (c *Collector) Collect(ctx context.Context) (Result, error) {
	var r Result
	cutoff := c.now().Add(-c.Spare)
	old, err := c.candidates(ctx, cutoff, &r)
	if err != nil {
		return r, err
	}
	if len(old) > 0 {
		err = c.References(ctx, func(hash string) error {
			if h, err := blob.ParseHash(hash); err == nil {
				delete(old, h)
			}
			return nil
		})
		if err != nil {
			return r, fmt.Errorf("read which files are in use: %w", err)
		}
	}
	for h, size := range old {
		gone, err := c.Store.Prune(ctx, h, cutoff)
		if err != nil {
			return r, fmt.Errorf("delete the unused file %s: %w", h, err)
		}
		if gone {
			r.Deleted++
			r.Bytes += size
		}
	}
	if c.Uploads == nil {
		return r, nil
	}
	if r.Uploads, err = c.Uploads.Expire(ctx, c.now().Add(-c.UploadKept)); err != nil {
		return r, fmt.Errorf("drop old uploads: %w", err)
	}
	return r, nil
}

func (c *Collector) candidates(ctx context.Context, cutoff time.Time, r *Result) (map[blob.Hash]int64, error) {
	most := c.Most
	if most <= 0 {
		most = DefaultMost
	}
	old := map[blob.Hash]int64{}
	err := c.Store.Walk(ctx, func(i blob.Info) error {
		r.Seen++
		switch {
		case !i.Stored.Before(cutoff):
		case len(old) >= most:
			r.More = true
		default:
			old[i.SHA256] = i.Size
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the files of the store: %w", err)
	}
	return old, nil
}

func (c *Collector) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// Run makes a pass every period until ctx is done; the first after one period.
// A pass that fails is logged, and the next is tried all the same.
func (c *Collector) Run(ctx context.Context, period time.Duration) {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		r, err := c.Collect(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.Log.Error("looking for unused files failed", "err", err)
		case r.Deleted > 0 || r.Uploads > 0:
			c.Log.Info("unused files deleted", "files", r.Deleted, "bytes", r.Bytes, "uploads", r.Uploads, "kept", r.Seen-r.Deleted)
		}
	}
}
