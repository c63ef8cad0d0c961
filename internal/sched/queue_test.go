package sched

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func host(id int64) *Worker {
	return &Worker{ID: id, Door: "native", Slots: 1, AllSlots: 1, Tags: []string{"Fast"},
		Amounts:    map[string]float64{"amount.worker.vcpu": 8, "amount.worker.memory": 16384},
		Used:       map[string]float64{},
		Attributes: map[string][]string{"attr.worker.os.family": {"linux"}, "attr.renderer.blender": {"3.4.1"}}}
}

func TestFitsGivesEveryReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		needs *Needs
		do    func(*Worker)
		want  string // the codes
	}{
		{"nothing asked", nil, nil, ""},
		{"enough", &Needs{Amounts: []Amount{{Name: "amount.worker.vcpu", Min: 8}}}, nil, ""},
		{"too little", &Needs{Amounts: []Amount{{Name: "amount.worker.vcpu", Min: 9}}}, nil, "amount"},
		{"too much", &Needs{Amounts: []Amount{{Name: "amount.worker.vcpu", Max: 4}}}, nil, "amount"},
		{"unknown amount", &Needs{Amounts: []Amount{{Name: "amount.x", Min: 1}}}, nil, "amount"},
		{"unknown amount of nothing", &Needs{Amounts: []Amount{{Name: "amount.x"}}}, nil, ""},
		{"any of, without case", &Needs{Attributes: []Attribute{{Name: "attr.worker.os.family", AnyOf: []string{"windows", "LINUX"}}}}, nil, ""},
		{"none of", &Needs{Attributes: []Attribute{{Name: "attr.worker.os.family", AnyOf: []string{"windows"}}}}, nil, "attribute"},
		{"all of", &Needs{Attributes: []Attribute{{Name: "attr.worker.os.family", AllOf: []string{"linux", "gnu"}}}}, nil, "attribute"},
		{"present", &Needs{Attributes: []Attribute{{Name: "attr.renderer.blender"}}}, nil, ""},
		{"absent", &Needs{Attributes: []Attribute{{Name: "attr.renderer.vray"}}}, nil, "attribute"},
		{"door", &Needs{Doors: []string{"sheepit"}}, nil, "door"},
		{"tag without case", &Needs{Tags: []string{"fast"}}, nil, ""},
		{"tag", &Needs{Tags: []string{"gpu"}}, nil, "tags"},
		{"closed and more", &Needs{Tags: []string{"gpu"}, Doors: []string{"x"}}, func(w *Worker) { w.Closed = "night" }, "closed door tags"},
		{"farm limit too small", &Needs{Amounts: []Amount{{Name: "amount.licence", Min: 5}}}, nil, "limit"},
		{"farm limit", &Needs{Amounts: []Amount{{Name: "amount.licence", Min: 2}}}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := host(1)
			if c.do != nil {
				c.do(w)
			}
			var got []string
			for _, r := range c.needs.Fits(w, map[string]*Limit{"amount.licence": {Total: 2}}) {
				got = append(got, r.Code)
				if s := r.String(); s == "" || s == r.Code {
					t.Errorf("the reason %q has no sentence", r.Code)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("reasons %q, want %q", s, c.want)
			}
		})
	}
}

func TestMatchRanks(t *testing.T) {
	t.Parallel()
	q := New()
	add := func(job int64, owner string, prio int, n *Needs) {
		q.Add(&Step{Job: job, Owner: owner, Priority: prio, Needs: n})
	}
	add(3, "ann", 50, nil)
	add(2, "ann", 50, nil)
	add(4, "bob", 50, nil)
	add(9, "bob", 99, &Needs{Tags: []string{"gpu"}})
	pick := func(w *Worker) int64 {
		if s, _ := q.Match(w); s != nil {
			q.Start(s.Owner, s.Needs)
			return s.Job
		}
		return 0
	}
	w := host(1)
	if got := []int64{pick(w), pick(w), pick(w)}; !slices.Equal(got, []int64{2, 4, 2}) {
		t.Errorf("order %v, want ann's oldest, bob, ann's oldest", got)
	}
	w.Tags = append(w.Tags, "gpu")
	if got := pick(w); got != 9 {
		t.Errorf("a worker that fits the urgent job gets %d", got)
	}
}

func TestWarmWorkersStay(t *testing.T) {
	t.Parallel()
	q := New()
	q.Add(&Step{Job: 1, Owner: "ann", Priority: 50})
	q.Add(&Step{Job: 2, Owner: "bob", Priority: 50})
	w := host(1)
	w.Warm = 2
	if s, _ := q.Match(w); s.Job != 2 {
		t.Errorf("a warm worker leaves its job for an owner who is level with its own")
	}
	q.Start("bob", nil)
	q.Start("bob", nil)
	if s, _ := q.Match(w); s.Job != 1 {
		t.Errorf("a warm worker stays although its owner is two tasks ahead")
	}
	q.Add(&Step{Job: 3, Owner: "eve", Priority: 60})
	if s, _ := q.Match(w); s.Job != 3 {
		t.Errorf("a warm worker stays although a higher priority waits")
	}
}

