package farm_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/farm"
)

var long = farm.Settings{Scan: time.Hour, WorkerTimeout: 1000 * time.Hour, Lease: 1000 * time.Hour}

// TestNoTurnGrowsWithTheNumberOfWorkers counts the workers that the dispatcher
// goes through at once for whoever asks about all of them.
func TestNoTurnGrowsWithTheNumberOfWorkers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2_500, 10_000} {
		f := host(t, n, long, nil)
		ctx := t.Context()
		j, err := f.Submit(ctx, farm.Submission{By: ann, Priority: 50, Spec: farm.Spec{Template: requiring("1-9", "{name: amount.worker.vcpu, min: 8}")}})
		if err != nil {
			t.Fatal(err)
		}
		check := func(name string, wantAll, wantMost int64, err error) {
			t.Helper()
			if all, most := f.Walked(); err != nil || all != wantAll || most > wantMost {
				t.Errorf("%s with %d workers: %d were gone through, %d at once; want %d and at most %d, %v", name, n, all, most, wantAll, wantMost, err)
			}
		}
		f.Walked()
		e, err := f.Why(ctx, j.ID)
		check("why", int64(n), 1000, err)
		if c := e.Steps[0].Classes; len(c) != 2 || c[0].Workers+c[1].Workers != n || !c[0].Fits || len(c[0].Names) != 5 || c[1].Workers != (n+2)/3 {
			t.Errorf("the classes of %d workers are %+v", n, c)
		}
		ws, err := f.Farmhands(ctx)
		check("the list of workers", int64(n), 1000, err)
		for i, w := range ws {
			if w.ID != int64(i+1) || len(ws) != n {
				t.Fatalf("%d workers, worker %d at place %d", len(ws), w.ID, i)
			}
		}
		s, err := f.Status(ctx)
		check("the status", 0, 0, err)
		if s.Workers[farm.WorkerIdle] != n {
			t.Errorf("the status has %v of %d", s.Workers, n)
		}
		o, err := f.Outlook(ctx, 1)
		check("a worker's outlook", 0, 0, err)
		if o.Machines != n {
			t.Errorf("the outlook has %d of %d", o.Machines, n)
		}
	}
}

// TestWorkersAreGoneThroughWhereItIsCounted finds loops over all workers of which
// the count above would not know.
func TestWorkersAreGoneThroughWhereItIsCounted(t *testing.T) {
	t.Parallel()
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if r, ok := n.(*ast.RangeStmt); ok {
					if s, ok := r.X.(*ast.SelectorExpr); ok && s.Sel.Name == "workers" && isState(s.X) {
						t.Errorf("%s: %s goes through all workers and counts none; use state.everybody or Farm.parade", e.Name(), fn.Name.Name)
					}
				}
				return true
			})
		}
	}
}

func isState(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == "st"
}

// TestWorkersAreCountedInEachState holds the counts that are kept against the
// workers as they are, whatever happens to them.
func TestWorkersAreCountedInEachState(t *testing.T) {
	bubble(t, farm.Settings{AsideFaults: 1, AvoidAfter: 100}, func(b *bundle) {
		same := func(when string) {
			b.t.Helper()
			ws, err := b.f.Farmhands(b.t.Context())
			b.check(err)
			want := make(map[farm.WorkerState]int)
			for _, w := range ws {
				want[w.State]++
			}
			s, err := b.f.Status(b.t.Context())
			b.check(err)
			if diff := cmp.Diff(want, s.Workers); diff != "" {
				b.t.Errorf("%s: workers that are, workers that are counted:\n%s", when, diff)
			}
		}
		change := func(w *farm.Worker, on bool) {
			b.check(errOf(b.f.ChangeWorker(b.t.Context(), admin, w.ID, farm.WorkerChange{Enabled: &on})))
		}
		same("nobody")
		one, two, three := b.worker("one", slots(2)), b.worker("two"), b.worker("three")
		same("three joined")
		b.submit(ann, template("1-9"))
		first, second := b.mustClaim(one), b.mustClaim(one)
		same("one renders two")
		change(one, false)
		b.complete(first)
		same("it was disabled and has one left")
		b.complete(second)
		same("it has none")
		change(one, true)
		b.fail(b.mustClaim(two), farm.CauseWorker)
		same("one was set aside")
		b.restart()
		same("the farm was started anew")
		change(two, true)
		b.mustClaim(three)
		b.restart()
		same("it was started anew while one renders")
		time.Sleep(5 * time.Minute)
		same("nobody was heard of")
		b.check(b.f.RemoveWorker(b.t.Context(), admin, two.ID))
		same("one was removed")
		b.worker("one")
		b.check(b.f.SignOff(b.t.Context(), ann, one.ID))
		b.worker("three")
		same("one came back, one left")
		change(three, true)
		b.mustClaim(three)
		b.check(b.f.RemoveWorker(b.t.Context(), admin, three.ID))
		same("one was removed that rendered")
	})
}

