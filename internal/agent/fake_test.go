package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"drover.farm/internal/api"
	"drover.farm/openjd"
)

// farmError is an error that the fake farm answers with.
type farmError struct{ code, text string }

func (e *farmError) Error() string     { return e.text }
func (e *farmError) ErrorCode() string { return e.code }

// errDown is what requests meet while the fake farm is away.
var errDown = errors.New("connect: connection refused")

// fakeTask is a task of the fake farm.
type fakeTask struct {
	job    int64
	step   int
	index  int64
	state  string // waiting, running, done, failed, canceled
	result api.Result
	log    []byte
	done   int // how often it counted
}

type fakeLease struct {
	id       int64
	worker   int64
	key      string
	task     *fakeTask
	stopping string
	live     []byte
	progress []api.Progress
	ended    bool
	returned string
}

type fakeJob struct {
	work  api.Work
	built *openjd.Job
}

// fakeFarm is a farm in memory with the semantics of the real one.
type fakeFarm struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change

	overlap  bool // a worker gets work beyond its slots while it delivers
	down     bool
	refuse   error             // of every request
	hook     func(what string) // called at the begin of each request, unlocked
	lose     map[string]int    // how many answers of a request get lost after it was carried out
	period   time.Duration
	jobs     map[int64]*fakeJob
	tasks    []*fakeTask
	leases   map[int64]*fakeLease
	last     int64
	workers  map[int64]*api.Registration
	byKey    map[string]int64
	lastID   int64
	joins    []api.Registration
	claims   []api.Claim
	gone     bool // the worker of old is not known
	signOffs int
	beat     chan struct{}
	blobs    map[string][]byte
	fetched  map[string]int
	works    int
	uploads  int
	holding  map[string]chan struct{} // uploads whose content begins so wait
}

func newFakeFarm() *fakeFarm {
	return &fakeFarm{
		changed: make(chan struct{}), period: time.Minute, jobs: map[int64]*fakeJob{}, leases: map[int64]*fakeLease{},
		workers: map[int64]*api.Registration{}, byKey: map[string]int64{}, blobs: map[string][]byte{}, fetched: map[string]int{},
		lose: map[string]int{}, holding: map[string]chan struct{}{}, last: 100,
	}
}

// touch wakes those who wait for a change; the lock is held.
func (f *fakeFarm) touch() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeFarm) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.touch()
}

// await waits until ok, which is called with the lock held, is true.
func (f *fakeFarm) await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	for {
		f.mu.Lock()
		good, changed := ok(), f.changed
		f.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			f.mu.Lock()
			defer f.mu.Unlock()
			var states []string
			for _, task := range f.tasks {
				states = append(states, fmt.Sprintf("%d/%d/%d %s %s", task.job, task.step, task.index, task.state, task.result.Error))
			}
			t.Fatalf("waited too long: %s\n%s", what, strings.Join(states, "\n"))
		}
	}
}

// begin is the begin of each request: it fails when the farm is away.
func (f *fakeFarm) begin(what string) error {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	if hook != nil {
		hook(what)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errDown
	}
	return f.refuse
}

// end is the end of each request that was carried out.
func (f *fakeFarm) end(what string) error {
	if f.lose[what] > 0 {
		f.lose[what]--
		return errors.New("read: connection reset by peer")
	}
	return nil
}

// submit takes a job in and returns its id. Files and their content are stored.
func (f *fakeFarm) submit(t testing.TB, w api.Work) int64 {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Job = int64(1000 + len(f.jobs))
	w.Name, w.Owner = fmt.Sprint("job ", w.Job), "ann"
	built, err := build(&w)
	if err != nil {
		t.Fatal(err)
	}
	f.jobs[w.Job] = &fakeJob{work: w, built: built}
	for i, s := range built.Steps {
		for n := range s.Space.Len() {
			f.tasks = append(f.tasks, &fakeTask{job: w.Job, step: i, index: n, state: "waiting"})
		}
	}
	f.touch()
	return w.Job
}

// put stores content and describes it as a file.
func (f *fakeFarm) put(name, content string) api.File {
	f.mu.Lock()
	defer f.mu.Unlock()
	hash := hashOf(content)
	f.blobs[hash] = []byte(content)
	return api.File{Name: name, SHA256: hash, Size: int64(len(content))}
}

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// task finds a task; the lock is held.
func (f *fakeFarm) task(job int64, step int, index int64) *fakeTask {
	for _, t := range f.tasks {
		if t.job == job && t.step == step && t.index == index {
			return t
		}
	}
	return nil
}

// states counts tasks in a state; the lock is held.
func (f *fakeFarm) states(job int64, state string) int {
	n := 0
	for _, t := range f.tasks {
		if t.job == job && t.state == state {
			n++
		}
	}
	return n
}

// leaseOf is the live lease of a task; the lock is held.
func (f *fakeFarm) leaseOf(t *fakeTask) *fakeLease {
	for _, l := range f.leases {
		if l.task == t && !l.ended {
			return l
		}
	}
	return nil
}

