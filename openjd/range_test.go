package openjd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func expand(r Range) []int64 {
	var out []int64
	for i := range r.Len() {
		out = append(out, r.At(i))
	}
	return out
}

func TestParseRange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, canonical string
		want          []int64
	}{
		{"7", "7", []int64{7}},
		{" 1 - 4 ", "1-4", []int64{1, 2, 3, 4}},
		{"-2--1", "-2,-1", []int64{-2, -1}},
		{"-1 - 1", "-1-1", []int64{-1, 0, 1}},
		{"1 - -1", "1", []int64{1}},
		{"9-3", "9", []int64{9}},
		{"3-9:-1", "3", []int64{3}},
		{"1-10 : 4", "1-9:4", []int64{1, 5, 9}},
		{"9-2:-3", "3-9:3", []int64{3, 6, 9}},
		{"20-26:3,1-3", "1-3,20-26:3", []int64{1, 2, 3, 20, 23, 26}},
		{"1,2,3,5,7,8,9", "1-3,5,7-9", []int64{1, 2, 3, 5, 7, 8, 9}},
		{"1-3,4-6", "1-6", []int64{1, 2, 3, 4, 5, 6}},
		{"1-5:2,7,9", "1-9:2", []int64{1, 3, 5, 7, 9}},
		{"5-5:9", "5", []int64{5}},
	}
	for _, tt := range tests {
		r, err := ParseRange(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, expand(r)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.in, diff)
		}
		if r.String() != tt.canonical {
			t.Errorf("%q is written as %q, want %q", tt.in, r.String(), tt.canonical)
		}
	}
}

func TestParseRangeRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               "empty",
		" \t":                            "empty",
		",":                              "missing",
		"1,":                             "missing",
		"1,,2":                           "missing",
		"1-":                             "missing",
		"-":                              "missing",
		"1-2:":                           "missing",
		"1-2:0":                          "step is 0",
		"1:2":                            "cannot stand",
		"1.5":                            "cannot stand",
		"1 2":                            "cannot stand",
		"1-2-3":                          "cannot stand",
		"1\n-2":                          "cannot stand",
		"a":                              "missing",
		"1-10:4,10-15":                   "overlap",
		"1-10:2,2-10:2":                  "overlap",
		"3,3":                            "overlap",
		"9-1:-1,5":                       "overlap",
		"4611686018427387904":            "2^62",
		"-99999999999999999999":          "2^62",
		strings.Repeat("1", 70<<10):      "longer than",
		strings.Repeat("1,", 10_001):     "more than 10000 parts",
		"1-5:99999999999999999999999999": "2^62",
	} {
		if _, err := ParseRange(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", clip(in), err, want)
		}
	}
}

func TestRangeAtTheBounds(t *testing.T) {
	t.Parallel()
	const most = 1<<62 - 1
	r, err := ParseRange(fmt.Sprintf("%d-%d", -most, most))
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(2*uint64(most) + 1); r.Len() != want {
		t.Errorf("length %d, want %d", r.Len(), want)
	}
	if got := r.At(r.Len() - 1); got != most {
		t.Errorf("last is %d, want %d", got, most)
	}
	if r.At(-1) != 0 || r.At(r.Len()) != 0 {
		t.Error("an index outside does not give 0")
	}
	if got := r.Slice(r.Len()-3, r.Len()).String(); got != fmt.Sprintf("%d-%d", most-2, most) {
		t.Errorf("the end is %s", got)
	}
}

// TestRangeAgainstSets compares ranges with sets of integers that random
// expressions were made of.
func TestRangeAgainstSets(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var parts []string
		var want []int64
		next := int64(rng.IntN(20) - 10)
		for range 1 + rng.IntN(6) {
			count, step := int64(1+rng.IntN(5)), int64(1+rng.IntN(3))
			last := next + (count-1)*step
			parts = append(parts, fmt.Sprintf("%d-%d:%d", next, last, step))
			for i := range count {
				want = append(want, next+i*step)
			}
			next = last + 1 + int64(rng.IntN(3))
		}
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		text := strings.Join(parts, ",")
		r, err := ParseRange(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, expand(r)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", text, diff)
		}
		again, err := ParseRange(r.String())
		if err != nil || !again.Equal(r) || !slices.Equal(expand(again), want) {
			t.Fatalf("%s is written as %s, which reads as %v, %v", text, r, expand(again), err)
		}
		from := rng.Int64N(r.Len())
		to := from + rng.Int64N(r.Len()-from+1)
		if got := expand(r.Slice(from, to)); !slices.Equal(got, want[from:to]) {
			t.Fatalf("%s[%d:%d] is %v, want %v", text, from, to, got, want[from:to])
		}
		if got := rangeOf(want); !got.Equal(r) {
			t.Fatalf("the list of %s makes %s", text, got)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"1-10", "1-10:3,20", "-5--1", "10-1:-2", " 1 , 2 ", "1-4611686018427387903", "1,,", "0-0:-4611686018427387903"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRange(s)
		if err != nil {
			return
		}
		if r.Len() < 1 {
			t.Fatalf("%q has %d integers", s, r.Len())
		}
		again, err := ParseRange(r.String())
		if err != nil || !again.Equal(r) {
			t.Fatalf("%q is written as %q, which reads as %v, %v", s, r, again, err)
		}
		for i := range min(r.Len()-1, 1000) {
			if r.At(i) >= r.At(i+1) {
				t.Fatalf("%q does not increase at %d", s, i)
			}
		}
	})
}