func TestWorkersStayWithTheFilesTheyHold(t *testing.T) {
	t.Parallel()
	q := New()
	q.Add(&Step{Job: 1, Owner: "ann", Priority: 50, Scene: 11})
	q.Add(&Step{Job: 2, Owner: "ann", Priority: 50, Scene: 22})
	q.Add(&Step{Job: 3, Owner: "ann", Priority: 50, Scene: 22})
	q.Add(&Step{Job: 4, Owner: "ann", Priority: 50})
	for _, c := range []struct {
		warm   int64
		scenes []uint64
		want   int64
		passes bool
	}{
		{0, nil, 1, false},
		{0, []uint64{22}, 2, true},
		{3, []uint64{22}, 3, true},     // the open session before the files
		{9, []uint64{33, 22}, 2, true}, // a session of a job that is over
		{0, []uint64{22, 11}, 1, false},
		{4, []uint64{11}, 4, true},
	} {
		w := host(1)
		w.Warm, w.Scenes = c.warm, c.scenes
		if s, passes := q.Match(w); s.Job != c.want || passes != c.passes {
			t.Errorf("with session %d and files %v: job %d, passing others %v; want %d, %v", c.warm, c.scenes, s.Job, passes, c.want, c.passes)
		}
	}
	if q.Remove(2, 0); !q.Wanted(22) {
		t.Error("job 3's files are not wanted")
	}
	if q.Remove(3, 0); q.Wanted(22) || q.Wanted(0) {
		t.Error("files are wanted that no step has")
	}
}

func TestWeightsShareTheFarm(t *testing.T) {
	t.Parallel()
	q := New()
	q.Weight("ann", 3)
	q.Add(&Step{Job: 1, Owner: "ann", Priority: 50})
	q.Add(&Step{Job: 2, Owner: "bob", Priority: 50})
	got := map[string]int{}
	for range 40 {
		s, _ := q.Match(host(1))
		q.Start(s.Owner, s.Needs)
		got[s.Owner]++
	}
	if got["ann"] != 30 || got["bob"] != 10 {
		t.Errorf("40 tasks went %v, want 30 to ann (weight 3) and 10 to bob", got)
	}
}

func TestBarrenClassesAreAskedAgainOnlyAfterAChange(t *testing.T) {
	t.Parallel()
	q := New()
	asked := 0
	q.Add(&Step{Job: 1, Owner: "ann", Needs: &Needs{Tags: []string{"gpu"}}})
	w := host(1)
	if s, _ := q.Match(w); s != nil {
		t.Fatal("a worker without the tag gets the job")
	}
	v := q.Version()
	q.Add(&Step{Job: 2, Owner: "ann", Takes: func(int64) bool { asked++; return false }})
	if q.Version() == v {
		t.Error("a new step is not noticed")
	}
	for range 3 {
		if s, _ := q.Match(w); s != nil {
			t.Fatal("a step that refuses the worker was given")
		}
	}
	if asked != 3 {
		t.Errorf("a refusal of one worker was remembered for its class: asked %d times, want 3", asked)
	}
	q.Remove(2, 0)
	q.Match(w)
	q.Add(&Step{Job: 3, Owner: "ann"})
	if s, _ := q.Match(w); s == nil || s.Job != 3 {
		t.Errorf("after a step was added its class still gets nothing")
	}
}

func TestExplainTellsPassingReasons(t *testing.T) {
	t.Parallel()
	q := New()
	q.SetLimit("amount.licence", 1)
	s := &Step{Job: 1, Owner: "ann", Needs: &Needs{Amounts: []Amount{{Name: "amount.licence", Min: 1}, {Name: "amount.worker.vcpu", Min: 6}}}}
	w := host(1)
	if rs := Explain(s, w, q.Limits()); len(rs) != 0 {
		t.Fatalf("reasons %v for a worker that could start", rs)
	}
	q.Start("ann", s.Needs)
	w.Slots, w.Used["amount.worker.vcpu"] = 0, 6
	var got []string
	for _, r := range Explain(s, w, q.Limits()) {
		got = append(got, fmt.Sprint(r.Code, " ", r.Name, " ", r.Passing))
	}
	if want := "busy slots true, limit amount.licence true, busy amount.worker.vcpu true"; strings.Join(got, ", ") != want {
		t.Errorf("reasons %v, want %s", got, want)
	}
	w.Owners = []string{"bob"}
	if rs := Explain(s, w, q.Limits()); len(rs) != 1 || rs[0].Code != "owner" || rs[0].Passing {
		t.Errorf("reasons %v, want only that it takes bob's jobs", rs)
	}
}

