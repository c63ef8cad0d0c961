package farm

import (
	"slices"
	"testing"
)

func TestPreviewOrderIsAPermutation(t *testing.T) {
	t.Parallel()
	for n := int64(1); n < 300; n++ {
		seen := make([]bool, n)
		for pos := range n {
			i := OrderPreview.at(pos, n)
			if i < 0 || i >= n || seen[i] {
				t.Fatalf("n=%d: position %d gives %d, out of range or twice", n, pos, i)
			}
			seen[i] = true
			if back := OrderPreview.position(i, n); back != pos {
				t.Fatalf("n=%d: index %d came from position %d, inverse says %d", n, i, pos, back)
			}
		}
	}
}

func TestPreviewOrderStartsWithFirstLastMiddle(t *testing.T) {
	t.Parallel()
	var got []int64
	for pos := range int64(9) {
		got = append(got, OrderPreview.at(pos, 17))
	}
	if want := []int64{0, 16, 8, 4, 12, 2, 6, 10, 14}; !slices.Equal(got, want) {
		t.Errorf("17 tasks start %v, want %v", got, want)
	}
	for _, n := range []int64{10_000_000, 1 << 40} {
		for _, pos := range []int64{0, 1, 2, 3, n / 3, n / 2, n - 1} {
			if back := OrderPreview.position(OrderPreview.at(pos, n), n); back != pos {
				t.Errorf("n=%d: position %d comes back as %d", n, pos, back)
			}
		}
	}
}