// TestWhyIsRightWhenTheFarmChangesUnderIt lets something happen after the first
// 1,000 of 2,500 workers were looked at.
func TestWhyIsRightWhenTheFarmChangesUnderIt(t *testing.T) {
	t.Parallel()
	by := farm.JobChange{By: admin}
	remove := func(ids ...int64) func(*farm.Farm) error {
		return func(f *farm.Farm) error {
			for _, id := range ids {
				if err := f.RemoveWorker(context.Background(), admin, id); err != nil {
					return err
				}
			}
			return nil
		}
	}
	cancel := func(f *farm.Farm) error { return errOf(f.Cancel(context.Background(), by)) }
	for _, c := range []struct {
		name    string
		happens func(*farm.Farm) error
		want    string // summary, and workers that each step has in classes
	}{
		{"nothing", func(*farm.Farm) error { return nil },
			"18 tasks waiting, 0 running: free and fitting: 2500 workers; tasks start as they ask [2500 0]"},
		{"a worker vanishes that was not looked at yet", remove(2000),
			"18 tasks waiting, 0 running: free and fitting: 2499 workers; tasks start as they ask [2499 0]"},
		{"the last that was looked at, the next one and the last of all", remove(1000, 1001, 2500),
			"18 tasks waiting, 0 running: free and fitting: 2498 workers; tasks start as they ask [2498 0]"},
		{"the job is canceled", cancel, "the job was canceled: canceled by admin [0 0]"},
		{"it is removed", func(f *farm.Farm) error {
			if err := cancel(f); err != nil {
				return err
			}
			return f.Remove(context.Background(), by)
		}, `there is no job 1000; "drover job ls" lists the jobs`},
		{"another step begins to wait", func(f *farm.Farm) error {
			for i := range int64(9) {
				l, err := f.Claim(context.Background(), farm.ClaimRequest{By: ann, Worker: i + 1})
				if err != nil {
					return err
				}
				if _, err := f.Complete(context.Background(), farm.Result{By: ann, Worker: i + 1, Lease: l.ID, Task: l.Task, Seconds: 1}); err != nil {
					return err
				}
			}
			return nil
		}, "9 tasks waiting, 0 running: free and fitting: 2500 workers; tasks start as they ask [0 2500]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := host(t, 2500, long, nil)
			j, err := f.Submit(t.Context(), farm.Submission{By: ann, Priority: 50, Spec: farm.Spec{Template: template("1-9", "one", "two")}})
			if err != nil {
				t.Fatal(err)
			}
			by.Job = j.ID
			var once sync.Once
			f.Reach("native", func(*farm.Job, *farm.Worker) (string, string) {
				once.Do(func() {
					if err := c.happens(f); err != nil {
						t.Error(err)
					}
				})
				return "", ""
			})
			if got := told(f.Why(t.Context(), j.ID)); got != c.want {
				t.Errorf("why says %s\nwant %s", got, c.want)
			}
		})
	}
}

