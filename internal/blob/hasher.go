package blob

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
)

// parallelFrom is the length from which SHA-256 and MD5 of a piece are worth a
// goroutine: below it starting one costs more than MD5 itself.
const parallelFrom = 32 << 10

// Hasher computes SHA-256 and MD5 of a stream in one pass, side by side on two
// cores where the pieces are large. It is for one goroutine. Its state can be
// stored with MarshalBinary and taken up again.
type Hasher struct {
	sha, md5 hash.Hash
	n        int64
}

// NewHasher starts a stream.
func NewHasher() *Hasher { return &Hasher{sha: sha256.New(), md5: md5.New()} }

// Write adds p; it never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	return len(p), h.Beside(p, func() error { return nil })
}

// Beside adds p while f does something else that only reads p, such as writing
// it to a file, and returns f's error. MD5, the slowest of the three, has a
// goroutine to itself, which has ended when Beside returns.
func (h *Hasher) Beside(p []byte, f func() error) error {
	h.n += int64(len(p))
	if len(p) < parallelFrom {
		h.md5.Write(p)
		h.sha.Write(p)
		return f()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.md5.Write(p)
	}()
	h.sha.Write(p)
	err := f()
	<-done
	return err
}

// Size is the number of bytes written so far.
func (h *Hasher) Size() int64 { return h.n }

// Info gives hashes and size of what was written so far, without a time. More
// may be written afterwards.
func (h *Hasher) Info() Info {
	info := Info{Size: h.n}
	h.sha.Sum(info.SHA256[:0])
	h.md5.Sum(info.MD5[:0])
	return info
}

// MarshalBinary gives the state of the stream, about 220 bytes.
func (h *Hasher) MarshalBinary() ([]byte, error) {
	out := binary.BigEndian.AppendUint64(nil, uint64(h.n))
	for _, part := range []hash.Hash{h.sha, h.md5} {
		state, err := part.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("save the state of a hash: %w", err)
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(state)))
		out = append(out, state...)
	}
	return out, nil
}

// UnmarshalBinary takes up a state that MarshalBinary gave. It fails on
// anything else, also on a state of a Go release whose hashes keep theirs
// otherwise: the caller then hashes the content again.
func (h *Hasher) UnmarshalBinary(data []byte) error {
	fresh := NewHasher()
	if len(data) < 8 {
		return fmt.Errorf("%w: a hash state of %d bytes", ErrInvalid, len(data))
	}
	n := int64(binary.BigEndian.Uint64(data))
	data = data[8:]
	for _, part := range []hash.Hash{fresh.sha, fresh.md5} {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return fmt.Errorf("%w: a hash state that is cut off", ErrInvalid)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if err := part.(encoding.BinaryUnmarshaler).UnmarshalBinary(data[2:end]); err != nil {
			return fmt.Errorf("%w: take up the state of a hash: %w", ErrInvalid, err)
		}
		data = data[end:]
	}
	if len(data) != 0 || n < 0 {
		return fmt.Errorf("%w: a hash state with a wrong length", ErrInvalid)
	}
	fresh.n = n
	*h = *fresh
	return nil
}
