package disk

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

// TestUploadsThatNobodyGoesOnWithMakeRoom: an upload is promised its whole size,
// but one whose client went away keeps nobody out for a day.
func TestUploadsThatNobodyGoesOnWithMakeRoom(t *testing.T) {
	t.Parallel()
	var c clock
	dir := t.TempDir()
	open := func() *Store {
		return mustOpen(t, dir, Options{Limit: 1000, Idle: time.Minute, Now: c.now})
	}
	s := open()
	create := func(n int64) (string, error) {
		return s.Uploads().Create(t.Context(), blob.Upload{Owner: "ann", Size: n})
	}
	part := func(id string, at int64, content []byte) error {
		_, err := s.Uploads().Append(t.Context(), id, at, bytes.NewReader(content))
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	large := blobtest.Content(1, 900)
	away, err := create(900)
	must(err)
	must(part(away, 0, large[:100]))
	if _, err := create(200); !errors.Is(err, blob.ErrFull) {
		t.Fatalf("beside one that is under way: %v", err)
	}
	c.advance(2 * time.Minute)
	frame := blobtest.Content(2, 600)
	if _, err := s.Put(t.Context(), blob.WithSize(bytes.NewReader(frame), 600), nil); err != nil {
		t.Fatalf("beside one that is idle: %v", err)
	}
	wantUsage(t, s, Usage{Blobs: 1, Bytes: 600, Reserved: 100})
	// Its client comes back to no room, and loses nothing of what was sent.
	if err := part(away, 100, large[100:]); !errors.Is(err, blob.ErrFull) {
		t.Errorf("going on without room: %v", err)
	}
	if p, err := s.Uploads().Info(t.Context(), away); err != nil || p.Offset != 100 {
		t.Errorf("then it is at %d, %v", p.Offset, err)
	}
	must(s.Delete(t.Context(), blobtest.HashOf(frame)))
	must(part(away, 100, large[100:200]))
	wantUsage(t, s, Usage{Reserved: 900})
	must(part(away, 200, large[200:]))
	wantUsage(t, s, Usage{Blobs: 1, Bytes: 900})
	must(s.Delete(t.Context(), blobtest.HashOf(large)))

	// One that gave up its room and is removed, or taken up by the next process,
	// does not throw the account out.
	for range 2 {
		if away, err = create(800); err != nil {
			t.Fatal(err)
		}
		c.advance(2 * time.Minute)
		other, err := create(900)
		must(err)
		wantUsage(t, s, Usage{Reserved: 900})
		must(s.Uploads().Remove(t.Context(), away))
		must(s.Uploads().Remove(t.Context(), other))
		wantUsage(t, s, Usage{})
		must(s.Close())
		s = open()
	}
}

// TestNoOwnerHasAllUploads: one account must not keep all others out.
func TestNoOwnerHasAllUploads(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir(), Options{MaxUploads: 4})
	create := func(owner string) error {
		_, err := s.Uploads().Create(t.Context(), blob.Upload{Owner: owner, Size: 1})
		return err
	}
	for i, owner := range []string{"ann", "ann", "bob"} {
		if err := create(owner); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := create("ann"); !errors.Is(err, blob.ErrTooMany) {
		t.Errorf("a third of ann's: %v", err)
	}
	if err := create("cid"); err != nil {
		t.Errorf("the last: %v", err)
	}
	if err := create("dan"); !errors.Is(err, blob.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
}
