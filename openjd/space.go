package openjd

import (
	"fmt"
	"strconv"
)

// Space is a step's parameter space: its tasks, by index. It is immutable. A nil
// Space has a single task without parameters.
type Space struct {
	params []spaceParam
	root   *combination
	counts []int64
	n      int64
	// chunked is the index of the chunked parameter, -1 without one.
	chunked  int
	chunking Chunking
	pieces   *chunks
	rows     int64
	// plan is set when chunks are sized by one.
	plan []planned
}

// spaceParam is a parameter with its values: ints of a range or a list, or texts.
type spaceParam struct {
	name  string
	typ   ParamType
	ints  Range
	texts []string
}

func (p spaceParam) count() int64 {
	if p.texts != nil {
		return int64(len(p.texts))
	}
	return p.ints.Len()
}

func (p spaceParam) at(i int64) string {
	if p.texts != nil {
		return p.texts[i]
	}
	return strconv.FormatInt(p.ints.At(i), 10)
}

// TaskParameters are the values of one task, in the order of their definitions.
type TaskParameters []TaskParameter

// TaskParameter is one value of a task. That of a TypeChunkInt is a range
// expression.
type TaskParameter struct {
	Name  string
	Type  ParamType
	Value string
}

// RangeConstraint says which integers may share a chunk.
type RangeConstraint string

// The range constraints of chunks.
const (
	Contiguous    RangeConstraint = "CONTIGUOUS"
	Noncontiguous RangeConstraint = "NONCONTIGUOUS"
)

// Chunking is how a space with a CHUNK[INT] parameter is cut (extension
// TASK_CHUNKING).
type Chunking struct {
	// Parameter is the name of the chunked parameter.
	Parameter string
	// DefaultTaskCount is the greatest number of values in a chunk that At cuts.
	DefaultTaskCount int
	// TargetRuntimeSeconds is what to aim for when sizing chunks; 0 means to
	// keep to DefaultTaskCount.
	TargetRuntimeSeconds int
	Constraint           RangeConstraint
}

// newSpace makes a space; root combines the parameters, and chunking is nil when
// none of them is chunked.
func newSpace(params []spaceParam, root *combination, chunking *Chunking) (*Space, error) {
	s := &Space{params: params, root: root, chunked: -1}
	if chunking != nil {
		s.chunking = *chunking
		for i, p := range params {
			if p.typ == TypeChunkInt {
				s.chunked = i
			}
		}
	}
	return s, s.count()
}

// count fills in the numbers that follow from the parameters and the chunk size.
func (s *Space) count() error {
	names := make([]string, len(s.params))
	s.counts = make([]int64, len(s.params))
	for i, p := range s.params {
		names[i], s.counts[i] = p.name, p.count()
	}
	if s.chunked >= 0 {
		contiguous := s.chunking.Constraint == Contiguous
		s.pieces = newChunks(s.params[s.chunked].ints, int64(s.chunking.DefaultTaskCount), contiguous)
		var err error
		s.counts[s.chunked] = 1
		if s.rows, err = s.root.length(s.counts, names); err != nil {
			return err
		}
		s.counts[s.chunked] = s.pieces.n
	}
	var err error
	s.n, err = s.root.length(s.counts, names)
	return err
}

// Len is the number of tasks: of chunks, where the space is chunked.
func (s *Space) Len() int64 {
	if s == nil {
		return 1
	}
	return s.n
}

// At computes the i-th task. It fails when i is not between 0 and Len-1. In a
// product the last parameter changes fastest.
func (s *Space) At(i int64) (TaskParameters, error) {
	if i < 0 || i >= s.Len() {
		return nil, fmt.Errorf("no task %d: the step has %d, counted from 0", i, s.Len())
	}
	if s == nil {
		return nil, nil
	}
	if s.plan != nil {
		return s.atPlanned(i), nil
	}
	out := s.blank()
	s.fill(s.root, i, out, s.counts)
	return out, nil
}

func (s *Space) blank() TaskParameters {
	out := make(TaskParameters, len(s.params))
	for i, p := range s.params {
		out[i] = TaskParameter{Name: p.name, Type: p.typ}
	}
	return out
}

// fill sets the values of combination i of c.
func (s *Space) fill(c *combination, i int64, out TaskParameters, counts []int64) {
	switch {
	case c.parts == nil && c.param == s.chunked:
		out[c.param].Value = s.pieces.at(i)
	case c.parts == nil:
		out[c.param].Value = s.params[c.param].at(i)
	case c.assoc:
		for _, part := range c.parts {
			s.fill(part, i, out, counts)
		}
	default:
		for k := len(c.parts) - 1; k >= 0; k-- {
			n, _ := c.parts[k].length(counts, nil)
			s.fill(c.parts[k], i%n, out, counts)
			i /= n
		}
	}
}

// Parameters lists the names and types of the parameters, without values.
func (s *Space) Parameters() TaskParameters {
	if s == nil {
		return nil
	}
	return s.blank()
}

// Chunk says how the space is chunked; nil when it is not.
func (s *Space) Chunk() *Chunking {
	if s == nil || s.chunked < 0 {
		return nil
	}
	c := s.chunking
	return &c
}

// WithChunkSize returns the same space cut into chunks of at most n values (1 if
// n is less); the space itself when it is not chunked.
func (s *Space) WithChunkSize(n int) *Space {
	if s == nil || s.chunked < 0 {
		return s
	}
	t := *s
	t.plan, t.chunking.DefaultTaskCount = nil, max(n, 1)
	if t.count() != nil {
		// More chunks than can be counted: keep the size that could be.
		return s
	}
	return &t
}

// Rows and Cut address a chunked space for a scheduler that sizes each chunk by
// how long the last one took. A row is one combination of the other parameters;
// Rows is their number (1 when there are no others, Len when none is chunked).
func (s *Space) Rows() int64 {
	if s == nil || s.chunked < 0 {
		return s.Len()
	}
	return s.rows
}

// RowLen is the number of values of the chunked parameter in each row, 1 when none
// is chunked.
func (s *Space) RowLen() int64 {
	if s == nil || s.chunked < 0 {
		return 1
	}
	return s.params[s.chunked].ints.Len()
}

// Cut makes the chunk of a row that begins with the value at index from and has
// at most size values; next is the index that the following chunk begins with,
// RowLen when the row is done. A CONTIGUOUS chunk ends at a gap. In a space that
// is not chunked, every row is a task of its own.
func (s *Space) Cut(row, from int64, size int) (task TaskParameters, next int64, err error) {
	if row < 0 || row >= s.Rows() || from < 0 || from >= s.RowLen() {
		return nil, 0, fmt.Errorf("no value %d in row %d: the step has %d rows of %d, counted from 0", from, row, s.Rows(), s.RowLen())
	}
	if s == nil || s.chunked < 0 {
		task, err = s.At(row)
		return task, 1, err
	}
	out := s.blank()
	counts := append([]int64(nil), s.counts...)
	counts[s.chunked] = 1
	s.fill(s.root, row, out, counts)
	out[s.chunked].Value, next = cutFrom(s.params[s.chunked].ints, from, int64(size), s.chunking.Constraint == Contiguous)
	return out, next, nil
}
