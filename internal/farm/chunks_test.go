package farm_test

import (
	"fmt"
	"strings"
	"testing"

	"drover.farm/internal/farm"
	"drover.farm/openjd"
)

func chunked(target int) string {
	return fmt.Sprintf(`specificationVersion: jobtemplate-2023-09
extensions: [TASK_CHUNKING]
name: film
steps:
- name: Render
  parameterSpace:
    taskParameterDefinitions:
    - {name: Frame, type: "CHUNK[INT]", range: 1-100, chunks: {defaultTaskCount: 2, targetRuntimeSeconds: %d, rangeConstraint: CONTIGUOUS}}
  script: {actions: {onRun: {command: echo, args: ["{{Task.Param.Frame}}"]}}}
`, target)
}

// TestChunksAimAtTheirRunTime gives a worker whose frames take a second each ever
// larger chunks, up to those that take as long as the template asks for; each
// frame is rendered once, also when the farm is killed on the way.
func TestChunksAimAtTheirRunTime(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, chunked(10))
		b.want(j.ID, farm.JobWaiting, farm.Counts{Total: 50, Waiting: 50})
		w := b.worker("w1")
		var sizes []int64
		seen := map[int64]int{}
		for {
			l := b.claim(w)
			if l == nil {
				break
			}
			r, err := openjd.ParseRange(l.Parameters[0].Value)
			b.check(err)
			sizes = append(sizes, r.Len())
			for i := range r.Len() {
				seen[r.At(i)]++
			}
			b.check(errOf(b.f.Complete(b.t.Context(), farm.Result{By: ann, Worker: w.ID, Lease: l.ID, Task: l.Task, Seconds: float64(r.Len())})))
			if len(sizes) == 4 {
				b.restart()
			}
		}
		if got := fmt.Sprint(sizes); !strings.HasPrefix(got, "[2 4 8 ") {
			b.t.Errorf("chunks of %v values", sizes)
		}
		for _, n := range sizes {
			if n > 12 {
				b.t.Errorf("a chunk of %d values takes more than 10 seconds", n)
			}
		}
		if len(seen) != 100 {
			b.t.Errorf("%d frames were rendered of 100", len(seen))
		}
		for f, n := range seen {
			if n != 1 {
				b.t.Errorf("frame %d was rendered %d times", f, n)
			}
		}
		n := int64(len(sizes))
		b.want(j.ID, farm.JobDone, farm.Counts{Total: n, Done: n})
		views, _, err := b.f.TaskPage(b.t.Context(), farm.TaskPageQuery{Job: j.ID, Limit: 100})
		b.check(err)
		if len(views) != int(n) || views[n-1].Parameters[0].Value == "" {
			b.t.Errorf("%d tasks are listed of %d", len(views), n)
		}
	})
}

// TestSlowChunksGetSmaller cuts what is left finer when a chunk took too long,
// and leaves alone what another worker has.
func TestSlowChunksGetSmaller(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		j := b.submit(ann, chunked(10))
		one, two := b.worker("w1"), b.worker("w2")
		l, held := b.mustClaim(one), b.mustClaim(two)
		b.check(errOf(b.f.Complete(b.t.Context(), farm.Result{By: ann, Worker: one.ID, Lease: l.ID, Task: l.Task, Seconds: 60})))
		if l = b.mustClaim(one); l.Parameters[0].Value != "5-5" {
			b.t.Errorf("the next chunk is %v", l.Parameters)
		}
		b.want(j.ID, farm.JobRunning, farm.Counts{Total: 98, Waiting: 95, Running: 2, Done: 1})
		if held.Parameters[0].Value != "3-4" {
			b.t.Errorf("the other worker has %v", held.Parameters)
		}
		b.check(b.f.SignOff(b.t.Context(), ann, two.ID))
		three := b.worker("w3")
		if l = b.mustClaim(three); l.Parameters[0].Value != "3-4" {
			b.t.Errorf("what came back is %v", l.Parameters)
		}
	})
}
