package disk

import (
	"bytes"
	"crypto/md5"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

// putAndForget stores a content and opens the store anew, so that nothing is
// in memory; between the two the list of its MD5 is handed to change.
func putAndForget(t *testing.T, data []byte, change func(list string)) *Store {
	t.Helper()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	change(filepath.Join(s.shard(blobtest.HashOf(data)).dir, sumsName))
	s = mustOpen(t, dir, Options{})
	<-s.counted
	return s
}

func TestMD5ComesFromTheList(t *testing.T) {
	t.Parallel()
	data := blobtest.Content(1, 1000)
	s := putAndForget(t, data, func(list string) {
		fake := encodeSum(blob.Info{SHA256: blobtest.HashOf(data), MD5: [16]byte{42}, Size: 1000})
		if err := os.WriteFile(list, fake, fileMode); err != nil {
			t.Fatal(err)
		}
	})
	info, err := s.Stat(t.Context(), blobtest.HashOf(data))
	if err != nil || info.MD5 != [16]byte{42} {
		t.Errorf("stat gave %x, %v: it did not read the list", info.MD5, err)
	}
}

func TestMD5IsComputedWhenTheListFails(t *testing.T) {
	t.Parallel()
	data := blobtest.Content(1, 1000)
	good := blob.Info{SHA256: blobtest.HashOf(data), MD5: md5.Sum(data), Size: 1000}
	flipped := encodeSum(good)
	flipped[40] ^= 1
	for name, list := range map[string][]byte{
		"lost":        nil,
		"torn":        encodeSum(good)[:50],
		"damaged":     flipped,
		"other size":  encodeSum(blob.Info{SHA256: good.SHA256, MD5: [16]byte{1}, Size: 999}),
		"other blobs": encodeSum(blob.Info{SHA256: blob.Hash{1}, MD5: [16]byte{1}, Size: 1000}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var path string
			s := putAndForget(t, data, func(p string) {
				path = p
				if err := os.WriteFile(p, list, fileMode); err != nil {
					t.Fatal(err)
				}
			})
			info, err := s.Stat(t.Context(), good.SHA256)
			if err != nil || info.MD5 != good.MD5 {
				t.Errorf("stat gave %x, %v", info.MD5, err)
			}
			// It is noted for the next time, in step with what was there.
			sum, found, err := findSum(filepath.Dir(path), good.SHA256, good.Size)
			if err != nil || !found || sum != good.MD5 {
				t.Errorf("the list has %x, %v, %v", sum, found, err)
			}
		})
	}
}

func TestMD5OfADamagedBlobIsNotComputed(t *testing.T) {
	t.Parallel()
	data := blobtest.Content(1, 1000)
	s := putAndForget(t, data, func(list string) {
		if err := os.Remove(list); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(list), blobtest.HashOf(data).String()), data[:999], fileMode); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := s.Stat(t.Context(), blobtest.HashOf(data)); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("stat: %v", err)
	}
}

func TestSumsAreCompacted(t *testing.T) {
	t.Parallel()
	data := blobtest.Content(1, 1000)
	good := blob.Info{SHA256: blobtest.HashOf(data), MD5: md5.Sum(data), Size: 1000}
	var path string
	putAndForget(t, data, func(list string) {
		path = list
		for i := range sumsSlack + 10 {
			if err := appendSum(filepath.Dir(list), blob.Info{SHA256: blob.Hash{byte(i), 1}}); err != nil {
				t.Fatal(err)
			}
		}
	})
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(encodeSum(good), got); diff != "" {
		t.Errorf("the list was not compacted (-want +got):\n%s", diff)
	}
}

func FuzzSums(f *testing.F) {
	good := encodeSum(blob.Info{SHA256: blob.Hash{1}, MD5: [16]byte{2}, Size: 3})
	f.Add([]byte(nil))
	f.Add(good)
	f.Add(append(good, good[:10]...))
	f.Add(bytes.Repeat(good, 3))
	f.Fuzz(func(t *testing.T, list []byte) {
		n := 0
		if err := eachSum(bytes.NewReader(list), func(info blob.Info) bool {
			n++
			if rec, ok := decodeSum(encodeSum(info)); !ok || rec != info {
				t.Errorf("%+v does not come back", info)
			}
			return true
		}); err != nil {
			t.Error(err)
		}
		if n > len(list)/sumLen {
			t.Errorf("%d records in %d bytes", n, len(list))
		}
	})
}
