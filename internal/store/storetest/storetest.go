// Package storetest is the conformance suite of farm.Store: what every store
// must do, run by each store's own test.
package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"drover.farm/internal/farm"
	"drover.farm/internal/sched"
	"drover.farm/openjd"
)

// Factory opens a store. Called with the same dir again, after Close, it opens
// what the first one left; a store without durability returns the same value.
type Factory func(t *testing.T, dir string) farm.Store

// Run runs the suite.
func Run(t *testing.T, open Factory) {
	for name, fn := range map[string]func(*testing.T, Factory){
		"empty":           testEmpty,
		"whole job":       testJob,
		"updates":         testUpdates,
		"tasks":           testTasks,
		"load":            testLoad,
		"lists":           testLists,
		"accounts":        testAccounts,
		"workers":         testWorkers,
		"events":          testEvents,
		"drop job":        testDrop,
		"ids outlast":     testIDs,
		"epoch":           testEpoch,
		"all or nothing":  testAtomic,
		"references":      testReferences,
		"readers at work": testReaders,
		"builds":          testBuilds,
		"ledger":          testLedger,
		"moved":           testDump,
		"notes":           testNotes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, open)
		})
	}
}

// bundle is what each test works with.
type bundle struct {
	t     *testing.T
	open  Factory
	dir   string
	s     farm.Store
	epoch int64
}

func setup(t *testing.T, open Factory) *bundle {
	t.Helper()
	b := &bundle{t: t, open: open, dir: t.TempDir()}
	b.s = open(t, b.dir)
	t.Cleanup(func() { b.s.Close() })
	b.acquire()
	return b
}

func (b *bundle) acquire() {
	b.t.Helper()
	var err error
	if b.epoch, err = b.s.Acquire(context.Background()); err != nil {
		b.t.Fatalf("Acquire: %v", err)
	}
}

// reopen closes the store and opens it again, as after a restart.
func (b *bundle) reopen() {
	b.t.Helper()
	if err := b.s.Close(); err != nil {
		b.t.Fatalf("Close: %v", err)
	}
	b.s = b.open(b.t, b.dir)
	b.acquire()
}

func (b *bundle) commit(batch *farm.Batch) {
	b.t.Helper()
	batch.Epoch = b.epoch
	if err := b.s.Commit(context.Background(), batch); err != nil {
		b.t.Fatalf("Commit: %v", err)
	}
}

func (b *bundle) load() *farm.Snapshot {
	b.t.Helper()
	s, err := b.s.Load(context.Background())
	if err != nil {
		b.t.Fatalf("Load: %v", err)
	}
	return s
}

