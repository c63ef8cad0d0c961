package gc_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/cli/gc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

type bundle struct {
	clock     *clock
	store     *disk.Store
	collector *gc.Collector
	used      []string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{clock: &clock{time.Now()}}
	s, err := disk.Open(t.TempDir(), disk.Options{Now: b.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b.store = s
	b.collector = &gc.Collector{
		Store: s, Uploads: s.Uploads(), Spare: time.Hour, UploadKept: 2 * time.Hour, Now: b.clock.now, Log: slog.New(slog.DiscardHandler),
		References: func(_ context.Context, fn func(string) error) error {
			for _, h := range b.used {
				if err := fn(h); err != nil {
					return err
				}
			}
			return nil
		},
	}
	return b
}

func (b *bundle) put(t *testing.T, text string) blob.Hash {
	t.Helper()
	i, err := b.store.Put(t.Context(), strings.NewReader(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return i.SHA256
}

func (b *bundle) has(t *testing.T, h blob.Hash) bool {
	t.Helper()
	_, err := b.store.Stat(t.Context(), h)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func TestOnlyOldUnusedFilesGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	used, unused := b.put(t, "used"), b.put(t, "unused!")
	b.clock.t = b.clock.t.Add(2 * time.Hour)
	young := b.put(t, "young")
	b.used = []string{used.String(), used.String(), "", "no hash"}

	r, err := b.collector.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(gc.Result{Seen: 3, Deleted: 1, Bytes: 7}, r); d != "" {
		t.Error(d)
	}
	got := []bool{b.has(t, used), b.has(t, unused), b.has(t, young)}
	if want := []bool{true, false, true}; !slices.Equal(got, want) {
		t.Errorf("used, unused, young are kept: %v, want %v", got, want)
	}
}

func TestFileTouchedMeanwhileStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.put(t, "about to be used again")
	b.clock.t = b.clock.t.Add(2 * time.Hour)
	b.collector.References = func(ctx context.Context, _ func(string) error) error {
		_, err := b.store.Touch(ctx, h) // a submission asks for it between the list and the deletion
		return err
	}
	r, err := b.collector.Collect(t.Context())
	if err != nil || r.Deleted != 0 || !b.has(t, h) {
		t.Errorf("result %+v, error %v, kept %v", r, err, b.has(t, h))
	}
}

func TestNothingGoesWhenReferencesFail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.put(t, "x")
	b.clock.t = b.clock.t.Add(2 * time.Hour)
	broken := errors.New("database is away")
	b.collector.References = func(context.Context, func(string) error) error { return broken }
	if _, err := b.collector.Collect(t.Context()); !errors.Is(err, broken) || !b.has(t, h) {
		t.Errorf("error %v, kept %v", err, b.has(t, h))
	}
}

func TestPassIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, text := range []string{"a", "b", "c"} {
		b.put(t, text)
	}
	b.clock.t = b.clock.t.Add(2 * time.Hour)
	b.collector.Most = 2
	var got []gc.Result
	for range 2 {
		r, err := b.collector.Collect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	want := []gc.Result{{Seen: 3, Deleted: 2, Bytes: 2, More: true}, {Seen: 1, Deleted: 1, Bytes: 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestOldUploadsAreDropped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.store.Uploads().Create(t.Context(), blob.Upload{Size: 10}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1} {
		if i == 1 {
			b.clock.t = b.clock.t.Add(3 * time.Hour)
		}
		r, err := b.collector.Collect(t.Context())
		if err != nil || r.Uploads != want {
			t.Errorf("pass %d dropped %d uploads (error %v), want %d", i, r.Uploads, err, want)
		}
	}
}

// counter is a store that counts passes.
type counter struct{ walks int }

func (c *counter) Walk(context.Context, func(blob.Info) error) error { c.walks++; return nil }
func (c *counter) Prune(context.Context, blob.Hash, time.Time) (bool, error) {
	return false, nil
}

func TestRunPassesEachPeriodUntilTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &counter{}
		c := &gc.Collector{Store: s, Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { c.Run(ctx, time.Minute); close(ended) }()
		time.Sleep(3*time.Minute + time.Second)
		synctest.Wait()
		if s.walks != 3 {
			t.Errorf("%d passes in 3 minutes, want 3", s.walks)
		}
		cancel()
		<-ended
	})
}
