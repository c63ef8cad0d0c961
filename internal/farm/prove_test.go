package farm_test

import (
	"context"
	"testing"
	"testing/synctest"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// trusting takes every file for the picture that it is to be.
type trusting struct{}

func (trusting) Prove(_ context.Context, f farm.File, _ farm.Check) (farm.File, error) { return f, nil }

// TestATaskPutsOutAllItsPictures completes a task that is to give one for each
// of two views, with fewer and with all.
func TestATaskPutsOutAllItsPictures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names []string
		says  string
		done  bool
	}{
		{nil, "the renderer ended without an error but wrote no picture", false},
		{[]string{"1_L.png"}, "the renderer ended without an error but wrote 1 of 2 pictures", false},
		{[]string{"1_L.png", "1_R.png"}, "", true},
		{[]string{"1_L.png", "1_R.png", "nodes/1.png"}, "", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := mem.New()
			f, err := farm.Open(t.Context(), farm.Config{Store: store, Prover: trusting{}})
			if err != nil {
				t.Fatal(err)
			}
			b := &bundle{t: t, store: store, f: f}
			defer b.f.Close()
			b.check(errOf(b.f.Bootstrap(t.Context(), farm.User{Login: "ann", Roles: ann.Roles}, farm.Token{})))
			b.submit(ann, template("1"), func(s *farm.Submission) { s.Spec.Check = &farm.Check{Pictures: 2} })
			l := b.mustClaim(b.worker("w"))
			r := farm.Result{By: ann, Worker: l.Worker, Lease: l.ID, Task: l.Task}
			for _, name := range c.names {
				r.Outputs = append(r.Outputs, farm.File{Name: name})
			}
			v, err := b.f.Complete(t.Context(), r)
			b.check(err)
			if v.Accepted != c.done || v.Reason != c.says {
				t.Errorf("%d pictures: accepted %v: %s", len(c.names), v.Accepted, v.Reason)
			}
		})
	}
}
