package farm_test

import (
	"errors"
	"testing"

	"drover.farm/internal/farm"
)

// failNext lets the next commit fail without having written.
func (b *bundle) failNext() {
	failed := false // read and written by the dispatcher alone
	b.store.Fault = func(*farm.Batch) (error, bool) {
		if failed {
			return nil, false
		}
		failed = true
		return errors.New("disk on fire"), false
	}
}

func TestLeaseNumbersOutlastAFailedCommit(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		b.submit(ann, template("1-4"))
		w := b.worker("w1", slots(4))
		first := b.mustClaim(w)
		b.failNext()
		if _, err := b.f.Claim(b.t.Context(), farm.ClaimRequest{By: ann, Worker: w.ID}); farm.CodeOf(err) != farm.Unavailable {
			b.t.Fatalf("a claim that is not written: %v", err)
		}
		if next := b.mustClaim(w); next.ID <= first.ID {
			b.t.Errorf("after a failed commit lease %d follows lease %d", next.ID, first.ID)
		}
		if n := len(b.leases()); n != 2 {
			b.t.Errorf("%d leases are out, want 2", n)
		}
	})
}

func (b *bundle) leases() []farm.LeaseInfo {
	b.t.Helper()
	ls, err := b.f.Leases(b.t.Context(), 0)
	b.check(err)
	return ls
}
