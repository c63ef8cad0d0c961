package blender

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Blender writes zstd scenes as many small frames with a table of them at the
// end (the Zstandard seekable format, contrib/seekable_format), so that parts
// can be read alone.
const (
	seekMagic      = 0x8F92EAB1
	skippableMagic = 0x184D2A5E
	seekFooter     = 9
	maxSeekFrames  = 1 << 20
	maxFramePlain  = 32 << 20
)

type seekFrame struct {
	at    int64 // in the compressed file
	size  int32
	plain int32
}

// readSeekTable returns the frames of a seekable scene, or nil when it has no
// usable table; it is then read in order.
func readSeekTable(r io.ReaderAt, size int64) []seekFrame {
	var foot [seekFooter]byte
	if size < seekFooter+8 {
		return nil
	}
	if _, err := r.ReadAt(foot[:], size-seekFooter); err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	count := int64(binary.LittleEndian.Uint32(foot[0:]))
	if binary.LittleEndian.Uint32(foot[5:]) != seekMagic || count == 0 || count > maxSeekFrames || foot[4]&0x7c != 0 {
		return nil
	}
	entry := int64(8)
	if foot[4]&0x80 != 0 {
		entry = 12 // each entry ends with a checksum
	}
	start := size - seekFooter - count*entry - 8
	if start < 0 {
		return nil
	}
	raw := bufio.NewReaderSize(io.NewSectionReader(r, start, size-seekFooter-start), 64<<10)
	var head [12]byte
	if _, err := io.ReadFull(raw, head[:8]); err != nil || binary.LittleEndian.Uint32(head[:]) != skippableMagic {
		return nil
	}
	var table []seekFrame
	at := int64(0)
	for range count {
		if _, err := io.ReadFull(raw, head[:entry]); err != nil {
			return nil
		}
		c, p := binary.LittleEndian.Uint32(head[0:]), binary.LittleEndian.Uint32(head[4:])
		if int64(c) > start-at || c > 2*maxFramePlain || p > maxFramePlain {
			return nil
		}
		table = append(table, seekFrame{at, int32(c), int32(p)})
		at += int64(c)
	}
	if at != start {
		return nil
	}
	return table
}

// seekable reads a zstd scene by its table and decompresses only the frames
// that are not skipped as a whole.
type seekable struct {
	r     io.ReaderAt
	z     *zstd.Decoder
	table []seekFrame // those not yet decompressed
	in    []byte
	out   []byte
	rest  []byte // of out, not yet read
}

func newSeekable(r io.ReaderAt, table []seekFrame) (source, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxFramePlain))
	if err != nil {
		return nil, fmt.Errorf("start decompression: %w", err)
	}
	return &seekable{r: r, z: z, table: table}, nil
}

func (s *seekable) next() error {
	if len(s.table) == 0 {
		return io.EOF
	}
	f := s.table[0]
	s.table = s.table[1:]
	if cap(s.in) < int(f.size) {
		s.in = make([]byte, f.size)
	}
	s.in = s.in[:f.size]
	if _, err := s.r.ReadAt(s.in, f.at); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var err error
	if s.out, err = s.z.DecodeAll(s.in, s.out[:0]); err != nil {
		return err
	}
	if len(s.out) != int(f.plain) {
		return fmt.Errorf("a part has %d bytes where its table says %d", len(s.out), f.plain)
	}
	s.rest = s.out
	return nil
}

func (s *seekable) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *seekable) Skip(n int64) error {
	if n <= int64(len(s.rest)) {
		s.rest = s.rest[n:]
		return nil
	}
	n -= int64(len(s.rest))
	s.rest = nil
	for len(s.table) > 0 && n >= int64(s.table[0].plain) {
		n -= int64(s.table[0].plain)
		s.table = s.table[1:]
	}
	if n == 0 {
		return nil
	}
	if err := s.next(); err != nil {
		return eofIsUnexpected(err)
	}
	if n > int64(len(s.rest)) {
		return io.ErrUnexpectedEOF
	}
	s.rest = s.rest[n:]
	return nil
}

func (s *seekable) Close() error { s.z.Close(); return nil }
