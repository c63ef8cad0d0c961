package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/minio/minio-go/v7"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/blobtest"
)

// line is a transport that a test can interfere with.
type line struct {
	mu   sync.Mutex
	n    int
	next *http.Transport
	// on is asked before each request, with its number from 1; an answer or
	// an error of it takes the place of the server's.
	on func(n int, r *http.Request) (*http.Response, error)
	// after may change an answer.
	after func(r *http.Request, res *http.Response)
}

var errDead = errors.New("the server is dead")

func newLine(t *testing.T) *line {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &line{next: tr}
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	l.n++
	n := l.n
	l.mu.Unlock()
	if l.on != nil {
		if res, err := l.on(n, r); res != nil || err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return res, err
		}
	}
	res, err := l.next.RoundTrip(r)
	if err == nil && l.after != nil {
		l.after(r, res)
	}
	return res, err
}

func (l *line) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func respond(r *http.Request, status int, code string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/xml"}},
		Body:    io.NopCloser(strings.NewReader("<Error><Code>" + code + "</Code><Message>no</Message></Error>")),
		Request: r,
	}
}

func isBlobWrite(r *http.Request) bool {
	return (r.Method == http.MethodPut || r.Method == http.MethodPost) && strings.Contains(r.URL.Path, "/sha256/")
}

// TestDeathAfterEachRequest lets a server die after its first, second, …
// request. What it acknowledged is there, nothing is there that is not whole,
// and another server goes on.
func TestDeathAfterEachRequest(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(t *testing.T, s *Store, acked func([]byte)) error{
		"put": func(t *testing.T, s *Store, acked func([]byte)) error {
			for _, n := range []int{1000, 17 << 20, 1000} { // the last one is there already
				data := blobtest.Content(uint64(n), n)
				if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); err != nil {
					return err
				}
				acked(data)
			}
			return nil
		},
		"upload": func(t *testing.T, s *Store, acked func([]byte)) error {
			data := blobtest.Content(1, 5000)
			id, err := s.Uploads().Create(t.Context(), blob.Upload{Want: blobtest.HashOf(data), Size: 5000})
			for from := 0; err == nil && from < 5000; from += 2500 {
				_, err = s.Uploads().Append(t.Context(), id, int64(from), bytes.NewReader(data[from:from+2500]))
			}
			if err == nil {
				acked(data)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for die, done := 3, false; !done; die++ { // Open takes two
				b := newBucket(t)
				l := newLine(t)
				l.on = func(n int, _ *http.Request) (*http.Response, error) {
					if n >= die {
						return nil, errDead
					}
					return nil, nil
				}
				var kept [][]byte
				err := work(t, b.open(t, Options{Transport: l}), func(data []byte) { kept = append(kept, data) })
				done = err == nil
				other := b.open(t, Options{})
				for _, data := range kept {
					if err := other.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
						t.Errorf("death at request %d: an acknowledged file: %v", die, err)
					}
				}
				checkWhole(t, other)
				resume(t, other)
				if err := work(t, other, func([]byte) {}); err != nil {
					t.Errorf("death at request %d: another server: %v", die, err)
				}
				checkWhole(t, other)
				if die > 200 {
					t.Fatal("the work does not end")
				}
			}
		})
	}
}

// checkWhole verifies every blob of a store.
func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	err := s.Walk(t.Context(), func(i blob.Info) error { return s.Verify(t.Context(), i.SHA256) })
	if err != nil {
		t.Error(err)
	}
}

// resume takes up whatever upload there is and ends it.
func resume(t *testing.T, s *Store) {
	t.Helper()
	data := blobtest.Content(1, 5000)
	for o := range s.list(t.Context(), s.keys.uploads()) {
		id, _ := s.keys.parseUpload(s.keys.uploads(), o.Key)
		p, err := s.Uploads().Info(t.Context(), id)
		if errors.Is(err, blob.ErrNotFound) {
			continue // only its parts were left
		}
		if err == nil && p.Done == nil && p.Offset < 5000 {
			_, err = s.Uploads().Append(t.Context(), id, p.Offset, bytes.NewReader(data[p.Offset:]))
		}
		if err == nil {
			_, err = s.Uploads().Finish(t.Context(), id)
		}
		if err != nil {
			t.Errorf("an upload of a dead server: %v", err)
			continue
		}
		if err := s.Verify(t.Context(), blobtest.HashOf(data)); err != nil {
			t.Error(err)
		}
	}
}

