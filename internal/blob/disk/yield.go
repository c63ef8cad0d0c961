package disk

import (
	"errors"
	"time"

	"drover.farm/internal/blob"
)

// defaultIdle is when an upload that nobody sends to no longer keeps others out.
const defaultIdle = 15 * time.Minute

// reserve promises n bytes or fails with blob.ErrFull. When there is no room for
// them, uploads that are waiting for their clients give up what they were
// promised and have not had: a client that went away must not have a farm that
// has room turn away frames until the upload expires.
func (s *Store) reserve(n int64) error {
	err := s.acct.reserve(n)
	if errors.Is(err, blob.ErrFull) && s.uploads.yield() {
		err = s.acct.reserve(n)
	}
	return err
}

// yield takes back the promises of idle uploads and reports whether there were
// any. What has come of them stays, and counts.
func (u *Uploads) yield() (any bool) {
	before := u.s.opt.Now().Add(-u.s.opt.Idle)
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, up := range u.all {
		up.mu.Lock()
		idle := up.done == nil && up.mark.updated.Before(before)
		up.mu.Unlock()
		if !idle || !up.busy.TryLock() {
			continue // being written to, or on its way out
		}
		if rest := up.held - up.mark.offset; up.done == nil && !up.gone && rest > 0 {
			u.s.acct.release(rest, rest)
			up.held -= rest
			any = true
		}
		up.busy.Unlock()
	}
	return any
}

// regain promises an upload anew what it gave up; the caller holds its busy lock.
func (u *Uploads) regain(up *upload) error {
	lost := up.what.Size - up.held
	if lost == 0 {
		return nil
	}
	if err := u.s.reserve(lost); err != nil {
		return err
	}
	up.held = up.what.Size
	return nil
}
