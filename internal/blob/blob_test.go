package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseHash(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789abcdef", 4)
	h, err := ParseHash(text)
	if err != nil || h.String() != text {
		t.Errorf("%s comes back as %s, %v", text, h, err)
	}
	if upper, err := ParseHash(strings.ToUpper(text)); err != nil || upper != h {
		t.Errorf("upper case gives %s, %v", upper, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", "g" + text[1:], strings.Repeat("é", 32), text[:62] + "\n0"} {
		if got, err := ParseHash(bad); !errors.Is(err, ErrInvalid) || !got.IsZero() {
			t.Errorf("%q gives %s, %v", bad, got, err)
		}
	}
}

func TestHashInJSON(t *testing.T) {
	t.Parallel()
	type doc struct{ A, B Hash }
	want := doc{A: Hash{1, 2}}
	text, err := json.Marshal(want)
	if err != nil || !strings.Contains(string(text), `"B":""`) {
		t.Fatalf("%s, %v", text, err)
	}
	var got doc
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s comes back as %+v, %v", text, got, err)
	}
	if err := json.Unmarshal([]byte(`{"A":"12"}`), &got); !errors.Is(err, ErrInvalid) {
		t.Errorf("a short hash: %v", err)
	}
}

func TestHasher(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 50_000)
	h := NewHasher()
	for i, step := 0, 1; i < len(data); step = step*2 + 1 { // both sides of parallelFrom
		end := min(i+step, len(data))
		if n, err := h.Write(data[i:end]); n != end-i || err != nil {
			t.Fatalf("wrote %d of %d, %v", n, end-i, err)
		}
		i = end
		state, err := h.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		h = NewHasher() // another process
		if err := h.UnmarshalBinary(state); err != nil || h.Size() != int64(end) {
			t.Fatalf("at %d: taken up at %d, %v", end, h.Size(), err)
		}
	}
	want := Info{SHA256: sha256.Sum256(data), MD5: md5.Sum(data), Size: int64(len(data))}
	if diff := cmp.Diff(want, h.Info()); diff != "" {
		t.Errorf("wrong sums (-want +got):\n%s", diff)
	}
}

func TestHasherBeside(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, n := range []int{0, 1, parallelFrom, 10 * parallelFrom} {
		data := make([]byte, n)
		h, ran := NewHasher(), false
		if err := h.Beside(data, func() error { ran = true; return broken }); err != broken || !ran {
			t.Errorf("%d bytes: %v, ran: %v", n, err, ran)
		}
		if h.Info().SHA256 != sha256.Sum256(data) {
			t.Errorf("%d bytes: wrong sum", n)
		}
	}
}

