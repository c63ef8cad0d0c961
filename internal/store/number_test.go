package store

import (
	"testing"

	"drover.farm/internal/farm"
)

func TestNumbersLeadBackToTheirTasks(t *testing.T) {
	t.Parallel()
	spans := Spans{{1000, 1, 3}, {1001, 4, 1}, {1003, 1 << 28, 2}}
	for _, s := range spans {
		for step := range s.Steps {
			for _, index := range []int64{0, 1, 1 << 33, 1<<34 - 1} {
				want := farm.TaskKey{Job: s.Job, Step: int(step), Index: index}
				n := TaskNumber(s.First+step, index)
				if got := spans.Key(n); got != want || n <= 0 {
					t.Errorf("%+v goes by %d, which is %+v", want, n, got)
				}
			}
		}
	}
}

func TestRangesHoldWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := Span{1000, 7, 3}
	for _, c := range []struct {
		q        farm.TaskQuery
		from, to int64
	}{
		{farm.TaskQuery{Step: -1}, TaskNumber(7, 0), TaskNumber(10, 0) - 1},
		{farm.TaskQuery{Step: -1, FromStep: 1, From: 5}, TaskNumber(8, 5), TaskNumber(10, 0) - 1},
		{farm.TaskQuery{Step: 2}, TaskNumber(9, 0), TaskNumber(10, 0) - 1},
		{farm.TaskQuery{Step: 1, FromStep: 1, From: 5}, TaskNumber(8, 5), TaskNumber(9, 0) - 1},
		{farm.TaskQuery{Step: 2, FromStep: 1, From: 5}, TaskNumber(9, 0), TaskNumber(10, 0) - 1},
		{farm.TaskQuery{Step: -1, FromStep: -1, From: -9}, TaskNumber(7, 0), TaskNumber(10, 0) - 1},
	} {
		if from, to := s.Range(c.q); from != c.from || to != c.to {
			t.Errorf("%+v: from %d to %d, want %d to %d", c.q, from, to, c.from, c.to)
		}
	}
	for _, q := range []farm.TaskQuery{{Step: 3}, {Step: 0, FromStep: 1}, {Step: 1, FromStep: 1, From: 1 << 50}, {Step: -1, FromStep: 3}} {
		if from, to := s.Range(q); from <= to {
			t.Errorf("%+v: from %d to %d, want nothing", q, from, to)
		}
	}
}
