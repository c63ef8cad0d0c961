package store

import (
	"sort"

	"drover.farm/internal/farm"
)

// indexBits are the bits of a task's number that are its index; the others are
// the number of its step, which is counted through the whole farm.
const indexBits = 34

// TaskNumber is the number that a task's row goes by.
func TaskNumber(step, index int64) int64 { return step<<indexBits | index }

// Span are the numbers of a job's steps: First and the Steps-1 that follow.
type Span struct{ Job, First, Steps int64 }

// Range are the lowest and the highest number of the tasks that q asks for; none
// has one when the first is the greater.
func (s Span) Range(q farm.TaskQuery) (from, to int64) {
	from = TaskNumber(s.First+max(int64(q.FromStep), 0), 0) + min(max(q.From, 0), 1<<indexBits)
	to = TaskNumber(s.First+s.Steps, 0) - 1
	if q.Step >= 0 {
		from = max(from, TaskNumber(s.First+int64(q.Step), 0))
		to = min(to, TaskNumber(s.First+int64(q.Step)+1, 0)-1)
	}
	return from, to
}

// Spans are those of several jobs, the lowest first.
type Spans []Span

// Key is the task that goes by a number, which lies in one of the spans.
func (s Spans) Key(number int64) farm.TaskKey {
	step := number >> indexBits
	of := s[sort.Search(len(s), func(i int) bool { return s[i].First > step })-1]
	return farm.TaskKey{Job: of.Job, Step: int(step - of.First), Index: number & (1<<indexBits - 1)}
}
