package disk

import (
	"fmt"
	"sync"

	"drover.farm/internal/blob"
)

// account counts the space: bytes in blobs, bytes promised to writes and
// uploads, and of those the bytes not yet written, which the file system still
// calls free. Space is reserved before it is written, so the limits hold at
// every moment whatever runs at once.
type account struct {
	mu       sync.Mutex
	limit    int64
	minFree  int64
	free     func() (int64, error)
	used     int64 // bytes of blobs
	blobs    int64 // number of blobs
	reserved int64 // bytes promised
	pending  int64 // bytes promised and not yet written
}

// reserve promises n bytes or fails with blob.ErrFull.
func (a *account) reserve(n int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Compared by subtraction: a sum with a size from outside could overflow.
	if a.limit > 0 && n > a.limit-a.used-a.reserved {
		return fmt.Errorf("%w: %d bytes are needed, %d of the quota of %d are left", blob.ErrFull, n, max(0, a.limit-a.used-a.reserved), a.limit)
	}
	free, err := a.free()
	if err != nil {
		return fmt.Errorf("ask for the free space: %w", err)
	}
	if n > free-a.pending-a.minFree {
		return fmt.Errorf("%w: %d bytes are needed, the disk has %d to give (%d are kept free)", blob.ErrFull, n, max(0, free-a.pending-a.minFree), a.minFree)
	}
	a.reserved += n
	a.pending += n
	return nil
}

// adopt promises n bytes that a former process was promised, of which pending
// are not yet written. It cannot fail.
func (a *account) adopt(n, pending int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserved += n
	a.pending += pending
}

// wrote says that n promised bytes are in a file now; negative when they were
// cut off again.
func (a *account) wrote(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending -= n
}

// release takes a promise of n bytes back, of which pending were not written.
func (a *account) release(n, pending int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserved -= n
	a.pending -= pending
}

// settle turns a promise, wholly written, into blobs and bytes used, in one
// step: nobody sees the bytes counted twice or not at all.
func (a *account) settle(n, blobs, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserved -= n
	a.blobs += blobs
	a.used += bytes
}

// change adds blobs and bytes to what is used.
func (a *account) change(blobs, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blobs += blobs
	a.used += bytes
}

// Usage says what a store takes.
type Usage struct {
	// Blobs is the number of blobs and Bytes their size together.
	Blobs, Bytes int64
	// Reserved is what unfinished uploads and Puts under way may still take
	// or have taken, in bytes.
	Reserved int64
	// Limit is the quota in bytes, 0 for none; Free what the file system has
	// left for this user, before what MinFree keeps.
	Limit, Free int64
}

func (a *account) usage() (Usage, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	free, err := a.free()
	if err != nil {
		return Usage{}, fmt.Errorf("ask for the free space: %w", err)
	}
	return Usage{Blobs: a.blobs, Bytes: a.used, Reserved: a.reserved, Limit: a.limit, Free: free}, nil
}
