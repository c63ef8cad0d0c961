package openjd

import (
	"fmt"
	"sort"
)

// chunks cuts a range into pieces of at most size integers, as even as they come
// out, without listing them.
type chunks struct {
	r          Range
	size       int64
	contiguous bool
	// runs are set for contiguous pieces; before[i] counts the pieces before
	// runs[i], values[i] the integers.
	runs   []run
	before []int64
	values []int64
	n      int64
}

// run is count contiguous stretches of length integers, the first at start, each
// step after the one before. Stretches of more than one integer come alone.
type run struct{ start, length, count, step int64 }

func newChunks(r Range, size int64, contiguous bool) *chunks {
	c := &chunks{r: r, size: max(size, 1), contiguous: contiguous}
	if !contiguous {
		c.n = pieces(r.Len(), c.size)
		return c
	}
	c.runs = runsOf(r)
	c.before, c.values = make([]int64, len(c.runs)), make([]int64, len(c.runs))
	seen := int64(0)
	for i, run := range c.runs {
		c.before[i], c.values[i] = c.n, seen
		seen += run.count * run.length
		c.n += run.count * pieces(run.length, c.size)
	}
	return c
}

func pieces(n, size int64) int64 {
	if n == 0 {
		return 0
	}
	return (n-1)/size + 1
}

// cut gives the bounds of piece i of n integers cut into count pieces, the longer
// ones first.
func cut(n, count, i int64) (from, to int64) {
	small, extra := n/count, n%count
	from = i*small + min(i, extra)
	to = from + small
	if i < extra {
		to++
	}
	return from, to
}

// at writes piece i.
func (c *chunks) at(i int64) string {
	if !c.contiguous {
		from, to := cut(c.r.Len(), c.n, i)
		return c.r.Slice(from, to).String()
	}
	run, _, nth, from, to := c.piece(i)
	start := run.start + nth*run.step
	return stretch(start+from, start+to-1)
}

// piece finds the contiguous piece i: the integers from to to of the stretch nth
// of a run, before which are values integers.
func (c *chunks) piece(i int64) (r run, values, nth, from, to int64) {
	k := sort.Search(len(c.before), func(k int) bool { return c.before[k] > i }) - 1
	r = c.runs[k]
	i -= c.before[k]
	count := pieces(r.length, c.size)
	from, to = cut(r.length, count, i%count)
	return r, c.values[k], i / count, from, to
}

// bounds are the indices in the range of the first integer of piece i and of the
// one after its last.
func (c *chunks) bounds(i int64) (from, to int64) {
	if !c.contiguous {
		return cut(c.r.Len(), c.n, i)
	}
	r, values, nth, from, to := c.piece(i)
	values += nth * r.length
	return values + from, values + to
}

// stretch writes a CONTIGUOUS chunk, which has both ends even when they are equal.
func stretch(from, to int64) string { return fmt.Sprintf("%d-%d", from, to) }

// runsOf finds the contiguous stretches of a range.
func runsOf(r Range) []run {
	var runs []run
	add := func(start, length int64) {
		if n := len(runs); n > 0 {
			if last := &runs[n-1]; last.count == 1 && last.start+last.length == start {
				last.length += length
				return
			}
		}
		runs = append(runs, run{start, length, 1, 0})
	}
	for _, s := range r.spans {
		n := s.count()
		if s.step == 1 || n == 1 {
			add(s.start, n)
			continue
		}
		// Only the ends of a stepped span can touch what stands beside it.
		add(s.start, 1)
		if n > 2 {
			runs = append(runs, run{s.start + s.step, 1, n - 2, s.step})
		}
		add(s.end, 1)
	}
	return runs
}

// cutFrom writes the chunk that begins with the integer at index from and has at
// most size integers, and tells the index that follows it.
func cutFrom(r Range, from, size int64, contiguous bool) (text string, next int64) {
	next = min(r.Len(), from+max(size, 1))
	if next < from {
		next = r.Len()
	}
	if !contiguous {
		return r.Slice(from, next).String(), next
	}
	first := r.At(from)
	// The integers increase, so those without a gap are a prefix.
	n := sort.Search(int(next-from), func(i int) bool { return r.At(from+int64(i)) != first+int64(i) })
	return stretch(first, first+int64(n)-1), from + int64(n)
}
