// Package mem keeps a farm's state in memory: for simulations and for tests of
// everything above a store. It holds to the contract of farm.Store, durability
// apart: what was committed lasts as long as the Store value does, so that a
// farm can be "restarted" on it.
package mem

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"drover.farm/internal/farm"
)

var _ farm.Store = (*Store)(nil)

// Store is a farm.Store in memory. Make it with New. It may be used by several
// goroutines.
type Store struct {
	mu       sync.RWMutex
	epoch    int64
	jobs     map[int64]*farm.Job
	tasks    map[int64]map[[2]int64]*farm.Task // by job, then step and index
	live     map[farm.TaskKey]struct{}         // tasks that wait or run
	work     map[int64]*farm.Worker
	users    map[string]*farm.User
	tokens   map[[32]byte]*farm.Token
	limits   map[string]*farm.Limit
	values   map[string]string
	events   []farm.Event
	builds   map[int64]*farm.Build
	packs    map[string]*farm.Pack
	ledger   map[ledgerKey]*farm.Entry
	notes    map[string]farm.Note
	notesOf  map[int64]map[string]struct{} // keys of those that go with a job
	noteKeys []string                      // sorted

	maxJob, maxWorker, maxBuild int64
	// Fault, when set, is asked before each commit; an error is returned in its
	// place, after the batch was written when written is true.
	Fault func(*farm.Batch) (err error, written bool)
}

// New returns an empty store.
func New() *Store {
	return &Store{
		jobs: make(map[int64]*farm.Job), tasks: make(map[int64]map[[2]int64]*farm.Task), live: make(map[farm.TaskKey]struct{}),
		work: make(map[int64]*farm.Worker), users: make(map[string]*farm.User), tokens: make(map[[32]byte]*farm.Token),
		limits: make(map[string]*farm.Limit), values: make(map[string]string),
		builds: make(map[int64]*farm.Build), packs: make(map[string]*farm.Pack), ledger: make(map[ledgerKey]*farm.Entry),
		notes: make(map[string]farm.Note), notesOf: make(map[int64]map[string]struct{}),
	}
}

// Acquire makes the caller the writer; the one before it fails at its next
// Commit.
func (s *Store) Acquire(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	return s.epoch, nil
}

// Close does nothing: the state stays for the next Farm.
func (s *Store) Close() error { return nil }

// Commit writes the batch.
func (s *Store) Commit(_ context.Context, b *farm.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Epoch != s.epoch {
		return farm.Errorf(farm.Gone, "the store has another writer")
	}
	if s.Fault != nil {
		if err, written := s.Fault(b); err != nil {
			if written {
				s.write(b)
			}
			return err
		}
	}
	s.write(b)
	return nil
}

func (s *Store) dropNote(key string) {
	job := s.notes[key].Job
	if delete(s.notesOf[job], key); len(s.notesOf[job]) == 0 {
		delete(s.notesOf, job)
	}
	delete(s.notes, key)
	if at, ok := slices.BinarySearch(s.noteKeys, key); ok {
		s.noteKeys = slices.Delete(s.noteKeys, at, at+1)
	}
}

func (s *Store) putNote(n *farm.Note) {
	if old, ok := s.notes[n.Key]; ok && old.Job == n.Job {
		s.notes[n.Key] = *n
		return
	}
	s.dropNote(n.Key)
	at, _ := slices.BinarySearch(s.noteKeys, n.Key)
	s.noteKeys = slices.Insert(s.noteKeys, at, n.Key)
	s.notes[n.Key] = *n
	if n.Job == 0 {
		return
	}
	if s.notesOf[n.Job] == nil {
		s.notesOf[n.Job] = make(map[string]struct{})
	}
	s.notesOf[n.Job][n.Key] = struct{}{}
}

