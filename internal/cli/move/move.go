// Package move carries whole farms: from one kind of store to another, and from
// a running farm to a copy. It knows stores and blobs, not what is in them.
package move

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

// Store is a store that a farm can move from and to.
type Store interface {
	farm.Store
	store.Dumper
	store.Restorer
}

// Report says what was moved or copied.
type Report struct {
	Rows    int64    `json:"rows"`    // of the state
	Files   int      `json:"files"`   // that the farm has
	Sent    int      `json:"sent"`    // of these, how many were not there yet
	Bytes   int64    `json:"bytes"`   // of the files sent
	Missing []string `json:"missing"` // hashes of files that the state refers to and the farm itself lacks
}

// atOnce is how many files travel at once.
const atOnce = 8

// Move moves the farm of from and its files to a store that is empty. Files go
// first and may be there already, from a move that was broken off; the state
// goes in one transaction when all of them are there. At the end both states are
// read and compared. Neither may be in use; from stays as it is. Say is told
// what goes on.
func Move(ctx context.Context, from, to Store, old, files blob.Store, say func(string)) (*Report, error) {
	if _, err := from.Acquire(ctx); err != nil {
		return nil, fmt.Errorf("the farm to move is in use: %w; stop it first", err)
	}
	if err := to.Empty(ctx); err != nil {
		return nil, fmt.Errorf("move only into an empty place: %w", err)
	}
	if _, err := to.Acquire(ctx); err != nil {
		return nil, fmt.Errorf("the place to move to is in use: %w", err)
	}
	r := &Report{Missing: []string{}}
	here := make(map[blob.Hash]int64)
	if err := old.Walk(ctx, func(i blob.Info) error { here[i.SHA256] = i.Size; return nil }); err != nil {
		return nil, fmt.Errorf("list the files: %w", err)
	}
	r.Files = len(here)
	say(fmt.Sprintf("moving %d files", len(here)))
	if err := r.send(ctx, here, old, files); err != nil {
		return nil, err
	}
	if err := arrived(ctx, here, files); err != nil {
		return nil, err
	}
	if err := r.lacks(ctx, from, here); err != nil {
		return nil, err
	}
	say("moving the state")
	if err := to.Restore(ctx, from); err != nil {
		return nil, fmt.Errorf("move the state: %w", err)
	}
	return r, r.compare(ctx, from, to)
}

// send puts the files that are not there yet.
func (r *Report) send(ctx context.Context, here map[blob.Hash]int64, from, to blob.Store) error {
	var sent, bytes atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for h, size := range here {
		g.Go(func() error {
			if i, err := to.Stat(ctx, h); err == nil && i.Size == size {
				return nil
			} else if err != nil && !errors.Is(err, blob.ErrNotFound) {
				return err
			}
			n, err := put(ctx, h, from.Open, to)
			if err != nil {
				return err
			}
			sent.Add(1)
			bytes.Add(n)
			return nil
		})
	}
	err := g.Wait()
	r.Sent, r.Bytes = int(sent.Load()), bytes.Load()
	return err
}

// put copies one file; its content is checked against its hash on the way.
func put(ctx context.Context, h blob.Hash, open func(context.Context, blob.Hash) (blob.File, error), to blob.Store) (int64, error) {
	f, err := open(ctx, h)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := to.Put(ctx, blob.WithSize(f, f.Size()), &h); errors.Is(err, blob.ErrMismatch) {
		return 0, fmt.Errorf("the file %s is damaged where it is: its content is not that of its hash", h)
	} else if err != nil {
		return 0, fmt.Errorf("copy the file %s: %w", h, err)
	}
	return f.Size(), nil
}

// arrived checks that all files are there with their lengths.
func arrived(ctx context.Context, here map[blob.Hash]int64, files blob.Store) error {
	left := len(here)
	err := files.Walk(ctx, func(i blob.Info) error {
		if size, ok := here[i.SHA256]; ok && size == i.Size {
			left--
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the files that arrived: %w", err)
	}
	if left != 0 {
		return fmt.Errorf("%d of %d files did not arrive; run this again", left, len(here))
	}
	return nil
}

// lacks notes what the state refers to and is not here.
func (r *Report) lacks(ctx context.Context, from farm.Reader, here map[blob.Hash]int64) error {
	once := make(map[blob.Hash]bool)
	err := from.References(ctx, func(text string) error {
		h, err := blob.ParseHash(text)
		if err != nil {
			return err
		}
		if _, ok := here[h]; ok {
			return nil
		}
		if !once[h] {
			once[h] = true
			r.Missing = append(r.Missing, text)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read which files the farm refers to: %w", err)
	}
	return nil
}

// compare reads both states.
func (r *Report) compare(ctx context.Context, from, to store.Dumper) error {
	want, err := store.Sums(ctx, from)
	if err != nil {
		return err
	}
	got, err := store.Sums(ctx, to)
	if err != nil {
		return err
	}
	for table, s := range want {
		if got[table] != s {
			return fmt.Errorf("the state did not arrive as it was: the table %s has %d rows of %d, or rows that differ; empty the database and run this again", table, got[table].Rows, s.Rows)
		}
		r.Rows += s.Rows
	}
	return nil
}
