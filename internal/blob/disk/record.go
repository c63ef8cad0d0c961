package disk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"drover.farm/internal/blob"
)

// The state of an upload is one file: two slots of a sector each that say how
// far the upload is, then a JSON text that says what it is.
//
// A slot: 4 bytes "DRU1" | 8 number | 8 offset | 8 updated, ns since 1970 |
// 2 length of the hash state | the hash state | zeros | 4 CRC-32C of the rest.
// Slots are written in turn, in place: a power cut in the middle of one leaves
// the other, and no space is needed, so that a full disk cannot lose progress.
const (
	slotLen   = 512
	slotMagic = "DRU1"
	slotHead  = 30
	slotCRC   = slotLen - 4
	stateMax  = 64 << 10
)

// mark is what a slot says.
type mark struct {
	number  uint64 // the higher one of two slots counts
	offset  int64  // bytes that are durable
	updated time.Time
	hash    []byte // state of a blob.Hasher at offset
}

func (m mark) encode() ([]byte, error) {
	slot := make([]byte, slotLen)
	if slotHead+len(m.hash) > slotCRC {
		return nil, fmt.Errorf("%w: a hash state of %d bytes", blob.ErrInvalid, len(m.hash))
	}
	copy(slot, slotMagic)
	binary.BigEndian.PutUint64(slot[4:], m.number)
	binary.BigEndian.PutUint64(slot[12:], uint64(m.offset))
	binary.BigEndian.PutUint64(slot[20:], uint64(m.updated.UnixNano()))
	binary.BigEndian.PutUint16(slot[28:], uint16(len(m.hash)))
	copy(slot[slotHead:], m.hash)
	binary.BigEndian.PutUint32(slot[slotCRC:], crc32.Checksum(slot[:slotCRC], castagnoli))
	return slot, nil
}

func decodeMark(slot []byte) (mark, bool) {
	if len(slot) != slotLen || string(slot[:4]) != slotMagic ||
		crc32.Checksum(slot[:slotCRC], castagnoli) != binary.BigEndian.Uint32(slot[slotCRC:]) {
		return mark{}, false
	}
	m := mark{
		number:  binary.BigEndian.Uint64(slot[4:]),
		offset:  int64(binary.BigEndian.Uint64(slot[12:])),
		updated: time.Unix(0, int64(binary.BigEndian.Uint64(slot[20:]))),
	}
	n := int(binary.BigEndian.Uint16(slot[28:]))
	if m.offset < 0 || slotHead+n > slotCRC {
		return mark{}, false
	}
	m.hash = append([]byte(nil), slot[slotHead:slotHead+n]...)
	return m, true
}

// record is what an upload is: the JSON part of its state.
type record struct {
	Want  blob.Hash         `json:"want"`
	Size  int64             `json:"size"`
	Owner string            `json:"owner,omitempty"`
	Meta  map[string]string `json:"meta,omitempty"`
	Done  *doneRecord       `json:"done,omitempty"`
}

// doneRecord is the blob that an upload became.
type doneRecord struct {
	SHA256 blob.Hash `json:"sha256"`
	MD5    []byte    `json:"md5"`
	Stored time.Time `json:"stored"`
}

func encodeState(m mark, r record) ([]byte, error) {
	slot, err := m.encode()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	state := make([]byte, 2*slotLen, 2*slotLen+len(text))
	copy(state[slotLen*(m.number%2):], slot)
	return append(state, text...), nil
}

var errBadState = errors.New("the state of the upload is damaged")

func decodeState(state []byte) (mark, record, error) {
	if len(state) <= 2*slotLen {
		return mark{}, record{}, errBadState
	}
	a, okA := decodeMark(state[:slotLen])
	b, okB := decodeMark(state[slotLen : 2*slotLen])
	if !okA || okB && b.number > a.number {
		a, okA = b, okB
	}
	var r record
	if err := json.Unmarshal(state[2*slotLen:], &r); err != nil {
		return mark{}, record{}, fmt.Errorf("%w: %w", errBadState, err)
	}
	if !okA || r.Size < 0 || a.offset > r.Size {
		return mark{}, record{}, errBadState
	}
	if r.Done != nil && (len(r.Done.MD5) != 16 || r.Done.SHA256.IsZero()) {
		return mark{}, record{}, errBadState
	}
	return a, r, nil
}

// readState reads the state of an upload, of a bounded length.
func readState(path string) (mark, record, error) {
	st, err := os.Stat(path)
	if err != nil {
		return mark{}, record{}, err
	}
	if st.Size() > stateMax {
		return mark{}, record{}, errBadState
	}
	state, err := os.ReadFile(path)
	if err != nil {
		return mark{}, record{}, err
	}
	return decodeState(state)
}

// writeMark puts a mark into its slot, durably.
func writeMark(f *os.File, m mark) error {
	slot, err := m.encode()
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(slot, slotLen*int64(m.number%2)); err != nil {
		return err
	}
	return f.Sync()
}
