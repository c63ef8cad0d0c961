package farm_test

import (
	"context"
	"fmt"
	"testing"

	"drover.farm/internal/farm"
)

// TestACallerThatLeavesReadsNothing lets callers go while the dispatcher is still
// at their request: what it writes down for them must not be read by them any
// more. The race detector watches.
func TestACallerThatLeavesReadsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, farm.Settings{})
	for i := range 50 {
		b.submit(ann, template("1-3"))
		b.mustClaim(b.worker(fmt.Sprint("w", i)))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	off := false
	for range 20 {
		for name, call := range map[string]func() (any, error){
			"Leases":       func() (any, error) { ls, err := b.f.Leases(gone, 0); return len(ls), err },
			"Farmhands":    func() (any, error) { ws, err := b.f.Farmhands(gone); return len(ws), err },
			"BuildList":    func() (any, error) { bs, err := b.f.BuildList(gone, ""); return len(bs), err },
			"PackList":     func() (any, error) { ps, err := b.f.PackList(gone, ""); return len(ps), err },
			"Status":       func() (any, error) { s, err := b.f.Status(gone); return s == nil, err },
			"Estimate":     func() (any, error) { e, err := b.f.Estimate(gone, farm.FirstJob); return e == nil, err },
			"Pending":      func() (any, error) { p, err := b.f.Pending(gone, farm.FirstJob); return p == nil, err },
			"Balance":      func() (any, error) { return b.f.Balance(gone, "ann") },
			"RevokeTokens": func() (any, error) { return b.f.RevokeTokens(gone, admin, "bob", "") },
			"Why":          func() (any, error) { e, err := b.f.Why(gone, farm.FirstJob); return e == nil, err },
			"SetPriority": func() (any, error) {
				j, err := b.f.SetPriority(gone, farm.JobChange{By: admin, Job: farm.FirstJob}, 7)
				return j == nil, err
			},
			"ChangeWorker": func() (any, error) {
				w, err := b.f.ChangeWorker(gone, admin, 1, farm.WorkerChange{Enabled: &off})
				return w == nil, err
			},
			"Register": func() (any, error) {
				w, err := b.f.Register(gone, farm.Registration{By: ann, Key: "w1", Name: "w1", Door: "native"})
				return w == nil, err
			},
		} {
			if got, err := call(); err == nil && got == nil { // read, so that the detector sees it
				t.Errorf("%s answers nothing at all", name)
			}
		}
	}
	if _, err := b.f.Leases(t.Context(), 0); err != nil {
		t.Error(err)
	}
}
