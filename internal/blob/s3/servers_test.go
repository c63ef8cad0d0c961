package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

// TestUploadOverServers continues one upload on two servers in turn.
func TestUploadOverServers(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	servers := []*Store{b.open(t, Options{}), b.open(t, Options{})}
	data := blobtest.Content(1, 10_000)
	id, err := servers[0].Uploads().Create(t.Context(), blob.Upload{Want: blobtest.HashOf(data), Size: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		s := servers[i%2]
		p, err := s.Uploads().Info(t.Context(), id)
		if err != nil || p.Offset != int64(i*1000) {
			t.Fatalf("at %d, %v", p.Offset, err)
		}
		if _, err := s.Uploads().Append(t.Context(), id, p.Offset, bytes.NewReader(data[i*1000:][:1000])); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range servers {
		if info, err := s.Uploads().Finish(t.Context(), id); err != nil || info.SHA256 != blobtest.HashOf(data) {
			t.Errorf("finish: %v, %v", info.SHA256, err)
		}
	}
}

// TestTwoServersOneOffset lets two servers append at one offset at once: one
// wins, the other is told, and not a byte is mixed.
func TestTwoServersOneOffset(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	one, two := b.open(t, Options{}), b.open(t, Options{})
	data, other := blobtest.Content(1, 4000), blobtest.Content(2, 4000)
	id, err := one.Uploads().Create(t.Context(), blob.Upload{Want: blobtest.HashOf(data), Size: 4000})
	if err != nil {
		t.Fatal(err)
	}
	reached, open := make(chan struct{}), make(chan struct{})
	slow := make(chan error, 1)
	go func() {
		_, err := one.Uploads().Append(t.Context(), id, 0, io.MultiReader(bytes.NewReader(other[:3000]), readFunc(func([]byte) (int, error) {
			close(reached)
			<-open
			return 0, io.EOF
		})))
		slow <- err
	}()
	<-reached
	if _, err := two.Uploads().Append(t.Context(), id, 0, bytes.NewReader(data[:2000])); err != nil {
		t.Errorf("the quick server: %v", err)
	}
	close(open)
	if err := <-slow; !errors.Is(err, blob.ErrBusy) {
		t.Errorf("the slow server: %v", err)
	}
	if at, err := one.Uploads().Append(t.Context(), id, 2000, bytes.NewReader(data[2000:])); err != nil || at != 4000 {
		t.Errorf("go on: at %d, %v", at, err)
	}
	if err := two.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
		t.Error(err)
	}
}

// TestPutWaitsForAPruneOfAnotherServer stops a prune between its look at the
// blob and its deletion. A put meanwhile must not trust what it sees.
func TestPutWaitsForAPruneOfAnotherServer(t *testing.T) {
	t.Parallel()
	for name, renew := range map[string]func(s *Store, data []byte) error{
		"put": func(s *Store, data []byte) error {
			_, err := s.Put(t.Context(), bytes.NewReader(data), nil)
			return err
		},
		"touch": func(s *Store, data []byte) error {
			_, err := s.Touch(t.Context(), blobtest.HashOf(data))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(t)
			data := blobtest.Content(1, 1000)
			if _, err := b.open(t, Options{}).Put(t.Context(), bytes.NewReader(data), nil); err != nil {
				t.Fatal(err)
			}
			b.advance(2 * time.Hour)
			deleting, goOn := make(chan struct{}), make(chan struct{})
			l := newLine(t)
			l.on = func(_ int, r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/sha256/") {
					close(deleting)
					<-goOn
				}
				return nil, nil
			}
			pruner := b.open(t, Options{Transport: l})
			pruned := make(chan error, 1)
			go func() {
				_, err := pruner.Prune(t.Context(), blobtest.HashOf(data), time.Now().Add(time.Hour))
				pruned <- err
			}()
			<-deleting
			// The other server is let go on when it has seen the mark.
			seen := make(chan struct{})
			l2 := newLine(t)
			l2.after = func(r *http.Request, _ *http.Response) {
				if strings.Contains(r.URL.RawQuery, "prune") {
					select {
					case <-seen:
					default:
						close(seen)
					}
				}
			}
			renewer := b.open(t, Options{Transport: l2})
			renewed := make(chan error, 1)
			go func() { renewed <- renew(renewer, data) }()
			<-seen
			close(goOn)
			if err := <-pruned; err != nil {
				t.Errorf("prune: %v", err)
			}
			err := <-renewed
			switch has := renewer.Verify(t.Context(), blobtest.HashOf(data)); {
			case err == nil && has != nil:
				t.Errorf("it was acknowledged and is gone: %v", has)
			case err != nil && (name == "put" || !errors.Is(err, blob.ErrNotFound)):
				t.Errorf("renew: %v", err)
			}
			if left := leftovers(t, renewer); len(left) > 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

// TestAPrunerThatDied leaves a mark that nobody takes away.
func TestAPrunerThatDied(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := b.open(t, Options{pruneTime: 50 * time.Millisecond})
	data := blobtest.Content(1, 1000)
	if err := s.write(t.Context(), s.keys.prune(blobtest.HashOf(data))+blob.NewUploadID(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

func TestTooManyUploads(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	one, two := b.open(t, Options{MaxUploads: 2}), b.open(t, Options{MaxUploads: 2})
	var id string
	for _, s := range []*Store{one, two} {
		var err error
		if id, err = s.Uploads().Create(t.Context(), blob.Upload{Size: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.Uploads().Create(t.Context(), blob.Upload{Size: 1}); !errors.Is(err, blob.ErrTooMany) {
		t.Errorf("a third upload: %v", err)
	}
	if _, err := one.Uploads().Append(t.Context(), id, 0, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Uploads().Create(t.Context(), blob.Upload{Size: 1}); err != nil {
		t.Errorf("after one was finished: %v", err)
	}
}

func TestTooManyAppends(t *testing.T) {
	t.Parallel()
	s := newBucket(t).open(t, Options{})
	st := state{about: about{Size: 100}, parts: make([]part, maxParts)}
	err := s.uploads.append(t.Context(), blob.NewUploadID(), &st, strings.NewReader("x"))
	if !errors.Is(err, blob.ErrTooMany) || st.offset != 0 {
		t.Errorf("at %d, %v", st.offset, err)
	}
	if n := s.partSize(5 << 40); (5<<40)/n >= maxParts {
		t.Errorf("the longest upload has parts of %d bytes, which is too many parts", n)
	}
}

// TestStrayPart refuses an upload whose parts do not follow one another.
func TestStrayPart(t *testing.T) {
	t.Parallel()
	for _, stray := range []string{"0000000000000005", "x", "000000000000000A"} {
		s := newBucket(t).open(t, Options{})
		id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 100})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.write(t.Context(), s.keys.parts(id)+stray, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Uploads().Info(t.Context(), id); err == nil || !strings.Contains(err.Error(), "stray part") {
			t.Errorf("%s: %v", stray, err)
		}
		if err := s.Uploads().Remove(t.Context(), id); err != nil {
			t.Errorf("%s: remove: %v", stray, err)
		}
	}
}

// TestForeignObjects are no blobs, whatever they are called.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	s := newBucket(t).open(t, Options{})
	h := blob.Hash{0xab}.String()
	for _, key := range []string{"sha256/readme", "sha256/ab/" + h[:63], "sha256/cd/" + h, "sha256/ab/" + strings.ToUpper(h), "sha256/ab/x/" + h} {
		if err := s.write(t.Context(), s.keys.prefix+key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := blobs(t, s); len(got) != 0 {
		t.Errorf("walk gave %v", got)
	}
}

// TestMD5OfAForeignBlob reads a blob that another program brought.
func TestMD5OfAForeignBlob(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := b.open(t, Options{})
	data := blobtest.Content(1, 1000)
	if err := s.write(t.Context(), s.keys.blob(blobtest.HashOf(data)), data); err != nil {
		t.Fatal(err)
	}
	h := blob.NewHasher()
	_, _ = h.Write(data)
	info, err := s.Stat(t.Context(), blobtest.HashOf(data))
	if err != nil || info.MD5 != h.Info().MD5 {
		t.Errorf("stat gave %x, %v", info.MD5, err)
	}
}

func FuzzAbout(f *testing.F) {
	f.Add([]byte(`{"want":"","size":5,"meta":{"a":"b"}}`))
	f.Add([]byte(`{"size":-1}`))
	f.Add([]byte(`{"done":{"md5":"AAAAAAAAAAAAAAAAAAAAAA==","sha256":"` + blob.Hash{1}.String() + `"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, done, err := decodeAbout(data)
		if err != nil {
			return
		}
		if a.Size < 0 || done != nil && done.SHA256.IsZero() {
			t.Errorf("%q gives %+v", data, a)
		}
		text, err := encodeAbout(a)
		if err != nil {
			return // it is too long
		}
		if _, _, err := decodeAbout(text); err != nil {
			t.Errorf("%q does not come back: %v", data, err)
		}
	})
}
