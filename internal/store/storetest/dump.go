package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

// Fill writes something of every kind into a store whose writer has the epoch.
func Fill(t *testing.T, s farm.Store, epoch int64) {
	t.Helper()
	over := sample(1001)
	over.State, over.Reason = farm.JobDone, "a text with \" and \u00fc\n"
	batch := &farm.Batch{
		Epoch: epoch, NewJobs: []*farm.Job{sample(1000), over, sample(1007)},
		Workers: []*farm.Worker{{ID: 3, Key: "k", Name: "w", Lease: time.Minute}, {ID: 9, Name: "gone"}},
		Users:   []*farm.User{{Login: "ann", Roles: []farm.Role{farm.RoleAdmin}, Created: epochTime}},
		Tokens:  []*farm.Token{{Hash: [32]byte{0, 1, 0xff}, Login: "ann", Kind: "token"}},
		Limits:  []*farm.Limit{{Name: "amount.licence", Total: 0.1}}, Values: map[string]string{"maintenance": "on"},
		Events:  []farm.Event{{ID: 41, Time: epochTime, Type: "x"}, {ID: 42, Time: epochTime, Type: "y", Text: "\x00"}},
		Builds:  []*farm.Build{{ID: 2, Product: "blender", SHA256: hash(20)}, {ID: 5, Product: "blender", SHA256: hash(21)}},
		Packs:   []*farm.Pack{{Key: "job/1000", Job: 1000, SHA256: hash(22)}},
		Entries: []*farm.Entry{{Account: "ann", Granted: 5000, Updated: epochTime}, {Account: "ann", Job: 1000, Earned: -3, Frames: 2}},
	}
	for i := range int64(300) {
		batch.Tasks = append(batch.Tasks, task(1000+i%2, 0, i, farm.TaskDone))
	}
	batch.Tasks = append(batch.Tasks, task(1000, 1, 0, farm.TaskRunning))
	for _, b := range []*farm.Batch{batch, {Epoch: epoch, DropJobs: []int64{1007}, DropWorkers: []int64{9}, DropBuilds: []int64{5}}} {
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatalf("Commit: %v", err)
		}
	}
}

// testDump moves all from one store to another of its kind.
func testDump(t *testing.T, open Factory) {
	b := setup(t, open)
	from, ok := b.s.(store.Dumper)
	if !ok {
		return // not a store that outlasts its process
	}
	for range 5 {
		b.acquire()
	}
	Fill(t, b.s, b.epoch)
	dir := t.TempDir()
	next := open(t, dir)
	if err := next.(store.Restorer).Restore(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	Moved(t, b.s, next)
	if err := next.(store.Restorer).Restore(t.Context(), from); farm.CodeOf(err) != farm.Conflict {
		t.Errorf("into a store that is not empty: %v, want a conflict", err)
	}
	next.Close()
	next = open(t, dir)
	defer next.Close()
	epoch, err := next.Acquire(t.Context())
	if err != nil || epoch <= b.epoch {
		t.Errorf("the first epoch after the move is %d (%v), it must be above %d", epoch, err, b.epoch)
	}
	if err := next.Commit(t.Context(), &farm.Batch{Epoch: epoch, NewJobs: []*farm.Job{sample(1008)}}); err != nil {
		t.Errorf("the moved farm does not go on: %v", err)
	}

	broken := open(t, t.TempDir())
	defer broken.Close()
	if err := broken.(store.Restorer).Restore(t.Context(), half{from}); err == nil {
		t.Error("a source that breaks off gives no error")
	}
	if err := broken.(store.Restorer).Empty(t.Context()); err != nil {
		t.Errorf("after a source that broke off: %v, want nothing kept", err)
	}
}

// half gives out some tables, then fails in the middle of one.
type half struct{ store.Dumper }

func (h half) Dump(ctx context.Context, fn func(store.Table) error) (int64, error) {
	n := 0
	return h.Dumper.Dump(ctx, func(t store.Table) error {
		rows := t.Rows
		t.Rows = func(each func([]any) error) error {
			return rows(func(row []any) error {
				if n++; n == 20 {
					return fmt.Errorf("the source broke off")
				}
				return each(row)
			})
		}
		return fn(t)
	})
}

// Moved checks that two stores hold the same.
func Moved(t *testing.T, from, to farm.Store) {
	t.Helper()
	want, err := store.Sums(t.Context(), from.(store.Dumper))
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Sums(t.Context(), to.(store.Dumper))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range want {
		if got[name] != s {
			t.Errorf("table %s: %+v, want %+v", name, got[name], s)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tables, want %d", len(got), len(want))
	}
	a, err := from.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := to.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	(&bundle{t: t}).same("the loaded state", c, a)
}