func TestFullBucket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   string
	}{{507, "XMinioStorageFull"}, {507, "Whatever"}, {400, "XMinioAdminBucketQuotaExceeded"}, {403, "QuotaExceeded"}} {
		b := newBucket(t)
		l := newLine(t)
		full := true
		l.on = func(_ int, r *http.Request) (*http.Response, error) {
			if full && isBlobWrite(r) {
				return respond(r, c.status, c.code), nil
			}
			return nil, nil
		}
		s := b.open(t, Options{Transport: l})
		data := blobtest.Content(1, 1000)
		if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); !errors.Is(err, blob.ErrFull) {
			t.Errorf("%s: put: %v", c.code, err)
		}
		id, err := s.Uploads().Create(t.Context(), blob.Upload{Size: 1000})
		if err != nil {
			t.Fatal(err)
		}
		at, err := s.Uploads().Append(t.Context(), id, 0, bytes.NewReader(data))
		if !errors.Is(err, blob.ErrFull) || at != 1000 {
			t.Errorf("%s: append: at %d, %v", c.code, at, err)
		}
		full = false
		if _, err := s.Uploads().Finish(t.Context(), id); err != nil {
			t.Errorf("%s: when there is room again: %v", c.code, err)
		}
		if left := leftovers(t, s); len(left) > 0 {
			t.Errorf("left over: %q", left)
		}
	}
}

// TestWrongSize lets the server keep other bytes than were sent.
func TestWrongSize(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	l := newLine(t)
	l.after = func(r *http.Request, res *http.Response) {
		if r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/sha256/") {
			res.Header.Set("Content-Length", "999")
			res.ContentLength = 999
		}
	}
	s := b.open(t, Options{Transport: l})
	if _, err := s.Put(t.Context(), bytes.NewReader(make([]byte, 1000)), nil); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if left := len(blobs(t, b.open(t, Options{}))); left != 0 {
		t.Errorf("%d blobs are there", left)
	}
}