// told is an explanation in short.
func told(e *farm.Explanation, err error) string {
	if err != nil {
		return err.Error()
	}
	workers := make([]int, len(e.Steps))
	for i, s := range e.Steps {
		for _, c := range s.Classes {
			workers[i] += c.Workers
		}
	}
	return fmt.Sprint(e.Summary, " ", workers)
}

func TestWhyNamesThoseThatTasksAreKeptFrom(t *testing.T) {
	bubble(t, farm.Settings{AvoidAfter: 2, AsideJobs: 100}, func(b *bundle) {
		j := b.submit(ann, template("1-9"))
		bad, good := b.worker("bad"), b.worker("good")
		for range 2 {
			b.fail(b.mustClaim(bad), farm.CauseJob)
		}
		avoided := func() (out []string) {
			e, err := b.f.Why(b.t.Context(), j.ID)
			b.check(err)
			for _, c := range e.Steps[0].Classes {
				if len(c.Reasons) > 0 && c.Reasons[0].Code == "avoided" {
					out = append(out, c.Names...)
				}
			}
			return out
		}
		if got := fmt.Sprint(avoided()); got != "[bad]" {
			b.t.Errorf("tasks are kept from %s, want bad", got)
		}
		if l := b.claim(bad); l != nil {
			b.t.Errorf("it was given %v all the same", l.Task)
		}
		b.check(b.f.SignOff(b.t.Context(), ann, good.ID))
		if got := fmt.Sprint(avoided()); got != "[]" {
			b.t.Errorf("tasks are kept from %s when nobody else is there", got)
		}
		b.mustClaim(bad)
	})
}

func TestLeasesOfAnAccountAreCounted(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		want := func(n int, when string) {
			b.t.Helper()
			got, err := b.f.Lends(b.t.Context(), "ann")
			b.check(err)
			if other, err := b.f.Lends(b.t.Context(), "bob"); got != n || other != 0 || err != nil {
				b.t.Errorf("%s: the workers of ann hold %d leases, want %d; those of bob %d, %v", when, got, n, other, err)
			}
		}
		want(0, "no workers")
		one, two := b.worker("one", slots(2)), b.worker("two")
		b.submit(bob, template("1-9"))
		first := b.mustClaim(one)
		b.mustClaim(one)
		b.mustClaim(two)
		want(3, "three were handed out")
		b.complete(first)
		want(2, "one is done")
		b.restart()
		want(2, "the farm was started anew")
		names, err := b.f.Names(b.t.Context(), []int64{one.ID, two.ID, 99})
		b.check(err)
		if diff := cmp.Diff(map[int64]string{one.ID: "one", two.ID: "two"}, names); diff != "" {
			b.t.Error(diff)
		}
		b.check(b.f.RemoveWorker(b.t.Context(), admin, two.ID))
		want(1, "a worker was removed")
		b.check(b.f.SignOff(b.t.Context(), ann, one.ID))
		want(0, "the other has left")
	})
}

func TestAPageOfTasksTellsWhatRunsOnIt(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		w := b.worker("w", slots(3))
		j := b.submit(ann, template("1-9"))
		var ls []*farm.Lease
		for range 3 {
			ls = append(ls, b.mustClaim(w))
		}
		b.complete(ls[1])
		views, _, err := b.f.TaskPage(b.t.Context(), farm.TaskPageQuery{Job: j.ID, Step: -1, Limit: 4})
		b.check(err)
		var got []int64
		for _, v := range views {
			id := int64(0)
			if v.Live != nil {
				id = v.Live.ID
			}
			got = append(got, id)
		}
		if diff := cmp.Diff([]int64{ls[0].ID, 0, ls[2].ID, 0}, got); diff != "" {
			b.t.Error(diff)
		}
	})
}
