// Package blob is the farm's content-addressed store of files: scenes,
// renderer builds, frames and logs, each known by the SHA-256 of its content.
//
// The package holds the words and the ports. The stores themselves are in disk
// and s3, the suite that both must pass in blobtest, the HTTP side in tus. It
// knows nothing of jobs or of who refers to a blob: what may be deleted is the
// caller's knowledge.
package blob

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// Hash is the SHA-256 of a blob's content, and its only name.
type Hash [32]byte

// ParseHash reads the 64 hexadecimal digits of a hash, in either case. The
// error wraps ErrInvalid.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != hex.EncodedLen(len(h)) {
		return Hash{}, fmt.Errorf("%w: a SHA-256 has 64 hexadecimal digits, this has %d characters", ErrInvalid, len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("%w: a SHA-256 has hexadecimal digits only", ErrInvalid)
	}
	return h, nil
}

// String gives the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero tells whether no hash was given. No content is known with this hash.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes the hash as String does; a zero hash is empty.
func (h Hash) MarshalText() ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = Hash{}
		return nil
	}
	parsed, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// Info is what a store knows of a blob.
type Info struct {
	SHA256 Hash
	// MD5 is for protocols that name files by it. Walk leaves it zero.
	MD5 [16]byte
	// Size is in bytes.
	Size int64
	// Stored is when the content was last put or touched. Garbage collection
	// spares young blobs by it. Stores may round it down to the second.
	Stored time.Time
}

// File is an open blob. Reads of one File are for one goroutine, except ReadAt,
// which may be called from several at once. A File of a blob that is deleted
// meanwhile either reads on to the end or fails; it never gives other content.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
	// Size is the length of the blob in bytes.
	Size() int64
}

// Store keeps blobs. All methods may be called from many goroutines. A blob
// that a Put acknowledged is durable: it survives the death of the process and
// of the machine. Nobody ever sees a part of a blob.
type Store interface {
	// Put streams r to its end into the store and says what it was. With a
	// want that is not the content's hash it fails with ErrMismatch; on a full
	// disk, bucket or quota with ErrFull; with the reader's own error when r
	// fails. After an error nothing of the content is kept. Putting content
	// that is there already succeeds, renews Stored and mends a copy whose
	// length is wrong. A reader made by WithSize has its space reserved
	// before the first byte. The context is looked at between reads: a
	// reader that blocks must watch its own deadline.
	Put(ctx context.Context, r io.Reader, want *Hash) (Info, error)
	// Stat fails with ErrNotFound when the store does not have the blob.
	Stat(ctx context.Context, h Hash) (Info, error)
	// Open fails with ErrNotFound when the store does not have the blob. The
	// context bounds the opening and, where reads go over a network, every
	// later read of the file.
	Open(ctx context.Context, h Hash) (File, error)
	// Delete removes the blob; a blob that is not there is no error.
	Delete(ctx context.Context, h Hash) error
	// Walk calls f for each blob, in any order, from one goroutine. Blobs put
	// or deleted meanwhile may be seen or not. An error of f ends the walk
	// and is returned as it is. Info.MD5 is not filled in.
	Walk(ctx context.Context, f func(Info) error) error
}

// Janitor is the part of a store that garbage collection and maintenance use.
// All methods may be called from many goroutines.
type Janitor interface {
	// Touch sets Stored to now, so that a Prune that began earlier spares the
	// blob. Who tells a client that a blob need not be sent touches it first.
	// It fails with ErrNotFound when the store does not have the blob.
	Touch(ctx context.Context, h Hash) (Info, error)
	// Prune deletes the blob if it was last put or touched before the given
	// time, and says whether it did. No Put or Touch that succeeds at the same
	// time on this or another server is undone by it.
	Prune(ctx context.Context, h Hash, before time.Time) (bool, error)
	// Verify reads the whole blob and fails with ErrCorrupt if its content is
	// no longer that of its hash. It changes nothing: the caller deletes the
	// blob and puts it anew.
	Verify(ctx context.Context, h Hash) error
}