func (s *Store) write(b *farm.Batch) {
	for _, j := range b.NewJobs {
		c := *j
		c.Steps = slices.Clone(j.Steps)
		s.jobs[j.ID] = &c
		s.maxJob = max(s.maxJob, j.ID)
	}
	for _, j := range b.Jobs {
		if old := s.jobs[j.ID]; old != nil {
			c := *j
			c.Spec, c.Owner, c.Steps = old.Spec, old.Owner, old.Steps
			s.jobs[j.ID] = &c
		}
	}
	for _, st := range b.Steps {
		j := s.jobs[st.Job]
		if j == nil || st.Index >= len(j.Steps) {
			continue
		}
		c := *j
		c.Steps = slices.Clone(j.Steps)
		next, old := *st, j.Steps[st.Index]
		next.Name, next.Tasks, next.DependsOn, next.Needs, next.Order, next.Chunks = old.Name, old.Tasks, old.DependsOn, old.Needs, old.Order, old.Chunks
		c.Steps[st.Index] = next
		s.jobs[st.Job] = &c
	}
	for _, st := range b.Resized {
		if j := s.jobs[st.Job]; j != nil && st.Index < len(j.Steps) {
			c := *j
			c.Steps = slices.Clone(j.Steps)
			c.Steps[st.Index].Tasks, c.Steps[st.Index].Chunks = st.Tasks, st.Chunks
			s.jobs[st.Job] = &c
		}
	}
	for _, t := range b.Tasks {
		if j := s.jobs[t.Job]; j != nil && t.Step < len(j.Steps) {
			s.putTask(t)
		}
	}
	for _, w := range b.Workers {
		c := *w
		c.Streak, c.Tags = slices.Clone(w.Streak), slices.Clone(w.Tags)
		c.State, c.Leases = "", nil
		s.work[w.ID] = &c
		s.maxWorker = max(s.maxWorker, w.ID)
	}
	for _, w := range b.Tallies {
		c := *s.work[w.ID]
		c.Done, c.Power, c.Earned = w.Done, w.Power, w.Earned
		s.work[w.ID] = &c
	}
	s.writeAccounts(b)
	s.writeBuilds(b)
	for _, k := range b.DropNotes {
		s.dropNote(k)
	}
	for _, n := range b.Notes {
		s.putNote(n)
	}
	for _, l := range b.Limits {
		s.limits[l.Name] = &farm.Limit{Name: l.Name, Total: l.Total}
	}
	maps.Copy(s.values, b.Values)
	s.events = append(s.events, b.Events...)
	if b.TrimEvents > 0 {
		s.events = slices.DeleteFunc(s.events, func(e farm.Event) bool { return e.ID <= b.TrimEvents })
	}
	for _, id := range b.DropJobs {
		delete(s.jobs, id)
		for k := range s.tasks[id] {
			delete(s.live, farm.TaskKey{Job: id, Step: int(k[0]), Index: k[1]})
		}
		delete(s.tasks, id)
		for k := range s.notesOf[id] {
			s.dropNote(k)
		}
	}
	for _, id := range b.DropWorkers {
		delete(s.work, id)
	}
	for _, n := range b.DropLimits {
		delete(s.limits, n)
	}
}

func (s *Store) writeAccounts(b *farm.Batch) {
	for _, login := range b.DropUsers {
		delete(s.users, login)
		maps.DeleteFunc(s.tokens, func(_ [32]byte, t *farm.Token) bool { return t.Login == login })
	}
	for _, h := range b.DropTokens {
		delete(s.tokens, h)
	}
	for _, u := range b.Users {
		c := *u
		s.users[u.Login] = &c
	}
	for _, t := range b.Tokens {
		c := *t
		s.tokens[t.Hash] = &c
	}
}

func (s *Store) putTask(t *farm.Task) {
	m := s.tasks[t.Job]
	if m == nil {
		m = make(map[[2]int64]*farm.Task)
		s.tasks[t.Job] = m
	}
	m[[2]int64{int64(t.Step), t.Index}] = cloneTask(t)
	if t.State == farm.TaskWaiting || t.State == farm.TaskRunning {
		s.live[t.TaskKey] = struct{}{}
	} else {
		delete(s.live, t.TaskKey)
	}
}

func cloneTask(t *farm.Task) *farm.Task {
	c := *t
	c.Attempts, c.Outputs = slices.Clone(t.Attempts), slices.Clone(t.Outputs)
	return &c
}

func cloneJob(j *farm.Job) *farm.Job {
	c := *j
	c.Steps = slices.Clone(j.Steps)
	return &c
}

// Load returns the state to go on from.
func (s *Store) Load(context.Context) (*farm.Snapshot, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	snap := &farm.Snapshot{Values: maps.Clone(s.values), MaxJob: s.maxJob, MaxWorker: s.maxWorker}
	for _, j := range s.jobs {
		if !j.State.Ended() {
			snap.Jobs = append(snap.Jobs, cloneJob(j))
		}
	}
	for k := range s.live {
		if j := s.jobs[k.Job]; j != nil && !j.State.Ended() {
			snap.Tasks = append(snap.Tasks, cloneTask(s.tasks[k.Job][[2]int64{int64(k.Step), k.Index}]))
		}
	}
	for _, w := range s.work {
		c := *w
		snap.Workers = append(snap.Workers, &c)
	}
	snap.Users, snap.Tokens = s.accounts()
	for _, l := range s.limits {
		c := *l
		snap.Limits = append(snap.Limits, &c)
	}
	s.loadBuilds(snap)
	if n := len(s.events); n > 0 {
		snap.MaxEvent = s.events[n-1].ID
	}
	return snap, nil
}

