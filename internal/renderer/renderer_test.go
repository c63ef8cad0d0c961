package renderer

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFrames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"7", "7"},
		{"1-48", "1-48"},
		{"1-10:2,15,20-30", "1-9:2,15,20-30"},
		{" 1 - 3 , 5 ", "1-3,5"},
		{"20-30,1-10:2,15", "1-9:2,15,20-30"},
		{"1-10,5-15", "1-15"},
		{"5,5,5", "5"},
		{"1-3,4-6", "1-6"},
		{"1-10,3-5:2", "1-10"},
		{"1-9:2,2-10:2", "1-10"},
		{"1-9:2,11-15:2", "1-9:2,11-15:2"},
		{"1-10:2,5-21:2", "1-21:2"},
		{"1-10:2,2", "1-3,5-9:2"},
		{"-5--1", "-5--1"},
		{"-5-5:5", "-5-5:5"},
		{"3-3", "3"},
		{"1-2:50", "1"},
		{"1-1000000,5", "1-1000000"},
		{"1-1000000:2,5-999999:4", "1-999999:2"},
		{"2147483647", "2147483647"},
	} {
		got, err := ParseFrames(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if got.String() != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestParseFramesRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, says string }{
		{"", "empty"},
		{"   ", "empty"},
		{"1,,2", "empty part"},
		{"1-10,", "empty part"},
		{"10-1", "write 1-10"},
		{"a", "are not a frame list"},
		{"1-", "are not a frame list"},
		{"1..5", "are not a frame list"},
		{"1-5:0", "step is 0"},
		{"1-5:-1", "step is -1"},
		{"1-5:", "are not a frame list"},
		{"1-5:x", "are not a frame list"},
		{"5:2", "needs a range"},
		{"1-2-3", "are not a frame list"},
		{"1-1000000000", "at most 10000000"},
		{"1-9000000,9000002-18000000", "at most 10000000"},
		{"99999999999", "must lie between"},
		{"999999999999999999999999", "must lie between"},
		{"1-1000000:2,2-1000000:3", "overlap"},
		{"1-5\n7", "are not a frame list"},
		{strings.Repeat("1,", 5000) + "1", "5001 parts"},
		{strings.Repeat("1", 70000), "70000 characters"},
	} {
		_, err := ParseFrames(c.in)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: error %v, want one with %q", c.in, err, c.says)
		}
	}
}

func TestFrameRange(t *testing.T) {
	t.Parallel()
	f, err := FrameRange(3, 47, 2)
	if err != nil {
		t.Fatal(err)
	}
	if f.String() != "3-47:2" || f.Len() != 23 {
		t.Errorf("got %s with %d frames", f, f.Len())
	}
	if _, err := FrameRange(5, 1, 1); err == nil {
		t.Error("a reversed range was taken")
	}
}

func TestFrameName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		frame   int64
		want    string
	}{
		{"####", 7, "0007"},
		{"shot_####", 12345, "shot_12345"},
		{"a##b###", 4, "a##b004"},
		{"####_v2", -3, "-0003_v2"},
		{"plain", 1, "plain0001"},
		{"ф#", 9, "ф9"},
	} {
		if got := FrameName(c.pattern, c.frame); got != c.want {
			t.Errorf("FrameName(%q, %d) = %q, want %q", c.pattern, c.frame, got, c.want)
		}
	}
}

func TestCheckPattern(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"####", "shot 01_####", "кадр_####", "a.b"} {
		if err := CheckPattern(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "../x", "a/b", `a\b`, "a\nb", ".hidden", "..", "x.", " x", strings.Repeat("x", 300), "\xff", "a:b"} {
		if CheckPattern(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestFault(t *testing.T) {
	t.Parallel()
	for party, want := range map[Party]int{JobFault: ExitJob, WorkerFault: ExitWorker} {
		f := &Fault{Party: party, Message: "said"}
		if f.ExitCode() != want || f.Error() != "said" {
			t.Errorf("%s: code %d, text %q", party, f.ExitCode(), f.Error())
		}
	}
}

// FuzzParseFrames holds a list against a plain reading of it: the same set,
// ascending, each once, and its text means the same again.
func FuzzParseFrames(f *testing.F) {
	for _, s := range []string{"1-10:2,15,20-30", "-5--1", "1-10:3,2-9:2", "1,2,3,5,7", "1-4,2-8:2,3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseFrames(s)
		if err != nil || got.Len() > 5000 {
			return
		}
		frames := slices.Collect(got.All())
		if !slices.IsSorted(frames) || len(slices.Compact(slices.Clone(frames))) != len(frames) {
			t.Fatalf("%q gives %v", s, frames)
		}
		for i, r := range got.Runs() {
			if i > 0 && got.runs[i-1].End >= r.Start {
				t.Fatalf("%q gives ranges that overlap: %s", s, got)
			}
		}
		want := map[int64]bool{}
		for part := range strings.SplitSeq(s, ",") {
			r, err := parseRun(strings.TrimSpace(part))
			if err != nil {
				t.Fatalf("%q taken, but not its part %q", s, part)
			}
			for v := r.Start; v <= r.End; v += r.Step {
				want[v] = true
			}
		}
		if len(want) != len(frames) {
			t.Fatalf("%q has %d frames, want %d", s, len(frames), len(want))
		}
		for _, v := range frames {
			if !want[v] {
				t.Fatalf("%q has frame %d", s, v)
			}
		}
		again, err := ParseFrames(got.String())
		if err != nil {
			t.Fatalf("%q: own text %q: %v", s, got, err)
		}
		if diff := cmp.Diff(frames, slices.Collect(again.All())); diff != "" {
			t.Fatal(diff)
		}
	})
}
