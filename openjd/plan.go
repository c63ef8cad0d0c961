package openjd

import (
	"errors"
	"fmt"
)

// Resize says that the chunks with an index of From and above have at most Size
// values.
type Resize struct {
	From int64 `json:"from"`
	Size int   `json:"size"`
}

// planned is the part of a space that one Resize governs: from the value from of
// the row row on, chunks of rest, then those of whole rows.
type planned struct {
	first int64
	row   int64
	from  int64
	rest  *chunks
	whole *chunks
}

// WithPlan returns a chunked space whose chunks are sized by a plan, for a
// scheduler that chooses sizes as it learns how long chunks take. Its tasks go row
// by row, as Cut does, so that all that stands before a new size stays as it was.
// The plan begins with From 0, and its indices increase; a space that is not
// chunked has none.
func (s *Space) WithPlan(plan []Resize) (*Space, error) {
	if s.Chunk() == nil {
		return nil, errors.New("a plan is for a space with a CHUNK[INT] parameter")
	}
	if len(plan) == 0 || plan[0].From != 0 {
		return nil, errors.New("a plan begins with the size of the chunk 0")
	}
	t := *s
	t.plan = make([]planned, 0, len(plan))
	for i, r := range plan {
		p := planned{first: r.From}
		if i > 0 {
			last := &t.plan[i-1]
			if r.From <= last.first || r.From >= t.n {
				return nil, fmt.Errorf("a plan cannot go on from chunk %d: %d come before the last of %d", r.From, last.first, t.n)
			}
			p.row, p.from = last.place(r.From, t.RowLen())
		}
		p.cut(&t, r.Size)
		rows := t.Rows() - p.row - 1
		if rows > (maxRangeValue-p.first-p.rest.n)/max(p.whole.n, 1) {
			return nil, errTooMany
		}
		t.plan = append(t.plan, p)
		t.n = p.first + p.rest.n + rows*p.whole.n
	}
	return &t, nil
}

// cut makes the chunks of a part.
func (p *planned) cut(s *Space, size int) {
	r, contiguous := s.params[s.chunked].ints, s.chunking.Constraint == Contiguous
	p.whole = newChunks(r, int64(size), contiguous)
	p.rest = p.whole
	if p.from > 0 {
		p.rest = newChunks(r.Slice(p.from, r.Len()), int64(size), contiguous)
	}
}

// find gives the chunk of an index at or above first: its row, the chunks it is
// one of, its number among them, and the value that these begin with.
func (p *planned) find(i int64) (row int64, of *chunks, k, from int64) {
	if k = i - p.first; k < p.rest.n {
		return p.row, p.rest, k, p.from
	}
	k -= p.rest.n
	return p.row + 1 + k/p.whole.n, p.whole, k % p.whole.n, 0
}

// place is the row and the value that the chunk i begins with.
func (p *planned) place(i, rowLen int64) (row, from int64) {
	row, of, k, base := p.find(i)
	from, _ = of.bounds(k)
	if from += base; from >= rowLen {
		return row + 1, 0
	}
	return row, from
}

// part is the part of the plan that the task i lies in.
func (s *Space) part(i int64) *planned {
	k := len(s.plan) - 1
	for k > 0 && s.plan[k].first > i {
		k--
	}
	return &s.plan[k]
}

// atPlanned computes the task i of a space with a plan.
func (s *Space) atPlanned(i int64) TaskParameters {
	row, of, k, _ := s.part(i).find(i)
	out := s.blank()
	counts := append([]int64(nil), s.counts...)
	counts[s.chunked] = 1
	s.fill(s.root, row, out, counts)
	out[s.chunked].Value = of.at(k)
	return out
}

// ChunkLen is how many values the chunk of a task has; 1 where none is chunked.
func (s *Space) ChunkLen(i int64) int64 {
	if s.Chunk() == nil || i < 0 || i >= s.n {
		return 1
	}
	of, k := s.pieces, int64(0)
	if s.plan != nil {
		_, of, k, _ = s.part(i).find(i)
	} else {
		k = s.chunkOf(s.root, i)
	}
	from, to := of.bounds(k)
	return to - from
}

// chunkOf is the number of the chunk in combination i of c, 0 when c has none.
func (s *Space) chunkOf(c *combination, i int64) int64 {
	switch {
	case c.parts == nil && c.param == s.chunked:
		return i
	case c.parts == nil || c.assoc: // a chunked parameter is in no association
		return 0
	}
	found := int64(0)
	for k := len(c.parts) - 1; k >= 0; k-- {
		n, _ := c.parts[k].length(s.counts, nil)
		found += s.chunkOf(c.parts[k], i%n)
		i /= n
	}
	return found
}