func FuzzHasherState(f *testing.F) {
	h := NewHasher()
	for _, text := range []string{"", "abc", strings.Repeat("x", 100)} {
		_, _ = h.Write([]byte(text))
		state, err := h.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(state)
		f.Add(state[:len(state)-1])
		f.Add(append(state, 0))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		h := NewHasher()
		before := h.Info()
		if err := h.UnmarshalBinary(state); err != nil {
			if !errors.Is(err, ErrInvalid) || h.Info() != before {
				t.Errorf("%v, or the hasher was changed", err)
			}
			return
		}
		again, err := h.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		other := NewHasher()
		if err := other.UnmarshalBinary(again); err != nil || other.Info() != h.Info() {
			t.Errorf("the state does not come back: %v", err)
		}
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestFill(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	zeros := 0
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		n    int
		want error
	}{
		"full":           {t.Context(), strings.NewReader("0123456789"), 8, nil},
		"exact":          {t.Context(), strings.NewReader("01234567"), 8, nil},
		"end":            {t.Context(), strings.NewReader("0123"), 4, io.EOF},
		"end with data":  {t.Context(), iotest.DataErrReader(strings.NewReader("0123")), 4, io.EOF},
		"byte by byte":   {t.Context(), iotest.OneByteReader(strings.NewReader("0123456789")), 8, nil},
		"cut":            {t.Context(), io.MultiReader(strings.NewReader("0123"), iotest.ErrReader(io.ErrUnexpectedEOF)), 4, io.ErrUnexpectedEOF},
		"cancelled":      {cancelled, strings.NewReader("0123"), 0, broken},
		"never anything": {t.Context(), readFunc(func([]byte) (int, error) { return 0, nil }), 0, io.ErrNoProgress},
		"negative":       {t.Context(), readFunc(func([]byte) (int, error) { return -1, nil }), 0, ErrInvalid},
		"too much":       {t.Context(), readFunc(func(p []byte) (int, error) { return len(p) + 1, nil }), 0, ErrInvalid},
		"slow but alive": {t.Context(), readFunc(func(p []byte) (int, error) {
			if zeros++; zeros%50 != 0 {
				return 0, nil
			}
			return 1, nil
		}), 8, nil},
	} {
		n, err := Fill(c.ctx, c.r, make([]byte, 8))
		if n != c.n || !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %d, %v, want %d, %v", name, n, err, c.n, c.want)
		}
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{"": nil, "x": ErrTooLarge} {
		if err := Ended(t.Context(), strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := Ended(t.Context(), iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken reader: %v", err)
	}
}

func TestSized(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		size int64
		want error
	}{
		{"", 0, nil}, {"abc", 3, nil}, {"abc", 4, ErrIncomplete}, {"abc", 2, ErrTooLarge}, {"abc", 0, ErrTooLarge}, {"", 1, ErrIncomplete},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "data with end": iotest.DataErrReader,
		} {
			r := WithSize(wrap(strings.NewReader(c.text)), c.size)
			if n, ok := SizeOf(r); !ok || n != c.size || r.Size() != c.size {
				t.Errorf("the size is %d, %v", n, ok)
			}
			got, err := io.ReadAll(r)
			if !errors.Is(err, c.want) || c.want == nil && string(got) != c.text {
				t.Errorf("%s: %q as %d bytes: %q, %v, want %v", name, c.text, c.size, got, err, c.want)
			}
		}
	}
	if _, ok := SizeOf(strings.NewReader("x")); ok {
		t.Error("a plain reader announces a size")
	}
	if n, err := WithSize(readFunc(func(p []byte) (int, error) { return 99, nil }), 5).Read(make([]byte, 5)); n != 0 || !errors.Is(err, ErrInvalid) {
		t.Errorf("a reader that counts wrongly: %d, %v", n, err)
	}
}

func TestOffsetError(t *testing.T) {
	t.Parallel()
	var err error = &OffsetError{Got: 3, Want: 5}
	if !errors.Is(err, ErrOffset) || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "at 5, not at 3") {
		t.Errorf("%v", err)
	}
}

func TestAsFull(t *testing.T) {
	t.Parallel()
	full := &fs.PathError{Op: "write", Path: "x", Err: fullErrno}
	if err := AsFull(full); !errors.Is(err, ErrFull) || !errors.Is(err, fullErrno) || AsFull(err) != err {
		t.Errorf("a full disk is %v", err)
	}
	if err := AsFull(fs.ErrPermission); err != fs.ErrPermission {
		t.Errorf("no permission is %v", err)
	}
	if err := AsFull(nil); err != nil {
		t.Errorf("nothing is %v", err)
	}
}

func TestUploadIDs(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 100 {
		id := NewUploadID()
		if !ValidUploadID(id) || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", "..", strings.Repeat("A", 32), strings.Repeat("0", 33), strings.Repeat("/", 32)} {
		if ValidUploadID(bad) {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestUploadClone(t *testing.T) {
	t.Parallel()
	u := Upload{Size: 1, Meta: map[string]string{"a": "b"}}
	c := u.Clone()
	c.Meta["a"] = "c"
	if u.Meta["a"] != "b" {
		t.Error("a clone shares its metadata")
	}
}
