package openjd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spaceOf instantiates a template whose only step has the given parameter space.
func spaceOf(t *testing.T, space string, values map[string]string) (*Space, error) {
	t.Helper()
	tmpl, err := ParseJobTemplate([]byte("specificationVersion: jobtemplate-2023-09\nextensions: [TASK_CHUNKING]\nname: n\n" +
		"parameterDefinitions:\n- {name: N, type: INT, default: 3}\n- {name: T, type: STRING, default: x}\n" +
		"steps:\n- name: s\n  parameterSpace: " + space + "\n  script: {actions: {onRun: {command: c}}}\n"))
	if err != nil {
		return nil, err
	}
	job, err := tmpl.Instantiate(values, Options{})
	if err != nil {
		return nil, err
	}
	return job.Steps[0].Space, nil
}

// tasks writes every task of a space as its values.
func tasks(t *testing.T, s *Space) []string {
	t.Helper()
	var out []string
	for i := range s.Len() {
		task, err := s.At(i)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, p := range task {
			values = append(values, p.Value)
		}
		out = append(out, strings.Join(values, " "))
	}
	return out
}

func TestCombinations(t *testing.T) {
	t.Parallel()
	const params = `taskParameterDefinitions: [{name: A, type: INT, range: "1-{{Param.N}}"}, {name: B, type: STRING, range: [x, "{{Param.T}}y", z]}, ` +
		`{name: C, type: FLOAT, range: [1, "02.50"]}]`
	tests := []struct {
		combination string
		want        []string
	}{
		{"", []string{"1 x 1", "1 x 2.5", "1 xy 1", "1 xy 2.5", "1 z 1", "1 z 2.5", "2 x 1", "2 x 2.5", "2 xy 1", "2 xy 2.5", "2 z 1", "2 z 2.5", "3 x 1", "3 x 2.5", "3 xy 1", "3 xy 2.5", "3 z 1", "3 z 2.5"}},
		{"(A,B)*C", []string{"1 x 1", "1 x 2.5", "2 xy 1", "2 xy 2.5", "3 z 1", "3 z 2.5"}},
		{" C * ( B , A ) ", []string{"1 x 1", "2 xy 1", "3 z 1", "1 x 2.5", "2 xy 2.5", "3 z 2.5"}},
		{"((A, B)) * (C)", []string{"1 x 1", "1 x 2.5", "2 xy 1", "2 xy 2.5", "3 z 1", "3 z 2.5"}},
	}
	for _, tt := range tests {
		text := "{" + params + "}"
		if tt.combination != "" {
			text = "{" + params + ", combination: '" + tt.combination + "'}"
		}
		s, err := spaceOf(t, text, nil)
		if err != nil {
			t.Fatalf("%q: %v", tt.combination, err)
		}
		if diff := cmp.Diff(tt.want, tasks(t, s)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.combination, diff)
		}
	}
}

func TestNestedAssociation(t *testing.T) {
	t.Parallel()
	s, err := spaceOf(t, `{taskParameterDefinitions: [{name: A, type: INT, range: [1, 2]}, {name: B, type: INT, range: [3, 4]}, {name: C, type: INT, range: 5-8}],`+
		` combination: "(A * B, C)"}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1 3 5", "1 4 6", "2 3 7", "2 4 8"}, tasks(t, s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCombinationRefused(t *testing.T) {
	t.Parallel()
	for combination, want := range map[string]string{
		"":                        "ends where",
		"   ":                     "ends where",
		"A":                       "leaves out the parameter B",
		"A * ":                    "ends where",
		"* A * B * C":             "where a parameter's name must stand",
		"A * B * C *":             "ends where",
		"A ** B * C":              "where a parameter's name must stand",
		"A B * C":                 "cannot stand there",
		"(A, B * C":               "nothing closes",
		"A * B) * C":              "cannot stand there",
		"A @ B * C":               "cannot stand there",
		"A * B * C * A":           "the parameter A twice",
		"A * B * D":               "D is no task parameter",
		"(A, C) * B":              "associates 3 values with 2 values",
		"(A, B, C)":               "associates 3 values with 2 values",
		"(A * C, B)":              "associates 6 values with 3 values",
		strings.Repeat("(", 1281): "at most 1280",
		"A\t* B * C":              "cannot stand there",
	} {
		_, err := spaceOf(t, `{taskParameterDefinitions: [{name: A, type: INT, range: "1-3"}, {name: B, type: INT, range: [1, 2, 3]}, {name: C, type: INT, range: [1, 2]}], combination: "`+
			strings.ReplaceAll(combination, "\t", `\t`)+`"}`, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", clip(combination), err, want)
		}
	}
}

