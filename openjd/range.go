package openjd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Range is a set of integers in increasing order, as a range expression writes it
// (section 3.4.1.1.1). It is never expanded. The zero value is empty.
type Range struct {
	spans []span
	// before[i] counts the integers before spans[i].
	before []int64
	n      int64
}

// span is start, start+step, … end; step is positive and end is reached exactly.
type span struct{ start, end, step int64 }

func (s span) count() int64 { return (s.end-s.start)/s.step + 1 }

// Bounds of range expressions: integers beyond 2^62 are refused, so that no count
// or sum overflows.
const (
	maxRangeText  = 64 << 10
	maxRangeParts = 10_000
	maxRangeValue = 1 << 62
)

// ParseRange reads a range expression such as "1-10:2,20". Parts that overlap are
// an error, even where their integers do not meet. Integers are below 2^62, and
// parts at most 10,000.
func ParseRange(s string) (Range, error) {
	if len(s) > maxRangeText {
		return Range{}, fmt.Errorf("range expression of %d bytes is longer than %d", len(s), maxRangeText)
	}
	if strings.Trim(s, " \t") == "" {
		return Range{}, errors.New("range expression is empty")
	}
	var parts []writtenSpan
	for text := range strings.SplitSeq(s, ",") {
		if len(parts) == maxRangeParts {
			return Range{}, fmt.Errorf("range expression has more than %d parts", maxRangeParts)
		}
		part, err := parseSpan(text)
		if err != nil {
			return Range{}, fmt.Errorf("range expression %q: %w", clip(s), err)
		}
		parts = append(parts, part)
	}
	slices.SortFunc(parts, func(a, b writtenSpan) int { return cmp.Compare(a.start, b.start) })
	spans := make([]span, len(parts))
	for i, p := range parts {
		if i > 0 && p.start <= parts[i-1].reach {
			return Range{}, fmt.Errorf("range expression %q: the parts with %d and %d overlap", clip(s), parts[i-1].start, p.start)
		}
		spans[i] = p.span
	}
	return newRange(spans), nil
}

func newRange(spans []span) Range {
	r := Range{spans: spans, before: make([]int64, len(spans))}
	for i, s := range spans {
		r.before[i] = r.n
		r.n += s.count()
	}
	return r
}

// writtenSpan remembers how far a part reaches as it is written: 1-10:4 overlaps
// 10-15, although it ends at 9.
type writtenSpan struct {
	span
	reach int64
}

// parseSpan reads INT, INT-INT or INT-INT:STEP with blanks between the tokens.
func parseSpan(text string) (writtenSpan, error) {
	scan := scanner{text: text}
	first, err := scan.integer()
	if err != nil {
		return writtenSpan{}, err
	}
	last, step := first, int64(1)
	if scan.take('-') {
		if last, err = scan.integer(); err != nil {
			return writtenSpan{}, err
		}
		if scan.take(':') {
			if step, err = scan.integer(); err != nil {
				return writtenSpan{}, err
			}
		}
	}
	if scan.blanks(); scan.at < len(text) {
		return writtenSpan{}, fmt.Errorf("%q cannot stand at %q", clip(text[scan.at:]), clip(text))
	}
	return makeSpan(first, last, step)
}

func makeSpan(first, last, step int64) (writtenSpan, error) {
	if step == 0 {
		return writtenSpan{}, errors.New("the step is 0")
	}
	if step > 0 && last < first || step < 0 && last > first {
		// The set is {first} and what follows it within the bound: nothing.
		last = first
	}
	if step > 0 {
		end := first + (last-first)/step*step
		return writtenSpan{span{first, end, step}, last}, nil
	}
	low := first - (first-last)/-step*-step
	return writtenSpan{span{low, first, -step}, first}, nil
}

// scanner reads tokens of a range expression.
type scanner struct {
	text string
	at   int
}

func (s *scanner) blanks() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

