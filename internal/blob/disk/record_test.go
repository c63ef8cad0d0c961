package disk

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

func testState(t testing.TB, m mark, r record) []byte {
	t.Helper()
	state, err := encodeState(m, r)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestStateComesBack(t *testing.T) {
	t.Parallel()
	m := mark{number: 7, offset: 99, updated: time.Unix(5, 6), hash: []byte("state")}
	r := record{
		Want: blob.Hash{1}, Size: 100, Owner: "ada", Meta: map[string]string{"a": "b"},
		Done: &doneRecord{SHA256: blob.Hash{2}, MD5: make([]byte, 16), Stored: time.Unix(9, 0).UTC()},
	}
	gotM, gotR, err := decodeState(testState(t, m, r))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, gotM, cmp.AllowUnexported(mark{})); diff != "" {
		t.Errorf("mark (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(r, gotR); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestTornMarkLeavesTheOther(t *testing.T) {
	t.Parallel()
	state := testState(t, mark{number: 4, offset: 10}, record{Size: 100})
	newer, err := mark{number: 5, offset: 20}.encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(state[slotLen:], newer)
	for cut, want := range map[int]int64{slotLen: 20, slotLen - 1: 10, 100: 10, 1: 10, 0: 10} {
		torn := slices.Clone(state)
		for i := slotLen + cut; i < 2*slotLen; i++ {
			torn[i] = 0xEE
		}
		m, _, err := decodeState(torn)
		if err != nil || m.offset != want {
			t.Errorf("torn after %d bytes: offset %d, %v, want %d", cut, m.offset, err, want)
		}
	}
}

func TestStatesThatAreRefused(t *testing.T) {
	t.Parallel()
	good := testState(t, mark{offset: 1}, record{Size: 1})
	damaged := slices.Clone(good)
	damaged[20] ^= 1
	for name, state := range map[string][]byte{
		"empty":          nil,
		"slots only":     good[:2*slotLen],
		"no JSON":        append(slices.Clone(good[:2*slotLen]), "}"...),
		"damaged slot":   damaged,
		"behind the end": testState(t, mark{offset: 2}, record{Size: 1}),
		"negative size":  testState(t, mark{}, record{Size: -1}),
		"no MD5":         testState(t, mark{}, record{Done: &doneRecord{SHA256: blob.Hash{1}}}),
		"no hash":        testState(t, mark{}, record{Done: &doneRecord{MD5: make([]byte, 16)}}),
	} {
		if _, _, err := decodeState(state); !errors.Is(err, errBadState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (mark{hash: make([]byte, slotLen)}).encode(); !errors.Is(err, blob.ErrInvalid) {
		t.Errorf("a hash state that is too long: %v", err)
	}
}

func FuzzState(f *testing.F) {
	f.Add(testState(f, mark{number: 1, offset: 5, hash: []byte("x")}, record{Size: 9, Meta: map[string]string{"a": "b"}}))
	f.Add(testState(f, mark{}, record{Done: &doneRecord{SHA256: blob.Hash{1}, MD5: make([]byte, 16)}}))
	f.Add(make([]byte, 2*slotLen+2))
	f.Fuzz(func(t *testing.T, state []byte) {
		m, r, err := decodeState(state)
		if err != nil {
			return
		}
		if m.offset < 0 || m.offset > r.Size {
			t.Errorf("offset %d of %d", m.offset, r.Size)
		}
		again, _, err := decodeState(testState(t, m, r))
		if err != nil || again.offset != m.offset || !bytes.Equal(again.hash, m.hash) {
			t.Errorf("%+v comes back as %+v, %v", m, again, err)
		}
	})
}

// TestHashOfAnotherRelease takes up an upload whose hash state this program
// cannot read: the content is hashed again.
func TestHashOfAnotherRelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	data := blobtest.Content(1, 700_000)
	id, err := s.Uploads().Create(t.Context(), blob.Upload{Want: blobtest.HashOf(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader(data[:600_000])); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := s.uploads.statePath(id)
	m, r, err := readState(path)
	if err != nil {
		t.Fatal(err)
	}
	m.hash = []byte("of the future")
	if err := os.WriteFile(path, testState(t, m, r), fileMode); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{})
	if _, err := s.Uploads().Append(t.Context(), id, 600_000, bytes.NewReader(data[600_000:])); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
		t.Error(err)
	}
}

// TestUploadWhoseDataIsShort drops an upload that lost bytes it had marked.
func TestUploadWhoseDataIsShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 100})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader(make([]byte, 50))); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.uploads.dataPath(id), 49); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{})
	if _, err := s.Uploads().Info(t.Context(), id); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	wantUsage(t, s, Usage{})
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// TestTailBeyondTheMark cuts off bytes that no mark speaks of, as a power cut
// can leave them.
func TestTailBeyondTheMark(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	data := blobtest.Content(1, 1000)
	id, err := s.Uploads().Create(t.Context(), blob.Upload{Want: blobtest.HashOf(data), Size: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader(data[:500])); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.uploads.dataPath(id), append(data[:500:500], make([]byte, 3000)...), fileMode); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{})
	if _, err := s.Uploads().Append(t.Context(), id, 500, bytes.NewReader(data[500:])); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
		t.Error(err)
	}
}
