// Package renderer holds what the packages about single renderers share: lists
// of frames as people write them, names of pictures with frame numbers, and
// the faults a render can end with. It knows no renderer itself.
package renderer

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxFrames is how many frames one list may name. It is the farm's limit of
// tasks for a job.
const MaxFrames = 10_000_000

// maxListText and maxListParts bound what is parsed at all; a list within them
// is parsed in milliseconds.
const (
	maxListText  = 64 << 10
	maxListParts = 4096
	maxListed    = 100_000
)

// Run is the frames Start, Start+Step, ... up to and including End. Step is at
// least 1 and End is itself a frame of the run.
type Run struct {
	Start, End, Step int64
}

// Len is the number of frames of the run.
func (r Run) Len() int64 { return (r.End-r.Start)/r.Step + 1 }

// Frames is a set of frames in ascending order, kept as runs that do not
// overlap. The zero value has no frame.
type Frames struct {
	runs []Run
}

// FrameRange is the frames from start to end by step, as a scene's own frame
// range says it.
func FrameRange(start, end, step int64) (Frames, error) {
	if step == 1 {
		return ParseFrames(fmt.Sprintf("%d-%d", start, end))
	}
	return ParseFrames(fmt.Sprintf("%d-%d:%d", start, end, step))
}

// ParseFrames reads a list such as "1-10:2,15,20-30": single frames and ranges,
// with an optional step, between commas. Negative numbers are allowed.
// Overlapping parts are merged and each frame counts once. The error of a list
// that is empty, reversed, malformed or larger than MaxFrames says which part
// is at fault and how it should look.
func ParseFrames(text string) (Frames, error) {
	if len(text) > maxListText {
		return Frames{}, fmt.Errorf("the frame list is %d characters long; at most %d are read: write runs as ranges, such as 1-250:2", len(text), maxListText)
	}
	if strings.TrimSpace(text) == "" {
		return Frames{}, errors.New("the frame list is empty: name frames such as 1-48, 1-10:2 or 7,9,12")
	}
	parts := strings.Split(text, ",")
	if len(parts) > maxListParts {
		return Frames{}, fmt.Errorf("the frame list has %d parts; at most %d are read: write runs as ranges, such as 1-250:2", len(parts), maxListParts)
	}
	runs := make([]Run, 0, len(parts))
	for _, part := range parts {
		run, err := parseRun(strings.TrimSpace(part))
		if err != nil {
			return Frames{}, err
		}
		if run.Len() > MaxFrames {
			return Frames{}, fmt.Errorf("frames %q are %d frames; one job takes at most %d", strings.TrimSpace(part), run.Len(), MaxFrames)
		}
		runs = append(runs, run)
	}
	return merge(runs)
}

func parseRun(part string) (Run, error) {
	if part == "" {
		return Run{}, errors.New("the frame list has an empty part: remove the comma that has nothing beside it")
	}
	rest, stepText, hasStep := strings.Cut(part, ":")
	start, rest, err := leadingInt(rest, part)
	if err != nil {
		return Run{}, err
	}
	if rest == "" {
		if hasStep {
			return Run{}, fmt.Errorf("frames %q: a step needs a range before it, such as %d-%d:%s", part, start, start+10, stepText)
		}
		return Run{start, start, 1}, nil
	}
	if rest[0] != '-' {
		return Run{}, malformed(part)
	}
	end, rest, err := leadingInt(strings.TrimSpace(rest[1:]), part)
	if err != nil {
		return Run{}, err
	}
	if rest != "" {
		return Run{}, malformed(part)
	}
	step := int64(1)
	if hasStep {
		if step, err = strconv.ParseInt(strings.TrimSpace(stepText), 10, 64); err != nil {
			return Run{}, malformed(part)
		}
	}
	switch {
	case step < 1:
		return Run{}, fmt.Errorf("frames %q: the step is %d; it must be 1 or more", part, step)
	case end < start:
		return Run{}, fmt.Errorf("frames %q run backwards: write %d-%d", part, end, start)
	}
	return Run{start, start + (end-start)/step*step, step}, nil
}