func (b *bundle) same(what string, got, want any) {
	b.t.Helper()
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)); d != "" {
		b.t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

// must returns v.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var epochTime = time.Unix(1_790_000_000, 123_456_789)

// hash makes the hex form of a hash from a small number.
func hash(n int) string { return fmt.Sprintf("%064x", n) }

// sample is a job in which no field is empty.
func sample(id int64) *farm.Job {
	return &farm.Job{
		ID: id, Owner: "ann", Priority: 70, State: farm.JobRunning, Paused: true, Reason: "why: \"quotes\"\n", Build: "4.2.1",
		Created: epochTime, Started: epochTime.Add(time.Second), Finished: epochTime.Add(time.Minute),
		Spec: farm.Spec{
			Name: "films/θ 1", Template: "specificationVersion: jobtemplate-2023-09\n", Parameters: map[string]string{"Frames": "1-10"},
			Environments: []string{"env: 1"}, Renderer: "blender",
			Files: []farm.File{{Name: "a/scene.blend", SHA256: hash(1), Size: 5, Root: 0, Mode: 0o755}},
			Roots: []farm.Root{{Path: "/home/ann", Format: "POSIX"}, {Path: `C:\out`, Format: "WINDOWS", Output: true}},
			Check: &farm.Check{Format: "PNG", Width: 320, Height: 180, AllowBlack: true},
			Doors: []string{"native"}, Tags: []string{"fast"}, Order: farm.OrderPreview, Password: "pässword",
		},
		Steps: []farm.Step{
			{Job: id, Index: 0, Name: "Render", Tasks: 10, Order: farm.OrderPreview, State: farm.StepReady, Next: 6, Retrying: 1, Running: 2, Done: 2, Failed: 1, Seconds: 12.5, Slowest: 9, Fastest: 3.5,
				Needs: &sched.Needs{Amounts: []sched.Amount{{Name: "amount.worker.vcpu", Min: 4, Max: 8}}, Attributes: []sched.Attribute{{Name: "attr.x", AnyOf: []string{"a"}, AllOf: []string{"b"}}}, Doors: []string{"native"}, Tags: []string{"fast"}}},
			{Job: id, Index: 1, Name: "Film", Tasks: 1, DependsOn: []int{0}, State: farm.StepBlocked, Canceled: 0,
				Chunks: &farm.Chunks{Target: 60, Plan: []openjd.Resize{{From: 0, Size: 4}}}},
		},
	}
}

func task(job int64, step int, index int64, st farm.TaskState) *farm.Task {
	return &farm.Task{TaskKey: farm.TaskKey{Job: job, Step: step, Index: index}, State: st, Since: 1,
		Attempts: []farm.Attempt{
			{Lease: 1<<40 + index, Worker: 3, Name: "w\n3", Door: "native", Started: epochTime, Ended: epochTime.Add(time.Second), Outcome: farm.OutcomeFailed, Cause: farm.CauseJob, Error: "no camera", Exit: 1, Log: hash(7), Memory: 1 << 33, Seconds: 1.25, Build: "blender 4.2.1",
				Outputs: []farm.File{{Name: "black.png", SHA256: hash(9), Size: 5}}},
			{Lease: 1<<41 + index, Worker: 4, Name: "w4", Started: epochTime.Add(time.Minute)},
		},
		Outputs: []farm.File{{Name: "0001.png", SHA256: hash(int(index) + 10), Size: 77, Thumb: hash(8), Width: 320, Height: 180}},
	}
}

func testEmpty(t *testing.T, open Factory) {
	b := setup(t, open)
	s := b.load()
	if len(s.Jobs)+len(s.Tasks)+len(s.Workers)+len(s.Users)+len(s.Values) != 0 || s.MaxJob != 0 {
		t.Errorf("a new store is not empty: %+v", s)
	}
	if _, err := b.s.Job(t.Context(), 1000); farm.CodeOf(err) != farm.NotFound {
		t.Errorf("Job of nothing: %v, want not found", err)
	}
	if _, err := b.s.Task(t.Context(), farm.TaskKey{Job: 1}); farm.CodeOf(err) != farm.NotFound {
		t.Errorf("Task of nothing: %v, want not found", err)
	}
	b.commit(&farm.Batch{})
}

func testJob(t *testing.T, open Factory) {
	b := setup(t, open)
	want := sample(1000)
	b.commit(&farm.Batch{NewJobs: []*farm.Job{want}})
	b.same("the job", must[*farm.Job](t)(b.s.Job(t.Context(), 1000)), want)
	b.reopen()
	b.same("the job after a restart", must[*farm.Job](t)(b.s.Job(t.Context(), 1000)), want)
	snap := b.load()
	b.same("the loaded jobs", snap.Jobs, []*farm.Job{want})
}

func testUpdates(t *testing.T, open Factory) {
	b := setup(t, open)
	b.commit(&farm.Batch{NewJobs: []*farm.Job{sample(1000)}})
	next := sample(1000)
	next.Priority, next.State, next.Paused, next.Canceled, next.Reason, next.Build = 1, farm.JobCanceled, false, true, "no more", "5.0"
	next.Started, next.Finished = time.Time{}, epochTime.Add(time.Hour)
	next.Steps[1] = farm.Step{Job: 1000, Index: 1, Name: "Film", Tasks: 1, DependsOn: []int{0}, Chunks: next.Steps[1].Chunks, State: farm.StepCanceled, Next: 1, Retrying: 2, Running: 3, Done: 4, Failed: 5, Canceled: 6, Seconds: 7, Slowest: 8, Fastest: 9}
	b.commit(&farm.Batch{Jobs: []*farm.Job{next}, Steps: []*farm.Step{&next.Steps[1]}})
	b.same("the changed job", must[*farm.Job](t)(b.s.Job(t.Context(), 1000)), next)
	// What an update must not touch: name, owner, spec, and a step's own spec.
	twisted := *next
	twisted.Owner, twisted.Spec = "eve", farm.Spec{Name: "other"}
	step := next.Steps[0]
	step.Name, step.Tasks, step.Needs, step.Next = "Other", 99, nil, 7
	b.commit(&farm.Batch{Jobs: []*farm.Job{&twisted}, Steps: []*farm.Step{&step}})
	next.Steps[0].Next = 7
	b.same("the job after a twisted update", must[*farm.Job](t)(b.s.Job(t.Context(), 1000)), next)
	next.Steps[1].Tasks, next.Steps[1].Chunks = 5, &farm.Chunks{Target: 60, Plan: []openjd.Resize{{From: 0, Size: 4}, {From: 2, Size: 1}}}
	b.commit(&farm.Batch{Steps: []*farm.Step{&next.Steps[1]}, Resized: []*farm.Step{&next.Steps[1]}})
	b.same("the job with chunks resized", must[*farm.Job](t)(b.s.Job(t.Context(), 1000)), next)
}

func testTasks(t *testing.T, open Factory) {
	b := setup(t, open)
	b.commit(&farm.Batch{NewJobs: []*farm.Job{sample(1000), sample(1001)}})
	states := []farm.TaskState{farm.TaskWaiting, farm.TaskRunning, farm.TaskDone, farm.TaskFailed, farm.TaskCanceled}
	var rows []*farm.Task
	for i := range int64(20) {
		rows = append(rows, task(1000, int(i/15), i, states[i%5]))
	}
	b.commit(&farm.Batch{Tasks: append(slices.Clone(rows), task(1001, 0, 0, farm.TaskDone))})
	b.same("one task", must[*farm.Task](t)(b.s.Task(t.Context(), rows[3].TaskKey)), rows[3])

	pick := func(f func(*farm.Task) bool) (out []*farm.Task) {
		for _, r := range rows {
			if f(r) {
				out = append(out, r)
			}
		}
		return out
	}
	for _, c := range []struct {
		name string
		q    farm.TaskQuery
		want func(*farm.Task) bool
	}{
		{"all", farm.TaskQuery{Job: 1000, Step: -1}, func(*farm.Task) bool { return true }},
		{"one step", farm.TaskQuery{Job: 1000, Step: 1, FromStep: 1}, func(r *farm.Task) bool { return r.Step == 1 }},
		{"from", farm.TaskQuery{Job: 1000, Step: -1, FromStep: 0, From: 7}, func(r *farm.Task) bool { return r.Index >= 7 }},
		{"limit", farm.TaskQuery{Job: 1000, Step: -1, From: 2, Limit: 3}, func(r *farm.Task) bool { return r.Index >= 2 && r.Index < 5 }},
		{"failed", farm.TaskQuery{Job: 1000, Step: -1, States: []farm.TaskState{farm.TaskFailed}}, func(r *farm.Task) bool { return r.State == farm.TaskFailed }},
		{"bad", farm.TaskQuery{Job: 1000, Step: 0, States: []farm.TaskState{farm.TaskFailed, farm.TaskCanceled}}, func(r *farm.Task) bool {
			return r.Step == 0 && (r.State == farm.TaskFailed || r.State == farm.TaskCanceled)
		}},
		{"live", farm.TaskQuery{Job: 1000, Step: -1, States: []farm.TaskState{farm.TaskWaiting, farm.TaskRunning}}, func(r *farm.Task) bool {
			return r.State == farm.TaskWaiting || r.State == farm.TaskRunning
		}},
		{"mixed", farm.TaskQuery{Job: 1000, Step: -1, From: 1, States: []farm.TaskState{farm.TaskRunning, farm.TaskDone}}, func(r *farm.Task) bool {
			return r.Index >= 1 && (r.State == farm.TaskRunning || r.State == farm.TaskDone)
		}},
		{"of no step", farm.TaskQuery{Job: 1000, Step: 2}, func(*farm.Task) bool { return false }},
		{"of no job", farm.TaskQuery{Job: 999, Step: -1}, func(*farm.Task) bool { return false }},
	} {
		b.same(c.name, must[[]*farm.Task](t)(b.s.Tasks(t.Context(), c.q)), pick(c.want))
	}
	// Tasks of what is not there are passed over.
	lost := []*farm.Task{task(999, 0, 0, farm.TaskDone), task(1000, 2, 0, farm.TaskDone), task(1001, 0, 1, farm.TaskDone)}
	b.commit(&farm.Batch{Tasks: lost})
	for _, k := range lost[:2] {
		if _, err := b.s.Task(t.Context(), k.TaskKey); farm.CodeOf(err) != farm.NotFound {
			t.Errorf("a task of no step is answered with %v", err)
		}
	}
	b.same("the task beside them", must[*farm.Task](t)(b.s.Task(t.Context(), lost[2].TaskKey)), lost[2])
	// A task that changes keeps nothing of what it was.
	changed := &farm.Task{TaskKey: rows[0].TaskKey, State: farm.TaskDone}
	b.commit(&farm.Batch{Tasks: []*farm.Task{changed}})
	b.same("a changed task", must[*farm.Task](t)(b.s.Task(t.Context(), changed.TaskKey)), changed)
}

func testLoad(t *testing.T, open Factory) {
	b := setup(t, open)
	live, over := sample(1000), sample(1001)
	over.State = farm.JobDone
	b.commit(&farm.Batch{
		NewJobs: []*farm.Job{live, over},
		Tasks: []*farm.Task{task(1000, 0, 0, farm.TaskRunning), task(1000, 0, 1, farm.TaskWaiting), task(1000, 0, 2, farm.TaskDone),
			task(1000, 0, 3, farm.TaskFailed), task(1001, 0, 0, farm.TaskWaiting)},
		Limits: []*farm.Limit{{Name: "amount.licence", Total: 2.5}}, Values: map[string]string{"maintenance": "on"},
		Events: []farm.Event{{ID: 7, Type: "x"}},
	})
	b.reopen()
	s := b.load()
	slices.SortFunc(s.Tasks, func(x, y *farm.Task) int { return cmp.Compare(x.Index, y.Index) })
	b.same("jobs", s.Jobs, []*farm.Job{live})
	b.same("tasks", s.Tasks, []*farm.Task{task(1000, 0, 0, farm.TaskRunning), task(1000, 0, 1, farm.TaskWaiting)})
	b.same("limits", s.Limits, []*farm.Limit{{Name: "amount.licence", Total: 2.5}})
	b.same("values", s.Values, map[string]string{"maintenance": "on"})
	if s.MaxEvent != 7 || s.MaxJob != 1001 {
		t.Errorf("highest ids are event %d, job %d; want 7 and 1001", s.MaxEvent, s.MaxJob)
	}
	b.commit(&farm.Batch{DropLimits: []string{"amount.licence"}, Values: map[string]string{"maintenance": "off"}})
	s = b.load()
	if len(s.Limits) != 0 || s.Values["maintenance"] != "off" {
		t.Errorf("after the change: limits %v, values %v", s.Limits, s.Values)
	}
}

func testLists(t *testing.T, open Factory) {
	b := setup(t, open)
	var batch farm.Batch
	for i := range int64(10) {
		j := sample(1000 + i)
		if i%2 == 1 {
			j.Owner, j.State = "bob", farm.JobFailed
		}
		if i == 4 {
			j.Spec.Name = "other"
		}
		batch.NewJobs = append(batch.NewJobs, j)
	}
	b.commit(&batch)
	for _, c := range []struct {
		name string
		q    farm.JobQuery
		want []int64
	}{
		{"newest first", farm.JobQuery{Limit: 3}, []int64{1009, 1008, 1007}},
		{"next page", farm.JobQuery{Limit: 3, Before: 1007}, []int64{1006, 1005, 1004}},
		{"owner", farm.JobQuery{Owner: "bob", Before: 1005}, []int64{1003, 1001}},
		{"states", farm.JobQuery{States: []farm.JobState{farm.JobFailed, farm.JobDone}, Limit: 2}, []int64{1009, 1007}},
		{"name", farm.JobQuery{Name: "other"}, []int64{1004}},
		{"nothing", farm.JobQuery{Owner: "eve"}, nil},
	} {
		var got []int64
		for _, j := range must[[]*farm.Job](t)(b.s.Jobs(t.Context(), c.q)) {
			got = append(got, j.ID)
			if j.Spec.Template != "" || j.Spec.Files != nil || len(j.Steps) != 2 || j.Spec.Renderer != "blender" {
				t.Errorf("%s: job %d is listed as %+v", c.name, j.ID, j)
			}
		}
		b.same(c.name, got, c.want)
	}
}

func testAccounts(t *testing.T, open Factory) {
	b := setup(t, open)
	ann := &farm.User{Login: "ann", Roles: []farm.Role{farm.RoleAdmin}, Password: "$argon2id$x", Weight: 2, Created: epochTime}
	bob := &farm.User{Login: "bob", Roles: []farm.Role{farm.RoleSubmitter, farm.RoleRenderer}}
	tok := func(n byte, login string) *farm.Token {
		return &farm.Token{Hash: [32]byte{n}, Login: login, Kind: "token", Label: "l", Created: epochTime, Expires: epochTime.Add(time.Hour)}
	}
	b.commit(&farm.Batch{Users: []*farm.User{ann, bob}, Tokens: []*farm.Token{tok(1, "ann"), tok(2, "bob"), tok(3, "bob")}})
	b.commit(&farm.Batch{DropTokens: [][32]byte{{2}}})
	b.reopen()
	us, ts, err := b.s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(us, func(x, y *farm.User) int { return cmp.Compare(x.Login, y.Login) })
	slices.SortFunc(ts, func(x, y *farm.Token) int { return cmp.Compare(x.Hash[0], y.Hash[0]) })
	b.same("users", us, []*farm.User{ann, bob})
	b.same("tokens", ts, []*farm.Token{tok(1, "ann"), tok(3, "bob")})
	b.commit(&farm.Batch{DropUsers: []string{"bob"}})
	s := b.load()
	b.same("users after the removal", s.Users, []*farm.User{ann})
	b.same("tokens after the removal", s.Tokens, []*farm.Token{tok(1, "ann")})
}

func testWorkers(t *testing.T, open Factory) {
	b := setup(t, open)
	w := &farm.Worker{ID: 5, Key: "k", User: "ann", Name: "w5", Door: "native", Slots: 3, Tags: []string{"a"}, Disabled: true, Aside: true,
		Reason: "r", Streak: []int64{1000}, Faults: 2, Lease: time.Minute, Earned: 1500, Done: 4, Failed: 5, Created: epochTime, Seen: epochTime, Online: true,
		Rules: farm.Rules{Owners: []string{"ann"}, Jobs: []int64{1}, Hours: "1:00-2:00", LeaveFree: 1},
		Machine: farm.Machine{Hostname: "h", OS: "linux", Arch: "x86_64", Cores: 8, Memory: 1 << 34, GPUs: []farm.GPU{{Name: "g", Memory: 1}},
			Renderers: []farm.Renderer{{Product: "blender", Version: "3.4.1"}}, Amounts: map[string]float64{"amount.x": 1}}}
	shown := *w
	shown.State, shown.Leases = farm.WorkerIdle, []farm.LeaseInfo{{ID: 1}}
	b.commit(&farm.Batch{Workers: []*farm.Worker{&shown, {ID: 6, Name: "gone"}}})
	b.commit(&farm.Batch{DropWorkers: []int64{6}})
	told := *w
	told.Name, told.Done, told.Power, told.Earned = "not written", 5, 0.25, 1501
	b.commit(&farm.Batch{Tallies: []*farm.Worker{&told}})
	w.Done, w.Power, w.Earned = told.Done, told.Power, told.Earned
	b.reopen()
	b.same("workers", must[[]*farm.Worker](t)(b.s.Workers(t.Context())), []*farm.Worker{w})
	if s := b.load(); s.MaxWorker != 6 {
		t.Errorf("the highest worker id is %d, want 6 although that worker is gone", s.MaxWorker)
	}
}

func testEvents(t *testing.T, open Factory) {
	b := setup(t, open)
	var batch farm.Batch
	for i := int64(1); i <= 10; i++ {
		batch.Events = append(batch.Events, farm.Event{ID: i, Time: epochTime, Type: "task.done", Job: 1000, Step: "Render", Tasks: []int64{i}, State: "s", Text: "t\x00"})
	}
	b.commit(&batch)
	got, oldest, err := b.s.Events(t.Context(), 4, 3)
	if err != nil || oldest != 1 {
		t.Fatalf("Events: oldest %d, %v", oldest, err)
	}
	b.same("events", got, batch.Events[4:7])
	b.commit(&farm.Batch{TrimEvents: 6})
	got, oldest, err = b.s.Events(t.Context(), 0, 100)
	if err != nil || oldest != 7 {
		t.Fatalf("after the trim: oldest %d, %v", oldest, err)
	}
	b.same("events after the trim", got, batch.Events[6:])
}

func testDrop(t *testing.T, open Factory) {
	b := setup(t, open)
	batch := farm.Batch{NewJobs: []*farm.Job{sample(1000), sample(1001)}}
	for i := range int64(1200) { // more than goes with one commit
		batch.Tasks = append(batch.Tasks, task(1000, 0, i, farm.TaskDone))
	}
	batch.Tasks = append(batch.Tasks, task(1001, 0, 0, farm.TaskDone))
	b.commit(&batch)
	b.commit(&farm.Batch{DropJobs: []int64{1000}})
	if _, err := b.s.Job(t.Context(), 1000); farm.CodeOf(err) != farm.NotFound {
		t.Errorf("a removed job is still there: %v", err)
	}
	count := func() (n int) {
		if err := b.s.References(t.Context(), func(string) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 1+1+3 { // the other job's file, its task's log, outputs and thumbnail
		t.Errorf("%d references are left, want 5", n)
	}
	b.reopen()
	for range 5 {
		b.commit(&farm.Batch{Values: map[string]string{"x": "y"}})
	}
	rows := must[[]*farm.Task](t)(b.s.Tasks(t.Context(), farm.TaskQuery{Job: 1000, Step: -1}))
	if len(rows) != 0 {
		t.Errorf("%d tasks of the removed job are left after further commits", len(rows))
	}
	if rows := must[[]*farm.Task](t)(b.s.Tasks(t.Context(), farm.TaskQuery{Job: 1001, Step: -1})); len(rows) != 1 {
		t.Errorf("the other job has %d tasks, want 1", len(rows))
	}
}

func testIDs(t *testing.T, open Factory) {
	b := setup(t, open)
	b.commit(&farm.Batch{NewJobs: []*farm.Job{sample(1000), sample(1005)}})
	b.commit(&farm.Batch{DropJobs: []int64{1005}})
	b.reopen()
	if s := b.load(); s.MaxJob != 1005 {
		t.Errorf("the highest job id is %d, want 1005 although that job is gone", s.MaxJob)
	}
}

func testEpoch(t *testing.T, open Factory) {
	b := setup(t, open)
	old := b.epoch
	b.acquire()
	if b.epoch <= old {
		t.Fatalf("epoch %d follows %d", b.epoch, old)
	}
	err := b.s.Commit(t.Context(), &farm.Batch{Epoch: old, NewJobs: []*farm.Job{sample(1000)}})
	if farm.CodeOf(err) != farm.Gone {
		t.Errorf("a commit of an earlier epoch: %v, want gone", err)
	}
	if _, err := b.s.Job(t.Context(), 1000); farm.CodeOf(err) != farm.NotFound {
		t.Errorf("it was written all the same: %v", err)
	}
}

func testAtomic(t *testing.T, open Factory) {
	b := setup(t, open)
	b.commit(&farm.Batch{NewJobs: []*farm.Job{sample(1000)}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.s.Commit(ctx, &farm.Batch{Epoch: b.epoch, Tasks: []*farm.Task{task(1000, 0, 0, farm.TaskDone)}, Values: map[string]string{"half": "way"}})
	_, terr := b.s.Task(t.Context(), farm.TaskKey{Job: 1000})
	half := b.load().Values["half"]
	if wrote := terr == nil; wrote != (half == "way") {
		t.Errorf("a canceled commit (%v) left half of itself: task %v, value %q", err, terr, half)
	}
}

func testReferences(t *testing.T, open Factory) {
	b := setup(t, open)
	b.commit(&farm.Batch{NewJobs: []*farm.Job{sample(1000)}, Tasks: []*farm.Task{task(1000, 0, 3, farm.TaskDone)}})
	got := map[string]bool{}
	if err := b.s.References(t.Context(), func(h string) error { got[h] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	b.same("references", got, map[string]bool{hash(1): true, hash(7): true, hash(8): true, hash(9): true, hash(13): true})
}

// testReaders reads while batches are written: no reader may see a step that
// says more than its tasks do.
func testReaders(t *testing.T, open Factory) {
	b := setup(t, open)
	j := sample(1000)
	j.Steps[0].Tasks, j.Steps[0].Next, j.Steps[0].Done, j.Steps[0].Failed, j.Steps[0].Running, j.Steps[0].Retrying = 500, 0, 0, 0, 0, 0
	b.commit(&farm.Batch{NewJobs: []*farm.Job{j}})
	done := make(chan error, 1)
	ctx := t.Context()
	go func() {
		for {
			got, err := b.s.Job(ctx, 1000)
			if err != nil {
				done <- err
				return
			}
			rows, err := b.s.Tasks(ctx, farm.TaskQuery{Job: 1000, Step: -1})
			if err != nil {
				done <- err
				return
			}
			if int64(len(rows)) < got.Steps[0].Done {
				done <- fmt.Errorf("the step says %d done, but only %d tasks are there", got.Steps[0].Done, len(rows))
				return
			}
			if got.Steps[0].Done == 200 {
				done <- nil
				return
			}
		}
	}()
	for i := range int64(200) {
		s := j.Steps[0]
		s.Done, s.Next = i+1, i+1
		b.commit(&farm.Batch{Steps: []*farm.Step{&s}, Tasks: []*farm.Task{task(1000, 0, i, farm.TaskDone)}})
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
