package frame

import "math/bits"

// exrChunk is one chunk as the layout of a part wants it: its coordinates as
// they stand in front of it in the file, and its pixels.
type exrChunk struct {
	coords [4]int // first line; or tile column and line, level in x and y
	box    exrBox // in pixels of its level
	full   bool   // of the level that is the picture itself
}

// levelCount returns the number of levels of a picture of n pixels.
func (p *exrPart) levelCount(n int) int {
	if p.roundUp && n&(n-1) != 0 {
		return bits.Len(uint(n)) + 1
	}
	return bits.Len(uint(n))
}

func (p *exrPart) levelSize(n, level int) int {
	if p.roundUp {
		return max(1, (n+1<<level-1)>>level)
	}
	return max(1, n>>level)
}

// eachLevel calls f for each level in the order of the offset table. It stops
// at the first error.
func (p *exrPart) eachLevel(f func(lx, ly int) error) error {
	w, h := p.data.w(), p.data.h()
	switch p.levels {
	case 0:
		return f(0, 0)
	case 1:
		for l := range p.levelCount(max(w, h)) {
			if err := f(l, l); err != nil {
				return err
			}
		}
		return nil
	}
	for ly := range p.levelCount(h) {
		for lx := range p.levelCount(w) {
			if err := f(lx, ly); err != nil {
				return err
			}
		}
	}
	return nil
}

// countChunks returns the number of chunks that a part's size calls for.
func (p *exrPart) countChunks() int64 {
	if !p.tiled {
		n := p.lines()
		return int64((p.data.h() + n - 1) / n)
	}
	var count int64
	p.eachLevel(func(lx, ly int) error {
		w, h := p.levelSize(p.data.w(), lx), p.levelSize(p.data.h(), ly)
		count += int64((w+p.tw-1)/p.tw) * int64((h+p.th-1)/p.th)
		return nil
	})
	return count
}

// eachChunk calls f for each chunk in the order of the offset table. It stops
// at the first error.
func (p *exrPart) eachChunk(f func(exrChunk) error) error {
	d := p.data
	if !p.tiled {
		for y := d.y0; y <= d.y1; y += p.lines() {
			box := exrBox{d.x0, y, d.x1, min(y+p.lines()-1, d.y1)}
			if err := f(exrChunk{coords: [4]int{y}, box: box, full: true}); err != nil {
				return err
			}
		}
		return nil
	}
	return p.eachLevel(func(lx, ly int) error {
		x1, y1 := d.x0+p.levelSize(d.w(), lx)-1, d.y0+p.levelSize(d.h(), ly)-1
		for ty := 0; d.y0+ty*p.th <= y1; ty++ {
			for tx := 0; d.x0+tx*p.tw <= x1; tx++ {
				x, y := d.x0+tx*p.tw, d.y0+ty*p.th
				box := exrBox{x, y, min(x+p.tw-1, x1), min(y+p.th-1, y1)}
				if err := f(exrChunk{coords: [4]int{tx, ty, lx, ly}, box: box, full: lx == 0 && ly == 0}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