func blobs(t *testing.T, s *Store) (list []blob.Hash) {
	t.Helper()
	err := s.Walk(t.Context(), func(i blob.Info) error { list = append(list, i.SHA256); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// cutBody ends a body with an error after some bytes.
type cutBody struct {
	io.Reader
	io.Closer
}

func TestReadingOverABreakingLine(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	data := blobtest.Content(1, 2<<20)
	if _, err := b.open(t, Options{}).Put(t.Context(), bytes.NewReader(data), nil); err != nil {
		t.Fatal(err)
	}
	for _, end := range []error{io.ErrUnexpectedEOF, io.EOF} {
		l := newLine(t)
		l.after = func(r *http.Request, res *http.Response) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/sha256/") {
				res.Body = cutBody{io.MultiReader(io.LimitReader(res.Body, 150_000), iotest.ErrReader(end)), res.Body}
			}
		}
		s := b.open(t, Options{Transport: l})
		f, err := s.Open(t.Context(), blobtest.HashOf(data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%v: read %d bytes, %v", end, len(got), err)
		}
		got = make([]byte, 300_000)
		if n, err := f.ReadAt(got, 700_000); err != nil || !bytes.Equal(got, data[700_000:1_000_000]) {
			t.Errorf("%v: read %d bytes at an offset, %v", end, n, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadingFromADeadServer(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	l := newLine(t)
	s := b.open(t, Options{Transport: l})
	info, err := s.Put(t.Context(), strings.NewReader("content"), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Open(t.Context(), info.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l.on = func(int, *http.Request) (*http.Response, error) { return nil, errDead }
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, errDead) {
		t.Errorf("read: %v", err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, errDead) {
		t.Errorf("read at an offset: %v", err)
	}
	l.on = nil
	if err := s.Delete(t.Context(), info.SHA256); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("read what was deleted: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() (int, error){
		func() (int, error) { return f.Read(make([]byte, 1)) },
		func() (int, error) { return f.ReadAt(make([]byte, 1), 0) },
	} {
		if _, err := read(); !errors.Is(err, errFileClosed) {
			t.Errorf("read after close: %v", err)
		}
	}
}

// TestRequestsOfReading holds reading to the number of requests it is worth.
func TestRequestsOfReading(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	l := newLine(t)
	s := b.open(t, Options{Transport: l})
	data := blobtest.Content(1, 2<<20)
	if _, err := s.Put(t.Context(), bytes.NewReader(data), nil); err != nil {
		t.Fatal(err)
	}
	f, err := s.Open(t.Context(), blobtest.HashOf(data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		name string
		do   func() error
		want int
	}{
		{"all in small reads", func() error {
			_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, f, make([]byte, 1000))
			return err
		}, 1},
		{"small steps ahead", func() error {
			for i := range int64(20) {
				if _, err := f.Seek(i*30_000, io.SeekStart); err != nil {
					return err
				}
				if _, err := f.Read(make([]byte, 10)); err != nil {
					return err
				}
			}
			return nil
		}, 1},
		{"many offsets in four blocks", func() error {
			for i := range int64(400) {
				if _, err := f.ReadAt(make([]byte, 50), i*7919%(4*blockSize-50)); err != nil {
					return err
				}
			}
			return nil
		}, 4},
		{"one long piece at an offset", func() error {
			_, err := f.ReadAt(make([]byte, 2<<20), 0)
			return err
		}, 1},
	} {
		before := l.count()
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if n := l.count() - before; n != c.want {
			t.Errorf("%s: %d requests, want %d", c.name, n, c.want)
		}
	}
}

func TestSpoolFilesGo(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	dir := t.TempDir()
	stale := dir + "/" + spoolPrefix + "of-a-dead-process"
	if err := os.WriteFile(stale, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := b.open(t, Options{SpoolDir: dir})
	if _, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(1, 3<<20)), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), iotest.TimeoutReader(bytes.NewReader(blobtest.Content(1, 3<<20))), nil); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a failing reader: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("the spool folder has %v, %v", entries, err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	var failed *spoolError
	if _, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(2, 3<<20)), nil); !errors.As(err, &failed) {
		t.Errorf("without a spool folder: %v", err)
	}
	if _, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(2, 1000)), nil); err != nil {
		t.Errorf("short content needs no spool file: %v", err)
	}
}

func TestExpireRemovesWhatDeadServersLeft(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := b.open(t, Options{})
	key := s.keys.blob(blob.Hash{1})
	if _, err := s.core.NewMultipartUpload(t.Context(), s.bucket, key, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), s.keys.prune(blob.Hash{1})+blob.NewUploadID(), nil); err != nil {
		t.Fatal(err)
	}
	orphan := s.keys.part(blob.NewUploadID(), 0) // of an upload removed meanwhile
	if err := s.write(t.Context(), orphan, []byte("x")); err != nil {
		t.Fatal(err)
	}
	foreign := s.keys.prefix + "of-somebody-else"
	if err := s.write(t.Context(), foreign, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s); len(left) != 4 {
		t.Fatalf("prepared %q", left)
	}
	if _, err := s.Uploads().Expire(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s); len(left) != 4 {
		t.Errorf("young things were removed, there is %q", left)
	}
	b.advance(time.Hour)
	if _, err := s.Uploads().Expire(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, s); len(left) != 1 || left[0] != foreign {
		t.Errorf("after an expiry there is %q", left)
	}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	s := newBucket(t).open(t, Options{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, put := s.Put(t.Context(), strings.NewReader("x"), nil)
	_, create := s.Uploads().Create(t.Context(), blob.Upload{Size: 1})
	for what, err := range map[string]error{"put": put, "create": create, "delete": s.Delete(t.Context(), blob.Hash{})} {
		if !errors.Is(err, blob.ErrClosed) {
			t.Errorf("%s after close: %v", what, err)
		}
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := newBucket(t).open(t, Options{})
	reached, closing := make(chan struct{}), make(chan struct{})
	got := make(chan error, 1)
	go func() {
		_, err := s.Put(t.Context(), io.MultiReader(strings.NewReader("begin"), readFunc(func([]byte) (int, error) {
			close(reached)
			<-closing
			return 0, io.EOF
		}), strings.NewReader("end")), nil)
		got <- err
	}()
	<-reached
	ended := make(chan error)
	go func() { ended <- s.Close() }()
	<-s.done.Done()
	close(closing)
	if err := <-got; !errors.Is(err, blob.ErrClosed) {
		t.Errorf("a put under way: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
