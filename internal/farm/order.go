package farm

import (
	"math/bits"
	"sort"
)

// at returns the index of the task that is handed out at position pos of n.
func (o Order) at(pos, n int64) int64 {
	if o != OrderPreview || n < 3 {
		return pos
	}
	// The dyadic points j/2^level of the range, coarse to fine, as long as they
	// fall on tasks of their own; then the tasks between them, ascending.
	level := bits.Len64(uint64(n-1)) - 1 // 2^level <= n-1
	coarse := int64(1)<<level + 1
	switch {
	case pos == 0:
		return 0
	case pos == 1:
		return n - 1
	case pos < coarse:
		l := bits.Len64(uint64(pos - 1)) // 2^(l-1) points are new at level l
		j := 2*(pos-1-int64(1)<<(l-1)) + 1
		return scale(j, n-1, l)
	}
	// The gap before coarse point j holds a task exactly when the missing
	// count steps up there.
	m := pos - coarse
	lo, hi := int64(0), int64(1)<<level
	for lo < hi {
		mid := (lo + hi) / 2
		if scale(mid, n-1, level)-mid > m {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return scale(lo, n-1, level) - 1
}

// next is the first index from i on whose task is not among the first done of n
// that were handed out; n when there is none.
func (o Order) next(i, done, n int64) int64 {
	if done >= n {
		return n
	}
	if o != OrderPreview || n < 3 {
		return max(i, done)
	}
	before := o.before(i, done, n)
	return i + int64(sort.Search(int(n-i), func(k int) bool {
		return o.before(i+int64(k)+1, done, n)-before <= int64(k)
	}))
}

// before counts the tasks below index i among the first done of n in the order
// of a preview: by arithmetic, for a step of millions is asked for page by page.
func (o Order) before(i, done, n int64) (c int64) {
	if done > 0 && i > 0 {
		c++
	}
	if done > 1 && i > n-1 {
		c++
	}
	if done <= 2 {
		return c
	}
	level := bits.Len64(uint64(n-1)) - 1
	coarse := int64(1)<<level + 1
	inner := min(done, coarse) - 2 // points between first and last
	full := bits.Len64(uint64(inner+1)) - 1
	points := int64(1)<<full - 1 // of them, those of levels that are whole
	c += count(points, func(k int64) bool { return scale(k+1, n-1, full) >= i })
	c += count(inner-points, func(k int64) bool { return scale(2*k+1, n-1, full+1) >= i })
	if done > coarse {
		gaps := i - count(coarse, func(k int64) bool { return scale(k, n-1, level) >= i })
		c += min(gaps, done-coarse)
	}
	return c
}

// count is how many of the numbers 0 to n-1 come before the first for which
// reached holds.
func count(n int64, reached func(int64) bool) int64 {
	return int64(sort.Search(int(n), func(k int) bool { return reached(int64(k)) }))
}

// scale is floor(j*m / 2^l) without overflow.
func scale(j, m int64, l int) int64 {
	hi, lo := bits.Mul64(uint64(j), uint64(m))
	if l == 0 {
		return int64(lo)
	}
	return int64(hi<<(64-l) | lo>>l)
}
