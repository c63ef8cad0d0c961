package openjd

// Space is a step's parameter space: its tasks, by index. It is immutable. A nil
// Space has a single task without parameters.
type Space struct{}

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

// Len is the number of tasks: of chunks, where the space is chunked.
func (s *Space) Len() int64 { return 1 }

// At computes the i-th task. It fails when i is not between 0 and Len-1.
func (s *Space) At(i int64) (TaskParameters, error) { return nil, nil }

// Chunk says how the space is chunked; nil when it is not.
func (s *Space) Chunk() *Chunking { return nil }

// WithChunkSize returns the same space cut into chunks of at most n values (1 if
// n is less); the space itself when it is not chunked.
func (s *Space) WithChunkSize(n int) *Space { return s }

// Rows and Cut address a chunked space for a scheduler that sizes each chunk by
// how long the last one took. A row is one combination of the other parameters;
// Rows is their number (1 when there are no others).
func (s *Space) Rows() int64 { return 1 }

// RowLen is the number of values of the chunked parameter in each row.
func (s *Space) RowLen() int64 { return 1 }

// Cut makes the chunk of a row that begins with the value at index from and has
// at most size values; next is the index that the following chunk begins with,
// RowLen when the row is done. A CONTIGUOUS chunk ends at a gap.
func (s *Space) Cut(row, from int64, size int) (task TaskParameters, next int64, err error) {
	return nil, 1, nil
}