// stop orders the end of a task.
func (f *fakeFarm) stop(t *fakeTask, reason string) {
	f.set(func() {
		if l := f.leaseOf(t); l != nil {
			l.stopping, t.state = reason, "canceled"
		}
	})
}

func (f *fakeFarm) Register(_ context.Context, r api.Registration) (*api.Worker, error) {
	if err := f.begin("register"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.joins = append(f.joins, r)
	f.gone = false
	id := f.byKey[r.Key]
	if id == 0 {
		f.lastID++
		id = f.lastID
		f.byKey[r.Key] = id
	}
	f.workers[id] = &r
	for _, l := range f.leases {
		if l.worker == id && !l.ended && !slices.Contains(r.Holds, l.id) {
			f.giveBack(l, "the worker started anew")
		}
	}
	f.touch()
	return &api.Worker{ID: id, Name: r.Name, State: "idle"}, f.end("register")
}

func (f *fakeFarm) giveBack(l *fakeLease, why string) {
	l.ended, l.returned = true, why
	if l.task.state == "running" {
		l.task.state = "waiting"
	}
}

func (f *fakeFarm) known(id int64) error {
	if f.gone || f.workers[id] == nil {
		return &farmError{"gone", fmt.Sprintf("worker %d is not known here any more; register again", id)}
	}
	return nil
}

func (f *fakeFarm) Claim(ctx context.Context, id int64, c api.Claim) (*api.Lease, error) {
	if err := f.begin("claim"); err != nil {
		return nil, err
	}
	f.set(func() { f.claims = append(f.claims, c) })
	t := time.NewTimer(seconds(c.Wait))
	defer t.Stop()
	for {
		f.mu.Lock()
		l, err := f.lend(id, c)
		changed := f.changed
		if l != nil {
			err = f.end("claim")
		}
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if l != nil || c.Wait <= 0 {
			return l, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
			return nil, nil
		case <-changed:
		}
	}
}

// lend leases a task if there is one; the lock is held.
func (f *fakeFarm) lend(id int64, c api.Claim) (*api.Lease, error) {
	if f.down {
		return nil, errDown
	}
	if err := f.known(id); err != nil {
		return nil, err
	}
	held := 0
	for _, l := range f.leases {
		if l.worker == id && !l.ended {
			held++
			if c.Key != "" && l.key == c.Key {
				return f.show(l), nil
			}
		}
	}
	if held >= f.workers[id].Slots && !f.overlap {
		return nil, nil
	}
	for _, t := range f.tasks {
		if t.state != "waiting" || !f.ready(t) {
			continue
		}
		f.last++
		l := &fakeLease{id: f.last, worker: id, key: c.Key, task: t}
		t.state = "running"
		f.leases[l.id] = l
		f.touch()
		return f.show(l), nil
	}
	return nil, nil
}

// ready reports whether the steps before are done.
func (f *fakeFarm) ready(t *fakeTask) bool {
	j := f.jobs[t.job]
	for _, name := range j.built.Steps[t.step].DependsOn {
		for _, o := range f.tasks {
			if o.job == t.job && j.built.Steps[o.step].Name == name && o.state != "done" {
				return false
			}
		}
	}
	return true
}

func (f *fakeFarm) show(l *fakeLease) *api.Lease {
	t := l.task
	step := f.jobs[t.job].built.Steps[t.step]
	out := &api.Lease{ID: l.id, Job: t.job, Step: t.step, StepName: step.Name, Index: t.index, Attempt: 1,
		Deadline: time.Now().Add(f.period), Period: f.period.Seconds()}
	params, _ := step.Space.At(t.index)
	for _, p := range params {
		out.Parameters = append(out.Parameters, api.TaskParameter{Name: p.Name, Type: string(p.Type), Value: p.Value})
	}
	return out
}

func (f *fakeFarm) Heartbeat(ctx context.Context, id int64, p api.Pulse) (*api.PulseReply, error) {
	if err := f.begin("heartbeat"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if err := f.known(id); err != nil {
		f.mu.Unlock()
		return nil, err
	}
	for _, n := range p.Leases {
		if l := f.leases[n.Lease]; l != nil {
			l.progress = append(l.progress, n)
		}
	}
	if f.beat != nil {
		close(f.beat)
	}
	mine := make(chan struct{})
	f.beat = mine
	f.touch()
	f.mu.Unlock()
	t := time.NewTimer(seconds(p.Wait))
	defer t.Stop()
	for over := false; ; {
		f.mu.Lock()
		r := &api.PulseReply{Period: f.period.Seconds()}
		for _, n := range p.Leases {
			if l := f.leases[n.Lease]; l == nil || l.ended {
				r.Stop = append(r.Stop, api.Stop{Lease: n.Lease, Reason: "the lease has ended"})
			} else if l.stopping != "" {
				r.Stop = append(r.Stop, api.Stop{Lease: n.Lease, Reason: l.stopping})
			}
		}
		if over || len(r.Stop) > 0 || f.down {
			if f.beat == mine {
				f.beat = nil
			}
			down := f.down
			f.mu.Unlock()
			if down {
				return nil, errDown
			}
			return r, nil
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
			over = true
		case <-mine:
			over = true
		case <-changed:
		}
	}
}

func (f *fakeFarm) Complete(_ context.Context, lease int64, r api.Result) (*api.Verdict, error) {
	return f.conclude("complete", lease, r, "done")
}

func (f *fakeFarm) Fail(_ context.Context, lease int64, r api.Result) (*api.Verdict, error) {
	return f.conclude("fail", lease, r, "failed")
}

func (f *fakeFarm) conclude(what string, lease int64, r api.Result, state string) (*api.Verdict, error) {
	if err := f.begin(what); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.known(r.Worker); err != nil {
		return nil, err
	}
	l := f.leases[lease]
	if l == nil || l.task.job != r.Job || l.task.step != r.Step || l.task.index != r.Index {
		return nil, &farmError{"gone", fmt.Sprintf("lease %d is not known", lease)}
	}
	for _, o := range r.Outputs {
		if _, ok := f.blobs[o.SHA256]; !ok {
			return nil, &farmError{"invalid", fmt.Sprintf("output %q: the content %s was not uploaded", o.Name, o.SHA256)}
		}
	}
	v := &api.Verdict{Accepted: true}
	switch t := l.task; {
	case !l.ended && (t.state == "running" || t.state == "waiting"), l.ended && l.returned != "" && state == "done" && t.state == "waiting":
		t.state, t.result, t.log = state, r, f.blobs[r.Log]
		t.done++
	case l.ended && t.state == "done":
	default:
		t.result, t.log = r, f.blobs[r.Log]
		v = &api.Verdict{Reason: "this attempt is over"}
	}
	l.ended = true
	if r.Next != nil {
		f.claims = append(f.claims, *r.Next)
		var err error
		if v.Next, err = f.lend(r.Worker, *r.Next); err != nil {
			return nil, err
		}
	}
	f.touch()
	return v, f.end(what)
}

func (f *fakeFarm) Return(_ context.Context, id int64, g api.GiveBack) error {
	if err := f.begin("return"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range g.Leases {
		if l := f.leases[n]; l != nil && !l.ended && l.worker == id {
			f.giveBack(l, g.Reason)
		}
	}
	f.touch()
	return nil
}

func (f *fakeFarm) SignOff(context.Context, int64) error {
	if err := f.begin("signoff"); err != nil {
		return err
	}
	f.set(func() { f.signOffs++ })
	return nil
}

func (f *fakeFarm) Work(_ context.Context, _, lease int64) (*api.Work, error) {
	if err := f.begin("work"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.leases[lease]
	if l == nil {
		return nil, &farmError{"gone", "no such lease"}
	}
	f.works++
	w := f.jobs[l.task.job].work
	return &w, nil
}

// Inputs gives pages of two files.
func (f *fakeFarm) Inputs(_ context.Context, _, lease int64, after string) (*api.Outputs, error) {
	if err := f.begin("inputs"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	task := f.leases[lease].task
	var all []api.File
	for _, t := range f.tasks {
		if t.job == task.job && t.step < task.step && t.state == "done" {
			all = append(all, t.result.Outputs...)
		}
	}
	slices.SortFunc(all, func(a, b api.File) int { return cmp.Compare(a.Name, b.Name) })
	out := &api.Outputs{}
	for _, o := range all {
		if o.Name <= after {
			continue
		}
		if len(out.Files) == 2 {
			out.Next = out.Files[1].Name
			break
		}
		out.Files = append(out.Files, o)
	}
	return out, nil
}

func (f *fakeFarm) AppendLog(_ context.Context, _, lease, offset int64, data []byte) error {
	if err := f.begin("log"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.leases[lease]
	if l == nil || offset > int64(len(l.live)) {
		return &farmError{"conflict", "a gap in the log"}
	}
	l.live = append(l.live[:offset], data...)
	f.touch()
	return f.end("log")
}

func (f *fakeFarm) Download(_ context.Context, hash string, size int64, path string) error {
	if err := f.begin("download"); err != nil {
		return err
	}
	f.mu.Lock()
	data, ok := f.blobs[hash]
	f.fetched[hash]++
	f.mu.Unlock()
	if !ok || int64(len(data)) != size {
		return &farmError{"not_found", "there is no blob " + hash}
	}
	return os.WriteFile(path, data, 0o600)
}

func (f *fakeFarm) Upload(ctx context.Context, path string) (api.File, error) {
	if err := f.begin("upload"); err != nil {
		return api.File{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return api.File{}, err
	}
	f.mu.Lock()
	var hold chan struct{}
	for prefix, c := range f.holding {
		if strings.HasPrefix(string(data), prefix) {
			hold = c
		}
	}
	f.uploads++
	f.touch()
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return api.File{}, ctx.Err()
		}
	}
	out := api.File{SHA256: hashOf(string(data)), Size: int64(len(data))}
	f.set(func() { f.blobs[out.SHA256] = data })
	f.mu.Lock()
	defer f.mu.Unlock()
	return out, f.end("upload")
}

var (
	_ Farm  = (*fakeFarm)(nil)
	_ Files = (*fakeFarm)(nil)
)
