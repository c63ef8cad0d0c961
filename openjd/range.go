package openjd

// Range is a set of integers in increasing order, as a range expression writes it
// (section 3.4.1.1.1). It is never expanded. The zero value is empty.
type Range struct{}

// ParseRange reads a range expression such as "1-10:2,20".
func ParseRange(s string) (Range, error) { return Range{}, nil }

// Len is the number of integers.
func (r Range) Len() int64 { return 0 }

// At is the i-th integer, counted from 0; i must be less than Len.
func (r Range) At(i int64) int64 { return 0 }

// String writes the range in its shortest canonical form.
func (r Range) String() string { return "" }
