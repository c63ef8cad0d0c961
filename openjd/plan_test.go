package openjd

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func chunkedSpace(t *testing.T, ints, constraint string, size int) *Space {
	t.Helper()
	text := fmt.Sprintf(`{"specificationVersion":"jobtemplate-2023-09","extensions":["TASK_CHUNKING"],"name":"j","steps":[{"name":"s",
		"parameterSpace":{"taskParameterDefinitions":[
			{"name":"F","type":"CHUNK[INT]","range":%q,"chunks":{"defaultTaskCount":%d,"targetRuntimeSeconds":60,"rangeConstraint":%q}},
			{"name":"A","type":"STRING","range":["x","y","z"]}]},
		"script":{"actions":{"onRun":{"command":"c"}}}}]}`, ints, size, constraint)
	tpl, err := ParseJobTemplate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	job, err := tpl.Instantiate(nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return job.Steps[0].Space
}

// TestPlanCoversEachValueOnce draws plans and holds them to what they promise:
// each value of each row is in one chunk, no chunk is larger than its size, and a
// new size changes nothing that stands before it.
func TestPlanCoversEachValueOnce(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, ints := range []string{"1-20", "1-5,9-20:3,30-34", "7", "1-30:2"} {
		for _, constraint := range []string{"CONTIGUOUS", "NONCONTIGUOUS"} {
			for range 30 {
				space := chunkedSpace(t, ints, constraint, 4)
				plan := []Resize{{0, 1 + rng.IntN(6)}}
				s, err := space.WithPlan(plan)
				if err != nil {
					t.Fatal(err)
				}
				for last := int64(0); last+2 < s.Len() && len(plan) < 5; {
					last += 1 + rng.Int64N(s.Len()-last-1)
					plan = append(plan, Resize{last, 1 + rng.IntN(6)})
					before := s
					if s, err = space.WithPlan(plan); err != nil {
						t.Fatal(err)
					}
					for i := range last {
						if d := cmp.Diff(must(before.At(i)), must(s.At(i))); d != "" {
							t.Fatalf("%s %v: chunk %d changed: %s", ints, plan, i, d)
						}
					}
				}
				checkPlan(t, space, s, plan)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func checkPlan(t *testing.T, space, s *Space, plan []Resize) {
	t.Helper()
	var got, want []string
	for i := range s.Len() {
		p := must(s.At(i))
		r := must(ParseRange(p[0].Value))
		size := 0
		for _, z := range plan {
			if z.From <= i {
				size = z.Size
			}
		}
		if r.Len() > int64(size) || r.Len() != s.ChunkLen(i) {
			t.Fatalf("%v: chunk %d is %s of %d values, told as %d", plan, i, p[0].Value, r.Len(), s.ChunkLen(i))
		}
		for k := range r.Len() {
			got = append(got, fmt.Sprint(p[1].Value, r.At(k)))
		}
	}
	for _, a := range []string{"x", "y", "z"} {
		ints := space.params[0].ints
		for k := range ints.Len() {
			want = append(want, fmt.Sprint(a, ints.At(k)))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%v: %s", plan, d)
	}
}

func TestPlanRefused(t *testing.T) {
	t.Parallel()
	space := chunkedSpace(t, "1-20", "CONTIGUOUS", 5)
	for _, plan := range [][]Resize{nil, {{1, 5}}, {{0, 5}, {0, 3}}, {{0, 5}, {12, 3}}, {{0, 5}, {4, 3}, {2, 1}}} {
		if _, err := space.WithPlan(plan); err == nil {
			t.Errorf("%v was taken", plan)
		}
	}
	if _, err := (*Space)(nil).WithPlan([]Resize{{0, 1}}); err == nil {
		t.Error("a space without chunks took a plan")
	}
	if n := space.ChunkLen(0); n != 5 {
		t.Errorf("chunk 0 has %d values", n)
	}
	if n := space.ChunkLen(4); n != 5 { // F varies slowest
		t.Errorf("chunk 4 has %d values", n)
	}
}
