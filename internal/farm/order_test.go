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
}

func TestNextFindsWhatWasNotHandedOut(t *testing.T) {
	t.Parallel()
	for _, o := range []Order{OrderLinear, OrderPreview} {
		for n := int64(1); n < 70; n++ {
			handed := make([]bool, n)
			for done := range n + 1 {
				want := n
				for i := n; i >= 0; i-- {
					if i < n && !handed[i] {
						want = i
					}
					if got := o.next(i, done, n); got != want {
						t.Fatalf("%s: of %d tasks with %d handed out, the next from %d is %d, want %d", o, n, done, i, got, want)
					}
				}
				if done < n {
					handed[o.at(done, n)] = true
				}
			}
		}
	}
}

// TestNextWalksNothing asks for pages of a step so large that any walk through
// it would not end.
func TestNextWalksNothing(t *testing.T) {
	t.Parallel()
	const n = int64(1) << 40
	if got := OrderPreview.next(0, n-1, n); got != OrderPreview.at(n-1, n) {
		t.Errorf("the last task is %d, found %d", OrderPreview.at(n-1, n), got)
	}
	if got := OrderPreview.next(5, n/2, n); got < 5 || got >= n {
		t.Errorf("half handed out, the next from 5 is %d", got)
	}
}