func TestAssociationOfUnknownLength(t *testing.T) {
	t.Parallel()
	const space = `{taskParameterDefinitions: [{name: A, type: INT, range: "1-{{Param.N}}"}, {name: B, type: INT, range: [1, 2]}], combination: "(A, B)"}`
	if _, err := spaceOf(t, space, map[string]string{"N": "2"}); err != nil {
		t.Errorf("with equal lengths: %v", err)
	}
	_, err := spaceOf(t, space, map[string]string{"N": "5"})
	if err == nil || !strings.Contains(err.Error(), "steps[0].parameterSpace.combination: associates 5 values with 2 values") {
		t.Errorf("with unequal lengths: %v", err)
	}
}

func TestHugeSpace(t *testing.T) {
	t.Parallel()
	s, err := spaceOf(t, `{taskParameterDefinitions: [{name: A, type: INT, range: "0-999999"}, {name: B, type: INT, range: "-1--1000000"}, {name: C, type: INT, range: "1-1000000"}], combination: "A * C * B"}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 1_000_000_000_000 {
		t.Fatalf("length %d, want 10^12", s.Len())
	}
	task, err := s.At(123_456_654_320)
	if err != nil {
		t.Fatal(err)
	}
	want := TaskParameters{{"A", TypeInt, "123456"}, {"B", TypeInt, "-1"}, {"C", TypeInt, "654321"}}
	if diff := cmp.Diff(want, task); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, i := range []int64{-1, s.Len()} {
		if _, err := s.At(i); err == nil {
			t.Errorf("task %d exists", i)
		}
	}
	if _, err := spaceOf(t, `{taskParameterDefinitions: [{name: A, type: INT, range: "1-4000000000000000000"}, {name: B, type: INT, range: "1-2"}]}`, nil); err == nil || !strings.Contains(err.Error(), "2^62") {
		t.Errorf("a space beyond counting gives %v", err)
	}
}

func TestNilSpace(t *testing.T) {
	t.Parallel()
	var s *Space
	task, err := s.At(0)
	if s.Len() != 1 || err != nil || len(task) != 0 || s.Rows() != 1 || s.RowLen() != 1 || s.Chunk() != nil || s.WithChunkSize(3) != nil || s.Parameters() != nil {
		t.Errorf("a step without a space has %d tasks, task %v, %v", s.Len(), task, err)
	}
	if task, next, err := s.Cut(0, 0, 5); err != nil || next != 1 || len(task) != 0 {
		t.Errorf("its only chunk is %v, %d, %v", task, next, err)
	}
}

func chunkSpace(t *testing.T, ranges string, count int, constraint RangeConstraint) *Space {
	t.Helper()
	s, err := spaceOf(t, fmt.Sprintf(`{taskParameterDefinitions: [{name: F, type: "CHUNK[INT]", range: %s, chunks: {defaultTaskCount: %d, targetRuntimeSeconds: 60, rangeConstraint: %s}}]}`,
		ranges, count, constraint), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestChunks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ranges     string
		count      int
		constraint RangeConstraint
		want       []string
	}{
		{`"1-12"`, 5, Contiguous, []string{"1-4", "5-8", "9-12"}},
		{`"1-8"`, 3, Noncontiguous, []string{"1-3", "4-6", "7,8"}},
		{`"1-3"`, 100, Contiguous, []string{"1-3"}},
		{`"5"`, 2, Contiguous, []string{"5-5"}},
		{`"5"`, 2, Noncontiguous, []string{"5"}},
		{`"1,10-12,18-23"`, 4, Contiguous, []string{"1-1", "10-12", "18-20", "21-23"}},
		{`"1,10-12,18-23"`, 4, Noncontiguous, []string{"1,10-12", "18-20", "21-23"}},
		{`"1-9:2"`, 3, Contiguous, []string{"1-1", "3-3", "5-5", "7-7", "9-9"}},
		{`"1-9:2"`, 3, Noncontiguous, []string{"1-5:2", "7,9"}},
		{`"1-9:2,10-11"`, 3, Contiguous, []string{"1-1", "3-3", "5-5", "7-7", "9-11"}},
		{`"-1-0,1-9:2"`, 3, Contiguous, []string{"-1-1", "3-3", "5-5", "7-7", "9-9"}},
		{"[9, 3, 1, 2, 3]", 2, Contiguous, []string{"1-2", "3-3", "9-9"}},
	}
	for _, tt := range tests {
		s := chunkSpace(t, tt.ranges, tt.count, tt.constraint)
		if diff := cmp.Diff(tt.want, tasks(t, s)); diff != "" {
			t.Errorf("%s by %d %s (-want +got):\n%s", tt.ranges, tt.count, tt.constraint, diff)
		}
	}
}

// TestChunksCover checks, for many ranges and sizes, that chunks hold each integer
// once, are no larger than they may, and are contiguous where they must.
func TestChunksCover(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1-17", "1-31:3", "1-5,6,7,20-40:2,41-44", "-9--1,0-30:5", "1,3,4,6,7,8,10"} {
		all, err := ParseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		for size := int64(1); size < 12; size++ {
			for _, contiguous := range []bool{true, false} {
				c := newChunks(all, size, contiguous)
				var got []int64
				for i := range c.n {
					piece, err := ParseRange(c.at(i))
					if err != nil {
						t.Fatal(err)
					}
					ints := expand(piece)
					if int64(len(ints)) > size || contiguous && ints[len(ints)-1]-ints[0] != int64(len(ints)-1) {
						t.Errorf("%s by %d: chunk %s", text, size, c.at(i))
					}
					got = append(got, ints...)
				}
				slices.Sort(got)
				if !slices.Equal(got, expand(all)) {
					t.Errorf("%s by %d, contiguous %v: chunks hold %v", text, size, contiguous, got)
				}
			}
		}
	}
}

func TestHugeChunks(t *testing.T) {
	t.Parallel()
	s := chunkSpace(t, `"1-1000000000000"`, 1000, Contiguous)
	if s.Len() != 1_000_000_000 {
		t.Fatalf("%d chunks, want 10^9", s.Len())
	}
	task, err := s.At(s.Len() - 1)
	if err != nil || task[0].Value != "999999999001-1000000000000" || task[0].Type != TypeChunkInt {
		t.Errorf("last chunk is %v, %v", task, err)
	}
	stepped := chunkSpace(t, `"1-1000000000000:2"`, 1000, Contiguous)
	if task, err := stepped.At(123_456_789); err != nil || task[0].Value != "246913579-246913579" {
		t.Errorf("a chunk of odd integers is %v, %v", task, err)
	}
}

func TestWithChunkSize(t *testing.T) {
	t.Parallel()
	s := chunkSpace(t, `"1-12"`, 5, Contiguous)
	want := &Chunking{Parameter: "F", DefaultTaskCount: 5, TargetRuntimeSeconds: 60, Constraint: Contiguous}
	if diff := cmp.Diff(want, s.Chunk()); diff != "" {
		t.Errorf("chunking (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1-6", "7-12"}, tasks(t, s.WithChunkSize(6))); diff != "" {
		t.Errorf("by 6 (-want +got):\n%s", diff)
	}
	if s.WithChunkSize(-4).Len() != 12 || s.Len() != 3 {
		t.Error("the size does not begin at 1, or the space changed")
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	s, err := spaceOf(t, `{taskParameterDefinitions: [{name: F, type: "CHUNK[INT]", range: "1-6,10-11", chunks: {defaultTaskCount: 2, rangeConstraint: CONTIGUOUS}}, {name: L, type: STRING, range: [x, y]}]}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Rows() != 2 || s.RowLen() != 8 {
		t.Fatalf("%d rows of %d, want 2 of 8", s.Rows(), s.RowLen())
	}
	var got []string
	for row := range s.Rows() {
		for from, size := int64(0), 1; from < s.RowLen(); size *= 3 {
			task, next, err := s.Cut(row, from, size)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, task[0].Value+" "+task[1].Value)
			from = next
		}
	}
	if diff := cmp.Diff([]string{"1-1 x", "2-4 x", "5-6 x", "10-11 x", "1-1 y", "2-4 y", "5-6 y", "10-11 y"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, at := range [][2]int64{{-1, 0}, {2, 0}, {0, -1}, {0, 8}} {
		if _, _, err := s.Cut(at[0], at[1], 1); err == nil {
			t.Errorf("there is a chunk at %v", at)
		}
	}
	non, err := spaceOf(t, `{taskParameterDefinitions: [{name: F, type: "CHUNK[INT]", range: "1-6,10-11", chunks: {defaultTaskCount: "{{Param.N}}", rangeConstraint: NONCONTIGUOUS}}]}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	task, next, err := non.Cut(0, 4, 1000)
	if err != nil || task[0].Value != "5,6,10,11" || next != 8 {
		t.Errorf("got %v, %d, %v", task, next, err)
	}
}

func BenchmarkAt(b *testing.B) {
	tmpl, err := ParseJobTemplate([]byte(sampleTemplate))
	if err != nil {
		b.Fatal(err)
	}
	job, err := tmpl.Instantiate(sampleValues, Options{})
	if err != nil {
		b.Fatal(err)
	}
	s := job.Steps[1].Space
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		if _, err := s.At(i % s.Len()); err != nil {
			b.Fatal(err)
		}
	}
}