// TestQueueAgainstAModel holds Match to its rule written down plainly: among
// the steps that could start, the highest priority; there the owner with the
// smallest share, served longest ago; there the oldest.
func TestQueueAgainstAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{q: New(), steps: map[[2]int64]*Step{}, running: map[string]int{}, served: map[string]int{}, used: map[string]float64{}}
		m.q.SetLimit("amount.licence", 3)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				s := &Step{Job: rapid.Int64Range(1, 9).Draw(t, "job"), Index: rapid.IntRange(0, 2).Draw(t, "step"),
					Owner: rapid.SampledFrom(owners).Draw(t, "owner"), Priority: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "priority"),
					Needs: rapid.SampledFrom(someNeeds).Draw(t, "needs")}
				if bad := rapid.Int64Range(0, 3).Draw(t, "avoids"); bad > 0 {
					s.Takes = func(id int64) bool { return id != bad }
				}
				m.steps[[2]int64{s.Job, int64(s.Index)}] = s
				m.q.Add(s)
			},
			"remove": func(t *rapid.T) {
				j, i := rapid.Int64Range(1, 9).Draw(t, "job"), rapid.IntRange(0, 2).Draw(t, "step")
				delete(m.steps, [2]int64{j, int64(i)})
				m.q.Remove(j, i)
			},
			"match": func(t *rapid.T) { m.match(t) },
			"stop": func(t *rapid.T) {
				if len(m.started) == 0 {
					t.Skip("nothing runs")
				}
				i := rapid.IntRange(0, len(m.started)-1).Draw(t, "which")
				s := m.started[i]
				m.started = slices.Delete(m.started, i, i+1)
				m.running[s.Owner]--
				m.book(s, -1)
				m.q.Stop(s.Owner, s.Needs)
			},
			"": func(t *rapid.T) {
				if m.q.Len() != len(m.steps) {
					t.Fatalf("the queue holds %d steps, want %d", m.q.Len(), len(m.steps))
				}
			},
		})
	})
}

var (
	owners    = []string{"ann", "bob", "eve"}
	someNeeds = []*Needs{nil, {Tags: []string{"gpu"}}, {Amounts: []Amount{{Name: "amount.licence", Min: 1}}},
		{Amounts: []Amount{{Name: "amount.worker.vcpu", Min: 4}}, Doors: []string{"native", "sheepit"}}}
)

type model struct {
	q       *Queue
	steps   map[[2]int64]*Step
	running map[string]int
	served  map[string]int
	clock   int
	used    map[string]float64
	started []*Step
}

func (m *model) book(s *Step, d float64) {
	if s.Needs != nil {
		for _, a := range s.Needs.Amounts {
			m.used[a.Name] += d * a.Min
		}
	}
}

func (m *model) match(t *rapid.T) {
	w := host(rapid.Int64Range(1, 3).Draw(t, "worker"))
	w.Door = rapid.SampledFrom([]string{"native", "flamenco"}).Draw(t, "door")
	if rapid.Bool().Draw(t, "gpu") {
		w.Tags = append(w.Tags, "gpu")
	}
	var best *Step
	for _, s := range m.steps {
		if len(s.Needs.Fits(w, m.q.Limits())) > 0 || (s.Takes != nil && !s.Takes(w.ID)) {
			continue
		}
		if s.Needs != nil && s.Needs.Amounts != nil && s.Needs.Amounts[0].Name == "amount.licence" && m.used["amount.licence"] >= 3 {
			continue
		}
		if best == nil || m.before(s, best) {
			best = s
		}
	}
	got, _ := m.q.Match(w)
	if got != best {
		t.Fatalf("matched %+v, want %+v", got, best)
	}
	if got != nil {
		m.clock++
		m.running[got.Owner]++
		m.served[got.Owner] = m.clock
		m.book(got, 1)
		m.started = append(m.started, got)
		m.q.Start(got.Owner, got.Needs)
	}
}

func (m *model) before(a, b *Step) bool {
	switch {
	case a.Priority != b.Priority:
		return a.Priority > b.Priority
	case a.Owner == b.Owner:
		return age(a, b) < 0
	case m.running[a.Owner] != m.running[b.Owner]:
		return m.running[a.Owner] < m.running[b.Owner]
	case m.served[a.Owner] != m.served[b.Owner]:
		return m.served[a.Owner] < m.served[b.Owner]
	}
	return a.Owner < b.Owner
}

// TestBookingAnewIsNoTurn: who was served last stays so when what runs is booked
// out and in again in any order.
func TestBookingAnewIsNoTurn(t *testing.T) {
	t.Parallel()
	q := New()
	for i, name := range []string{"ann", "bob", "eve"} {
		q.Add(&Step{Job: int64(i + 1), Owner: name, Priority: 50})
		q.Start(name, nil)
	}
	for _, name := range []string{"ann", "eve", "bob"} {
		q.Book(name, nil, -1)
		q.Book(name, nil, 1)
	}
	for _, want := range []string{"ann", "bob", "eve", "ann"} {
		s, _ := q.Match(&Worker{ID: 1, Slots: 1})
		if s == nil || s.Owner != want {
			t.Fatalf("%+v ranks first, want a step of %s", s, want)
		}
		q.Start(want, nil)
	}
}
