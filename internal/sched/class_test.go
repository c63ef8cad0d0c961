package sched

import (
	"testing"

	"pgregory.net/rapid"
)

func TestOnlyWhatStepsAskForPartsWorkers(t *testing.T) {
	t.Parallel()
	q := New()
	a, b := host(1), host(2)
	a.Attributes = map[string][]string{"attr.worker.hostname": {"one"}}
	b.Attributes = map[string][]string{"attr.worker.hostname": {"two"}}
	b.Amounts = map[string]float64{"amount.worker.vcpu": 8, "amount.worker.memory": 1}
	same := func(want bool, when string) {
		t.Helper()
		if got := q.Class(a) == q.Class(b); got != want {
			t.Errorf("%s: two workers are of one class: %v, want %v", when, got, want)
		}
	}
	q.Add(&Step{Job: 1, Owner: "ann", Needs: &Needs{Amounts: []Amount{{Name: "amount.worker.vcpu", Min: 2}}}})
	same(true, "a step asks for cores, of which both have the same")
	parted := q.Parted()
	byHost := &Needs{Attributes: []Attribute{{Name: "attr.worker.hostname", AnyOf: []string{"one"}}}}
	q.Add(&Step{Job: 2, Owner: "ann", Needs: byHost})
	if q.Parted() == parted {
		t.Error("a new name is not told")
	}
	same(false, "a step asks for a host")
	q.Remove(2, 0)
	same(false, "nothing asks for a host any more, and nothing for anything new")
	q.Add(&Step{Job: 3, Owner: "ann", Needs: &Needs{Attributes: []Attribute{{Name: "attr.worker.cpu.arch"}}}})
	same(true, "nothing asks for a host, since something new is asked for")
	for name, change := range map[string]func(*Worker){
		"slots":  func(w *Worker) { w.Slots++ },
		"used":   func(w *Worker) { w.Used = map[string]float64{"amount.worker.vcpu": 1} },
		"door":   func(w *Worker) { w.Door = "sheepit" },
		"tags":   func(w *Worker) { w.Tags = []string{"gpu"} },
		"owners": func(w *Worker) { w.Owners = []string{"ann"} },
		"jobs":   func(w *Worker) { w.Jobs = []int64{7} },
	} {
		c := host(3)
		change(c)
		if q.Class(c) == q.Class(host(4)) {
			t.Errorf("workers that differ in %s are of one class", name)
		}
	}
}

// TestAClassIsRefusedAlike holds workers of one class to one answer.
func TestAClassIsRefusedAlike(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := New()
		needs := []*Needs{nil, {Tags: []string{"gpu"}}, {Amounts: []Amount{{Name: "amount.worker.vcpu", Min: 6}}},
			{Attributes: []Attribute{{Name: "attr.worker.hostname", AnyOf: []string{"h1"}}}}, {Doors: []string{"native"}}}
		for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
			q.Add(&Step{Job: int64(i), Owner: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "owner"), Needs: rapid.SampledFrom(needs).Draw(t, "needs")})
		}
		answers := make(map[uint64]int64)
		for i := range 20 {
			w := host(int64(i))
			w.Slots = rapid.IntRange(1, 2).Draw(t, "slots")
			w.Door = rapid.SampledFrom([]string{"native", "sheepit"}).Draw(t, "door")
			w.Amounts = map[string]float64{"amount.worker.vcpu": rapid.SampledFrom([]float64{4, 8}).Draw(t, "cores")}
			w.Attributes = map[string][]string{"attr.worker.hostname": {rapid.SampledFrom([]string{"h1", "h2", "h3"}).Draw(t, "host")}}
			class, got := q.Class(w), int64(-1)
			if s, _ := q.Match(w); s != nil {
				got = s.Job
			}
			if before, ok := answers[class]; ok && before != got {
				t.Fatalf("two workers of a class got jobs %d and %d", before, got)
			}
			answers[class] = got
		}
	})
}