func (s *Store) accounts() (us []*farm.User, ts []*farm.Token) {
	for _, u := range s.users {
		c := *u
		us = append(us, &c)
	}
	for _, t := range s.tokens {
		c := *t
		ts = append(ts, &c)
	}
	return us, ts
}

// Job returns a job.
func (s *Store) Job(_ context.Context, id int64) (*farm.Job, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if j := s.jobs[id]; j != nil {
		return cloneJob(j), nil
	}
	return nil, farm.Errorf(farm.NotFound, "there is no job %d", id)
}

// Jobs lists jobs.
func (s *Store) Jobs(_ context.Context, q farm.JobQuery) ([]*farm.Job, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*farm.Job
	for _, id := range slices.SortedFunc(maps.Keys(s.jobs), func(a, b int64) int { return cmp.Compare(b, a) }) {
		j := s.jobs[id]
		if (q.Before > 0 && id >= q.Before) || (q.Owner != "" && j.Owner != q.Owner) || (q.Name != "" && j.Spec.Name != q.Name) ||
			(len(q.States) > 0 && !slices.Contains(q.States, j.State)) {
			continue
		}
		c := cloneJob(j)
		c.Spec.Template, c.Spec.Environments, c.Spec.Files = "", nil, nil
		out = append(out, c)
		if q.Limit > 0 && len(out) == q.Limit {
			break
		}
	}
	return out, nil
}

// Task returns a task that was leased at least once.
func (s *Store) Task(_ context.Context, k farm.TaskKey) (*farm.Task, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.tasks[k.Job][[2]int64{int64(k.Step), k.Index}]; t != nil {
		return cloneTask(t), nil
	}
	return nil, farm.Errorf(farm.NotFound, "task %d/%d of job %d was never leased", k.Step, k.Index, k.Job)
}

// Tasks lists tasks that were leased at least once.
func (s *Store) Tasks(_ context.Context, q farm.TaskQuery) ([]*farm.Task, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*farm.Task
	keys := slices.SortedFunc(maps.Keys(s.tasks[q.Job]), func(a, b [2]int64) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	for _, k := range keys {
		t := s.tasks[q.Job][k]
		if (q.Step >= 0 && t.Step != q.Step) || t.Step < q.FromStep || (t.Step == q.FromStep && t.Index < q.From) ||
			(len(q.States) > 0 && !slices.Contains(q.States, t.State)) {
			continue
		}
		out = append(out, cloneTask(t))
		if q.Limit > 0 && len(out) == q.Limit {
			break
		}
	}
	return out, nil
}

// Workers lists the workers by id.
func (s *Store) Workers(context.Context) ([]*farm.Worker, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*farm.Worker
	for _, id := range slices.Sorted(maps.Keys(s.work)) {
		c := *s.work[id]
		out = append(out, &c)
	}
	return out, nil
}

// Accounts lists users and tokens.
func (s *Store) Accounts(context.Context) ([]*farm.User, []*farm.Token, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	us, ts := s.accounts()
	return us, ts, nil
}

// Events lists events after an id.
func (s *Store) Events(_ context.Context, after int64, limit int) ([]farm.Event, int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.events) == 0 {
		return nil, 0, nil
	}
	at, _ := slices.BinarySearchFunc(s.events, after+1, func(e farm.Event, id int64) int { return cmp.Compare(e.ID, id) })
	rest := s.events[at:]
	if limit > 0 && len(rest) > limit {
		rest = rest[:limit]
	}
	return slices.Clone(rest), s.events[0].ID, nil
}

// References names the blobs in use.
func (s *Store) References(_ context.Context, fn func(string) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.builds {
		if err := b.References(fn); err != nil {
			return err
		}
	}
	for _, p := range s.packs {
		if err := p.References(fn); err != nil {
			return err
		}
	}
	for _, j := range s.jobs {
		if err := j.References(fn); err != nil {
			return err
		}
	}
	for _, m := range s.tasks {
		for _, t := range m {
			if err := t.References(fn); err != nil {
				return err
			}
		}
	}
	return nil
}
