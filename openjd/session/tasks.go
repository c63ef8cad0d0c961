package session

import (
	"math"
	"time"

	"drover.farm/openjd"
)

// tasks goes through the tasks of a space. Where chunks aim at a run time, each
// is sized by how long the one before took (extension TASK_CHUNKING).
type tasks struct {
	space  *openjd.Space
	target time.Duration
	done   bool

	// index of the next task, where chunks have their default size.
	index int64
	// row and from address the next chunk, size its most values; last is how many
	// values the chunk before had.
	row, from int64
	size      int
	last      int64
}

func newTasks(space *openjd.Space) *tasks {
	t := &tasks{space: space}
	if c := space.Chunk(); c != nil && c.TargetRuntimeSeconds > 0 {
		t.target = time.Duration(c.TargetRuntimeSeconds) * time.Second
		t.size = c.DefaultTaskCount
	}
	return t
}

// next is the parameters of the next task; done is set when there is none.
func (t *tasks) next() (openjd.TaskParameters, error) {
	if t.target == 0 {
		if t.index >= t.space.Len() {
			t.done = true
			return nil, nil
		}
		t.index++
		return t.space.At(t.index - 1)
	}
	if t.from >= t.space.RowLen() {
		t.row, t.from = t.row+1, 0
	}
	if t.row >= t.space.Rows() {
		t.done = true
		return nil, nil
	}
	p, next, err := t.space.Cut(t.row, t.from, t.size)
	t.last, t.from = next-t.from, next
	return p, err
}

// took tells how long the task that next gave has run.
func (t *tasks) took(elapsed time.Duration) {
	if t.target > 0 {
		t.size = nextChunkSize(t.size, t.last, elapsed, t.target)
	}
}

// nextChunkSize sizes the chunk after one of n values that took elapsed, so that
// it takes about target. It at most doubles or halves size: values differ, and a
// chunk that was cut short by a gap says little of long ones.
func nextChunkSize(size int, n int64, elapsed, target time.Duration) int {
	if n <= 0 {
		return size
	}
	perValue := max(float64(elapsed)/float64(n), 1)
	ideal := float64(target) / perValue
	next := min(max(ideal, float64(size)/2), float64(size)*2)
	return int(min(max(math.Round(next), 1), math.MaxInt32))
}
