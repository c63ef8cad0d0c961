package farm

import "math/bits"

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

// position is the inverse of at.
func (o Order) position(index, n int64) int64 {
	if o != OrderPreview || n < 3 {
		return index
	}
	level := bits.Len64(uint64(n-1)) - 1
	// the last coarse point at or before index
	lo, hi := int64(0), int64(1)<<level
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if scale(mid, n-1, level) <= index {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	if scale(lo, n-1, level) != index {
		return int64(1)<<level + 1 + index - 1 - lo
	}
	switch lo {
	case 0:
		return 0
	case int64(1) << level:
		return 1
	}
	zeros := bits.TrailingZeros64(uint64(lo))
	l := level - zeros
	return 1 + int64(1)<<(l-1) + (lo>>zeros)/2
}

// scale is floor(j*m / 2^l) without overflow.
func scale(j, m int64, l int) int64 {
	hi, lo := bits.Mul64(uint64(j), uint64(m))
	if l == 0 {
		return int64(lo)
	}
	return int64(hi<<(64-l) | lo>>l)
}
