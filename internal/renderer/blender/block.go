package blender

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The layout of a .blend is described in Blender's developer documentation
// ("File Format" and "SDNA"): a header, then blocks, each with a header of its
// own; one block, DNA1, describes all structs; the last is ENDB.
const (
	oldestVersion = 280 // Blender 2.80 changed how scenes are built
	newestVersion = 599 // the last of the 5 series
	newestLayout  = 1   // of the file itself; 0 until Blender 4.5, 1 since 5.0
)

// header is what the first 12 or 17 bytes of a scene say.
type header struct {
	version int              // 304 for Blender 3.4
	layout  int              // how block headers look
	ptr     int              // bytes of a pointer: 4 or 8
	order   binary.ByteOrder // of every number
}

func (h header) versionText() string { return fmt.Sprintf("%d.%d", h.version/100, h.version%100) }

// readHeader reads "BLENDER-v304" or, since Blender 5, "BLENDER17-01v0500".
func readHeader(r source) (header, error) {
	b := make([]byte, 12)
	if _, err := io.ReadFull(r, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return header{}, damaged("it ends within its first 12 bytes", io.ErrUnexpectedEOF)
		}
		return header{}, damaged("it cannot be decompressed", err)
	}
	if !bytes.HasPrefix(b, magicBlend) {
		return header{}, fault(NotBlend, "what is compressed in the file does not begin as a .blend does", "give a scene saved by Blender")
	}
	var h header
	var err error
	if b[7] == '_' || b[7] == '-' {
		h, err = oldHeader(b)
	} else {
		h, err = newHeader(r, b)
	}
	if err != nil {
		return header{}, err
	}
	switch {
	case h.version < oldestVersion:
		return header{}, fault(TooOld, fmt.Sprintf("the scene was saved by Blender %s; scenes of Blender 2.80 and later are rendered", h.versionText()),
			"open it in a current Blender and save it")
	case h.version > newestVersion:
		return header{}, tooNew("the scene was saved by Blender " + h.versionText())
	}
	return h, nil
}

func oldHeader(b []byte) (header, error) {
	h := header{ptr: 8}
	if b[7] == '_' {
		h.ptr = 4
	}
	return h, h.finish(b[8], b[9:12])
}

func newHeader(r source, b []byte) (header, error) {
	size, err := strconv.Atoi(string(b[7:9]))
	if err != nil || size < 17 || b[9] != '-' {
		return header{}, damaged("its header is broken", nil)
	}
	h := header{ptr: 8}
	if h.layout, err = strconv.Atoi(string(b[10:12])); err != nil {
		return header{}, damaged("its header is broken", err)
	}
	rest := make([]byte, size-12)
	if _, err := io.ReadFull(r, rest); err != nil {
		return header{}, damaged("it ends within its header", io.ErrUnexpectedEOF)
	}
	if size != 17 || h.layout > newestLayout {
		return header{}, tooNew(fmt.Sprintf("the scene has file layout %d", h.layout))
	}
	return h, h.finish(rest[0], rest[1:5])
}

func (h *header) finish(order byte, version []byte) error {
	switch order {
	case 'v':
		h.order = binary.LittleEndian
	case 'V':
		h.order = binary.BigEndian
	default:
		return damaged("its header names no byte order", nil)
	}
	for _, c := range version {
		if c < '0' || c > '9' {
			return damaged("its header names no version", nil)
		}
		h.version = h.version*10 + int(c-'0')
	}
	return nil
}

func tooNew(what string) *SceneFault {
	return fault(TooNew, what+", which this Drover does not know yet", "update Drover, or save the scene in Blender 5 or earlier")
}

// block is the header of one block. Its body follows in the file.
type block struct {
	code  [4]byte
	sdna  int    // index of the struct that the body holds
	old   uint64 // address the body had, by which others point to it
	size  int64  // bytes of the body
	count int64  // how many structs the body holds
}

func (b *block) is(code string) bool { return string(bytes.TrimRight(b.code[:], "\x00")) == code }

// walker goes through the blocks of a scene.
type walker struct {
	src  source
	head header
	raw  [32]byte
	left int64 // bytes of the current body that were not read yet
	seen int64 // blocks
}

func newWalker(open openFunc) (*walker, error) {
	src, err := open()
	if err != nil {
		return nil, err
	}
	h, err := readHeader(src)
	if err != nil {
		src.Close()
		return nil, err
	}
	return &walker{src: src, head: h}, nil
}

func (w *walker) headSize() int {
	switch {
	case w.head.layout == 1:
		return 32
	case w.head.ptr == 8:
		return 24
	}
	return 20
}

// next moves to the next block, past what was not read of the last one. The
// last block, ENDB, gives io.EOF; a file that ends before it is damaged.
func (w *walker) next(ctx context.Context, b *block) error {
	if w.seen++; w.seen%1024 == 0 && ctx.Err() != nil {
		return ctx.Err()
	}
	if err := w.src.Skip(w.left); err != nil {
		return w.broken(err)
	}
	w.left = 0
	raw := w.raw[:w.headSize()]
	if _, err := io.ReadFull(w.src, raw[:4]); err != nil {
		return w.broken(err)
	}
	if string(raw[:4]) == "ENDB" {
		return io.EOF
	}
	if _, err := io.ReadFull(w.src, raw[4:]); err != nil {
		return w.broken(err)
	}
	w.decode(raw, b)
	if b.size < 0 || b.count < 0 {
		return damaged(fmt.Sprintf("block %d has a negative size", w.seen), nil)
	}
	w.left = b.size
	return nil
}

func (w *walker) decode(raw []byte, b *block) {
	o := w.head.order
	copy(b.code[:], raw)
	switch {
	case w.head.layout == 1:
		b.sdna, b.old = int(int32(o.Uint32(raw[4:]))), o.Uint64(raw[8:])
		b.size, b.count = int64(o.Uint64(raw[16:])), int64(o.Uint64(raw[24:]))
		return
	case w.head.ptr == 8:
		b.old = o.Uint64(raw[8:])
		raw = raw[16:]
	default:
		b.old = uint64(o.Uint32(raw[8:]))
		raw = raw[12:]
	}
	b.size = int64(int32(o.Uint32(w.raw[4:])))
	b.sdna, b.count = int(int32(o.Uint32(raw))), int64(int32(o.Uint32(raw[4:])))
}

// body reads at most limit bytes of the current block into memory of its own.
func (w *walker) body(limit int64) ([]byte, error) {
	n := min(w.left, limit)
	var buf bytes.Buffer // grows with what is there, whatever the header says
	if n <= 64<<10 {
		buf.Grow(int(n))
	}
	got, err := io.CopyN(&buf, w.src, n)
	w.left -= got
	if err != nil {
		return nil, w.broken(err)
	}
	return buf.Bytes(), nil
}

func (w *walker) broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(fmt.Sprintf("it is cut off: its end mark is missing after %d blocks", w.seen-1), io.ErrUnexpectedEOF)
	}
	return damaged(fmt.Sprintf("it cannot be read past block %d: %v", w.seen-1, err), err)
}

func (w *walker) Close() error { return w.src.Close() }
