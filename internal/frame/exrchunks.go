package frame

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// exrReader reads the chunks of one part.
type exrReader struct {
	src    *source
	f      *exrFile
	p      *exrPart
	part   int
	tables int64 // where the offset tables end
	view   exrView
	c      *canvas

	codec  exrCodec
	packed []byte
	row    []float32
}

// read goes through the part's offset table at off and proves each chunk.
func (r *exrReader) read(off, count int64) error {
	if 8*count > r.src.size-off {
		return truncated(OpenEXR, "it ends in its table of chunks")
	}
	table := bufio.NewReader(r.src.section(off, 8*count))
	i := int64(0)
	return r.p.eachChunk(func(ch exrChunk) error {
		i++
		var b [8]byte
		if _, err := io.ReadFull(table, b[:]); err != nil {
			return broken(OpenEXR, err, "its table of chunks")
		}
		if err := r.chunk(ch, binary.LittleEndian.Uint64(b[:])); err != nil {
			return broken(OpenEXR, err, "chunk %d of %d", i, count)
		}
		return nil
	})
}

// chunk proves one chunk and shows its pixels.
func (r *exrReader) chunk(ch exrChunk, at uint64) error {
	if at == 0 {
		return truncated(OpenEXR, "the renderer never finished the file, a chunk is missing")
	}
	if at < uint64(r.tables) || at > math.MaxInt64 {
		return fmt.Errorf("its place %d is inside the header", at)
	}
	size, off, err := r.head(ch, int64(at))
	if err != nil {
		return err
	}
	if size > r.src.size-off {
		return io.ErrUnexpectedEOF
	}
	if r.f.used += size; r.f.used > r.src.size {
		return fmt.Errorf("it and others share their bytes")
	}
	if r.p.deep {
		return nil
	}
	raw, err := r.p.rawBytes(ch.box)
	if err != nil {
		return err
	}
	if size > raw {
		return fmt.Errorf("it has %d bytes for pixels of %d", size, raw)
	}
	if int64(cap(r.packed)) < size {
		r.packed = make([]byte, size)
	}
	r.packed = r.packed[:size]
	if err := r.src.full(r.packed, off); err != nil {
		return err
	}
	pixels, err := r.codec.unpack(r.p, ch.box, r.packed, int(raw))
	if err != nil {
		return err
	}
	if ch.full && r.view.has(0) && r.c.needsPixels() {
		r.show(ch.box, pixels)
	}
	return nil
}

// head reads what stands in front of a chunk's bytes and checks that it is the
// chunk that was looked for. It returns the number of bytes and their place.
func (r *exrReader) head(ch exrChunk, at int64) (size, off int64, err error) {
	words := 1
	if r.p.tiled {
		words = 4
	}
	want := ch.coords[:words]
	if r.f.multipart {
		want = append([]int{r.part}, want...)
	}
	var b [4*5 + 24]byte
	n := 4 * len(want)
	tail := 4
	if r.p.deep {
		tail = 24
	}
	if err := r.src.full(b[:n+tail], at); err != nil {
		return 0, 0, err
	}
	for i, v := range want {
		coord := int(int32(binary.LittleEndian.Uint32(b[4*i:])))
		if coord != v {
			return 0, 0, fmt.Errorf("it is marked %d where %d is due", coord, v)
		}
	}
	off = at + int64(n+tail)
	if r.p.deep {
		table, data := binary.LittleEndian.Uint64(b[n:]), binary.LittleEndian.Uint64(b[n+8:])
		if table > math.MaxInt64/4 || data > math.MaxInt64/4 {
			return 0, 0, fmt.Errorf("it claims %d and %d bytes", table, data)
		}
		return int64(table + data), off, nil
	}
	size = int64(int32(binary.LittleEndian.Uint32(b[n:])))
	if size < 0 {
		return 0, 0, fmt.Errorf("it claims %d bytes", size)
	}
	return size, off, nil
}

// show feeds the unpacked pixels of a window to the canvas.
func (r *exrReader) show(b exrBox, pixels []byte) {
	n := b.w()
	if cap(r.row) < 4*n {
		r.row = make([]float32, 4*n)
	}
	row := r.row[:4*n]
	for y := b.y0; y <= b.y1; y++ {
		for i := 3; i < len(row); i += 4 {
			row[i] = 1
		}
		for i := range r.p.channels {
			ch := &r.p.channels[i]
			if floorDiv(y, ch.ys)*ch.ys != y {
				continue
			}
			size := samples(ch.xs, b.x0, b.x1) * ch.bytes()
			for k, shown := range r.view {
				if shown == i {
					exrFloats(row[k:], pixels[:size], ch.kind)
				}
			}
			pixels = pixels[size:]
		}
		r.clip(b.x0, y, row)
	}
}

// clip feeds the part of a line that is inside the display window.
func (r *exrReader) clip(x, y int, row []float32) {
	d := r.p.display
	if y < d.y0 || y > d.y1 {
		return
	}
	if x < d.x0 {
		row = row[4*min(d.x0-x, len(row)/4):]
		x = d.x0
	}
	if x > d.x1 {
		return
	}
	r.c.linear(y-d.y0, x-d.x0, row[:4*min(len(row)/4, d.x1-x+1)])
}

// exrFloats puts the samples in b into every fourth place of row.
func exrFloats(row []float32, b []byte, kind int) {
	switch kind {
	case exrHalf:
		half := halfTable()
		for i := 0; len(b) >= 2; i, b = i+4, b[2:] {
			row[i] = half[binary.LittleEndian.Uint16(b)]
		}
	case exrFloat:
		for i := 0; len(b) >= 4; i, b = i+4, b[4:] {
			row[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
		}
	default:
		for i := 0; len(b) >= 4; i, b = i+4, b[4:] {
			row[i] = float32(binary.LittleEndian.Uint32(b))
		}
	}
}
