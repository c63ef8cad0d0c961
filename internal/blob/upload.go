package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"time"
)

// Limits of what a client may attach to an upload.
const (
	maxMetaPairs = 64
	maxMetaBytes = 8 << 10
	idBytes      = 16
)

// Upload announces content that will come in pieces.
type Upload struct {
	// Want is the hash the content must have; zero if it is not known.
	Want Hash
	// Size is the exact length of the content in bytes.
	Size int64
	// Owner is whoever may continue the upload, in the caller's terms.
	Owner string
	// Meta is kept and given back as it is: at most 64 pairs and 8 KiB.
	Meta map[string]string
}

// Check tells whether an upload can be accepted by any store; the error wraps
// ErrInvalid.
func (u Upload) Check() error {
	if u.Size < 0 {
		return fmt.Errorf("%w: an upload cannot have %d bytes", ErrInvalid, u.Size)
	}
	if len(u.Meta) > maxMetaPairs {
		return fmt.Errorf("%w: an upload may have %d pairs of metadata, not %d", ErrInvalid, maxMetaPairs, len(u.Meta))
	}
	total := len(u.Owner)
	for k, v := range u.Meta {
		total += len(k) + len(v)
	}
	if total > maxMetaBytes {
		return fmt.Errorf("%w: the metadata of an upload may have %d bytes, not %d", ErrInvalid, maxMetaBytes, total)
	}
	return nil
}

// Clone gives a copy that shares nothing with u.
func (u Upload) Clone() Upload {
	u.Meta = maps.Clone(u.Meta)
	return u
}

// Progress is the state of an upload.
type Progress struct {
	Upload
	// Offset is how many bytes are durably kept; the next append begins here.
	Offset int64
	// Updated is when bytes last came, or when the upload was made.
	Updated time.Time
	// Done is the blob the upload became; nil until it is finished.
	Done *Info
}

// Uploads keeps content that comes in pieces, from clients that may break off
// and come back, also to another server of the same store. All methods may be
// called from many goroutines. An upload that is finished stays known until it
// expires, so that a client that lost the last answer can ask.
type Uploads interface {
	// Create opens an upload and reserves its size. It fails with ErrInvalid,
	// ErrFull, or ErrTooMany when too many uploads are open. An upload of no
	// bytes is finished at once.
	Create(ctx context.Context, u Upload) (id string, err error)
	// Append adds r, up to its end, at the given offset and returns the new
	// offset; those bytes are durable. When r fails, what came before is kept
	// and the offset after it returned with the reader's error. Errors:
	// ErrNotFound; *OffsetError when the upload does not end at offset;
	// ErrBusy when another Append of the upload runs; ErrTooLarge when r has
	// more bytes than were announced, and ErrFull: the offset returned says
	// what was kept. The last byte finishes the upload as Finish does. No
	// more than the announced bytes and one are read from r.
	Append(ctx context.Context, id string, offset int64, r io.Reader) (int64, error)
	// Info fails with ErrNotFound when there is no such upload.
	Info(ctx context.Context, id string) (Progress, error)
	// Finish makes a blob of the upload and may be repeated. It fails with
	// ErrIncomplete while bytes are missing, with ErrBusy, and with
	// ErrMismatch if the content is not the announced one: the upload is
	// gone then.
	Finish(ctx context.Context, id string) (Info, error)
	// Remove drops the upload and its bytes, but no blob. It fails with
	// ErrNotFound or ErrBusy.
	Remove(ctx context.Context, id string) error
	// Expire drops the uploads that were last updated before the given time,
	// and says how many. Uploads being written are spared.
	Expire(ctx context.Context, before time.Time) (int, error)
}

// NewUploadID makes an id that cannot be guessed: 32 hexadecimal digits.
func NewUploadID() string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// ValidUploadID tells whether an id has the form that NewUploadID makes, so
// that nothing else from outside ever becomes part of a path or a key.
func ValidUploadID(id string) bool {
	if len(id) != hex.EncodedLen(idBytes) {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