func (s *scanner) take(c byte) bool {
	if s.blanks(); s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) integer() (int64, error) {
	s.blanks()
	start := s.at
	if s.at < len(s.text) && s.text[s.at] == '-' {
		s.at++
	}
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	token := s.text[start:s.at]
	if token == "" || token == "-" {
		return 0, fmt.Errorf("an integer is missing in %q", clip(s.text))
	}
	i, err := strconv.ParseInt(token, 10, 64)
	if err != nil || i >= maxRangeValue || i <= -maxRangeValue {
		return 0, fmt.Errorf("%s is not between -2^62 and 2^62", clip(token))
	}
	return i, nil
}

// rangeOf makes the range of a list of integers; repeated ones count once.
func rangeOf(values []int64) Range {
	sorted := slices.Compact(slices.Sorted(slices.Values(values)))
	spans := make([]span, len(sorted))
	for i, v := range sorted {
		spans[i] = span{v, v, 1}
	}
	return newRange(compress(spans))
}

// Len is the number of integers.
func (r Range) Len() int64 { return r.n }

// At is the i-th integer, counted from 0; i must be at least 0 and less than Len,
// or At returns 0.
func (r Range) At(i int64) int64 {
	if i < 0 || i >= r.n {
		return 0
	}
	k := r.find(i)
	return r.spans[k].start + (i-r.before[k])*r.spans[k].step
}

// find is the index of the span that holds the i-th integer.
func (r Range) find(i int64) int {
	return sort.Search(len(r.before), func(k int) bool { return r.before[k] > i }) - 1
}

// Slice is the range of the integers from index from up to, not including, to.
func (r Range) Slice(from, to int64) Range {
	from, to = max(from, 0), min(to, r.n)
	if from >= to {
		return Range{}
	}
	var spans []span
	for k := r.find(from); k < len(r.spans) && r.before[k] < to; k++ {
		s := r.spans[k]
		lo, hi := max(from-r.before[k], 0), min(to-r.before[k], s.count())
		spans = append(spans, span{s.start + lo*s.step, s.start + (hi-1)*s.step, s.step})
	}
	return newRange(spans)
}

// String writes the range in a short canonical form: integers in equal steps, of
// three and more, as a-b or a-b:step.
func (r Range) String() string {
	var b strings.Builder
	for i, s := range compress(r.spans) {
		if i > 0 {
			b.WriteByte(',')
		}
		switch count := s.count(); {
		case count == 1:
			fmt.Fprintf(&b, "%d", s.start)
		case count == 2:
			fmt.Fprintf(&b, "%d,%d", s.start, s.end)
		case s.step == 1:
			fmt.Fprintf(&b, "%d-%d", s.start, s.end)
		default:
			fmt.Fprintf(&b, "%d-%d:%d", s.start, s.end, s.step)
		}
	}
	return b.String()
}

// Equal reports whether both have the same integers.
func (r Range) Equal(o Range) bool {
	if r.n != o.n {
		return false
	}
	for i := int64(0); i < r.n; {
		a, b := r.spans[r.find(i)], o.spans[o.find(i)]
		if r.At(i) != o.At(i) {
			return false
		}
		// As far as neither span ends, equal steps make equal integers.
		same := min((a.end-r.At(i))/a.step, (b.end-o.At(i))/b.step)
		if same > 0 && a.step != b.step {
			return false
		}
		i += same + 1
	}
	return true
}

// compress joins spans that continue one another.
func compress(spans []span) []span {
	var out []span
	for _, s := range spans {
		if s.count() == 1 {
			s.step = 1
		}
		out = join(out, s)
	}
	return out
}

// join adds s behind the spans of out. A last span of two integers gives its
// second up when that begins a longer run with s: of 5, 7, 8 and 9 the 5 stays
// alone.
func join(out []span, s span) []span {
	if len(out) == 0 {
		return append(out, s)
	}
	last := &out[len(out)-1]
	gap := s.start - last.end
	single := s.count() == 1
	switch {
	case last.count() == 1 && (single || gap == s.step):
		last.step, last.end = gap, s.end
	case last.count() > 1 && gap == last.step && (single || s.step == last.step):
		last.end = s.end
	case last.count() == 2:
		second := span{last.end, last.end, 1}
		if !single && gap != s.step {
			return append(out, s)
		}
		last.end, last.step = last.start, 1
		second.step, second.end = gap, s.end
		return append(out, second)
	default:
		return append(out, s)
	}
	return out
}
