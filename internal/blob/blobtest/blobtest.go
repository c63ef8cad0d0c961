// Package blobtest is the suite that every store of blobs must pass.
package blobtest

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"drover.farm/internal/blob"
)

// Server is one process's view of a store.
type Server struct {
	Store   blob.Store
	Janitor blob.Janitor
	Uploads blob.Uploads
	// Close ends the view, not the store.
	Close func() error
}

// Fixture is one empty store, made by a Factory, with the means to handle it
// from behind.
type Fixture struct {
	// Open opens a view of the store. If Shared is not set, the suite closes
	// one before it opens the next.
	Open   func(t testing.TB) Server
	Shared bool
	// Advance moves the store's clock.
	Advance func(d time.Duration)
	// Replace changes the bytes that are kept for a blob, behind the store's
	// back, as a failing disk would.
	Replace func(t testing.TB, h blob.Hash, data []byte)
	// Leftovers names whatever is kept that is neither a blob nor of an
	// upload that Uploads knows: after any failure there must be none.
	Leftovers func(t testing.TB) []string
}

// Factory makes a new, empty store; it cleans up with t.Cleanup.
type Factory func(t testing.TB) Fixture

// Run holds a store to the contract of package blob.
func Run(t *testing.T, factory Factory) {
	t.Helper()
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"Store", storeCases},
		{"Reader", readerCases},
		{"File", fileCases},
		{"Janitor", janitorCases},
		{"Upload", uploadCases},
		{"UploadFault", uploadFaultCases},
	}
	for _, g := range groups {
		for _, c := range g.cases {
			t.Run(g.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				e := &env{T: t, Fixture: factory(t), ctx: t.Context()}
				e.Server = e.Open(t)
				c.run(e)
				e.close()
				if left := e.Leftovers(t); len(left) > 0 {
					t.Errorf("the store keeps what nobody asked for: %q", left)
				}
			})
		}
	}
}

type testCase struct {
	name string
	run  func(e *env)
}

// env is what one case works with.
type env struct {
	*testing.T
	Fixture
	Server
	ctx context.Context
}

func (e *env) close() {
	e.Helper()
	if err := e.Close(); err != nil {
		e.Errorf("close: %v", err)
	}
}

// reopen goes on with another view: another process, or the next one.
func (e *env) reopen() {
	e.Helper()
	e.close()
	e.Server = e.Open(e)
}

// Content makes n bytes that are the same for the same seed and do not repeat.
func Content(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// HashOf is the hash of a content.
func HashOf(data []byte) blob.Hash { return sha256.Sum256(data) }

func infoOf(data []byte) blob.Info {
	return blob.Info{SHA256: HashOf(data), MD5: md5.Sum(data), Size: int64(len(data))}
}

func (e *env) put(data []byte) blob.Info {
	e.Helper()
	info, err := e.Store.Put(e.ctx, bytes.NewReader(data), nil)
	if err != nil {
		e.Fatalf("put %d bytes: %v", len(data), err)
	}
	e.same(info, data)
	return info
}

// same compares all but the time, which must be there.
func (e *env) same(got blob.Info, data []byte) {
	e.Helper()
	if diff := cmp.Diff(infoOf(data), got, cmpopts.IgnoreFields(blob.Info{}, "Stored")); diff != "" {
		e.Errorf("wrong info (-want +got):\n%s", diff)
	}
	if got.Stored.IsZero() {
		e.Error("no time of storing")
	}
}

// has checks that the store gives the content back.
func (e *env) has(data []byte) {
	e.Helper()
	info, err := e.Store.Stat(e.ctx, HashOf(data))
	if err != nil {
		e.Errorf("stat: %v", err)
		return
	}
	e.same(info, data)
	f, err := e.Store.Open(e.ctx, HashOf(data))
	if err != nil {
		e.Errorf("open: %v", err)
		return
	}
	got, err := io.ReadAll(f)
	if err != nil {
		e.Errorf("read: %v", err)
	}
	if err := f.Close(); err != nil {
		e.Errorf("close: %v", err)
	}
	if !bytes.Equal(got, data) {
		e.Errorf("got other content: %d bytes for %d", len(got), len(data))
	}
}

func (e *env) hasNot(h blob.Hash) {
	e.Helper()
	_, err := e.Store.Stat(e.ctx, h)
	e.is(err, blob.ErrNotFound)
}

// is wants err to be target.
func (e *env) is(err, target error) {
	e.Helper()
	if !cmp.Equal(err, target, cmpopts.EquateErrors()) {
		e.Errorf("got error %v, want %v", err, target)
	}
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("unexpected error: %v", err)
	}
}

// all lists the store in the order of hashes.
func (e *env) all() []blob.Hash {
	e.Helper()
	var got []blob.Hash
	e.ok(e.Store.Walk(e.ctx, func(i blob.Info) error {
		got = append(got, i.SHA256)
		return nil
	}))
	slices.SortFunc(got, compareHashes)
	return got
}

func compareHashes(a, b blob.Hash) int { return bytes.Compare(a[:], b[:]) }

func hashes(contents ...[]byte) []blob.Hash {
	var out []blob.Hash
	for _, c := range contents {
		out = append(out, HashOf(c))
	}
	slices.SortFunc(out, compareHashes)
	return out
}