// leadingInt takes a number, with its sign, from the beginning of s.
func leadingInt(s, part string) (int64, string, error) {
	s = strings.TrimSpace(s)
	n := 0
	if n < len(s) && s[n] == '-' {
		n++
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(s[:n], 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && (v > math.MaxInt32 || v < math.MinInt32):
		return 0, "", fmt.Errorf("frames %q: a frame number must lie between %d and %d", clip(part), math.MinInt32, math.MaxInt32)
	case err != nil:
		return 0, "", malformed(part)
	}
	return v, strings.TrimSpace(s[n:]), nil
}

func malformed(part string) error {
	return fmt.Errorf("frames %q are not a frame list: write frames as 7, 1-48 or 1-48:2, with commas between them", clip(part))
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// merge sorts runs and joins those that overlap. Runs that stay arithmetic are
// never listed frame by frame; a true overlap of different steps is, within a
// bound.
func merge(runs []Run) (Frames, error) {
	slices.SortFunc(runs, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Step, b.Step))
	})
	var out []Run
	budget := int64(maxListed)
	for i := 0; i < len(runs); {
		end, j := runs[i].End, i+1
		for j < len(runs) && runs[j].Start <= end {
			end = max(end, runs[j].End)
			j++
		}
		joined, err := union(runs[i:j], &budget)
		if err != nil {
			return Frames{}, err
		}
		out = append(out, joined...)
		i = j
	}
	f := Frames{runs: joinAdjacent(out)}
	if f.Len() > MaxFrames {
		return Frames{}, fmt.Errorf("the list names %d frames; one job takes at most %d", f.Len(), MaxFrames)
	}
	return f, nil
}

// union gives the frames of overlapping runs, sorted by their start.
func union(runs []Run, budget *int64) ([]Run, error) {
	kept := runs[:0:0]
	for _, r := range runs {
		kept = absorb(kept, r)
	}
	if len(kept) == 1 {
		return kept, nil
	}
	return listed(kept, budget)
}

// absorb adds r to kept, into a run that already has its frames or continues
// it where there is one.
func absorb(kept []Run, r Run) []Run {
	for i, k := range kept {
		inPhase := (r.Start-k.Start)%k.Step == 0
		switch {
		case inPhase && r.End <= k.End && (r.Start == r.End || r.Step%k.Step == 0):
			return kept
		case inPhase && r.Step == k.Step && r.Start <= k.End+k.Step:
			kept[i].End = max(k.End, r.End)
			return kept
		}
	}
	return append(kept, r)
}

func listed(runs []Run, budget *int64) ([]Run, error) {
	for _, r := range runs {
		*budget -= r.Len()
	}
	if *budget < 0 {
		return nil, fmt.Errorf("ranges with different steps overlap in more than %d frames from frame %d on: write ranges that do not overlap", maxListed, runs[0].Start)
	}
	var frames []int64
	for _, r := range runs {
		for f := r.Start; f <= r.End; f += r.Step {
			frames = append(frames, f)
		}
	}
	slices.Sort(frames)
	return compress(slices.Compact(frames)), nil
}

// compress turns ascending frames into as few runs as a single pass finds.
func compress(frames []int64) []Run {
	var out []Run
	for i := 0; i < len(frames); {
		if i+1 == len(frames) {
			return append(out, Run{frames[i], frames[i], 1})
		}
		step, j := frames[i+1]-frames[i], i+1
		for j+1 < len(frames) && frames[j+1]-frames[j] == step {
			j++
		}
		if j == i+1 && step > 1 {
			out = append(out, Run{frames[i], frames[i], 1})
			i++
			continue
		}
		out = append(out, Run{frames[i], frames[j], step})
		i = j + 1
	}
	return out
}

// joinAdjacent makes "1-3,4-6" into "1-6".
func joinAdjacent(runs []Run) []Run {
	var out []Run
	for _, r := range runs {
		if r.Start == r.End {
			r.Step = 1
		}
		if n := len(out); n > 0 && out[n-1].Step == 1 && r.Step == 1 && out[n-1].End+1 == r.Start {
			out[n-1].End = r.End
			continue
		}
		out = append(out, r)
	}
	return out
}

// Len is the number of frames.
func (f Frames) Len() int64 {
	n := int64(0)
	for _, r := range f.runs {
		n += r.Len()
	}
	return n
}

// Runs gives the frames as ascending runs that do not overlap. The caller may
// keep and change them.
func (f Frames) Runs() []Run { return slices.Clone(f.runs) }

// Index is the place of a frame among all in ascending order, from 0 on.
func (f Frames) Index(frame int64) (int64, bool) {
	before := int64(0)
	for _, r := range f.runs {
		if frame >= r.Start && frame <= r.End {
			return before + (frame-r.Start)/r.Step, (frame-r.Start)%r.Step == 0
		}
		before += r.Len()
	}
	return 0, false
}

// All yields every frame in ascending order.
func (f Frames) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, r := range f.runs {
			for v := r.Start; v <= r.End; v += r.Step {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// String writes the frames as an OpenJD range expression (2023-09, section
// 3.4.1.1.1), which ParseFrames reads too.
func (f Frames) String() string {
	var b strings.Builder
	for i, r := range f.runs {
		if i > 0 {
			b.WriteByte(',')
		}
		switch {
		case r.Start == r.End:
			fmt.Fprintf(&b, "%d", r.Start)
		case r.Step == 1:
			fmt.Fprintf(&b, "%d-%d", r.Start, r.End)
		default:
			fmt.Fprintf(&b, "%d-%d:%d", r.Start, r.End, r.Step)
		}
	}
	return b.String()
}
