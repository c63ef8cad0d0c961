package simulation

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Locator knows the folders of locations on this host.
type Locator interface {
	Locate(name string) (dir string, ok bool, err error)
	CPUs() int
}

// maxLive bounds the simulations that wait or run.
const maxLive = 10_000

// Config is what a Manager needs.
type Config struct {
	Host  string
	State string // file with the projects that were served
	Hosts Locator
	// Spawn starts the controlling process of a simulation in a session and
	// process group of its own, which it leads.
	Spawn func(Spec) (*os.Process, error)
	// Farm renders the simulations instead of this host, at FarmAt; nil if none
	// does. FarmAtOnce bounds those that it has at once.
	Farm       Farm
	FarmAt     FarmAt
	FarmAtOnce int
	Radiance   string
	Report     time.Duration
	Poll       time.Duration
	KillTime   time.Duration
	Revivals   int
	Kept       int // ended simulations of a project
	Note       func(string)
	Now        func() time.Time
}

// Manager decides which simulation runs when, and follows those that run. It is
// safe for concurrent use.
type Manager struct {
	cfg Config

	mu       sync.Mutex
	jobs     map[string]*Job
	killing  map[string]bool
	projects map[string]project // by folder
	change   chan struct{}      // closed at each change
	wake     chan struct{}
	reaped   sync.WaitGroup
}

type project struct{ Location, Project, Dir, Top string }

// New makes a manager and takes up the simulations of the projects that an
// earlier one served.
func New(cfg Config) (*Manager, error) {
	m := &Manager{cfg: cfg, jobs: map[string]*Job{}, killing: map[string]bool{}, projects: map[string]project{}, change: make(chan struct{}), wake: make(chan struct{}, 1)}
	data, err := os.ReadFile(cfg.State)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the list of projects: %w", err)
	}
	var list []project
	if len(data) > 0 {
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, fmt.Errorf("read the list of projects %s: %w", cfg.State, err)
		}
	}
	for _, p := range list {
		m.adopt(p)
	}
	return m, nil
}

// adopt takes up the simulations of a project. Call with mu held, or before
// anyone else has the manager.
func (m *Manager) adopt(p project) {
	m.projects[p.Dir] = p
	for _, j := range loadAll(p.Dir, m.cfg.Host) {
		if m.jobs[j.ID] == nil {
			m.jobs[j.ID] = j
		}
	}
}

// serve remembers a project, so that the next manager finds its simulations.
func (m *Manager) serve(p project) error {
	if _, ok := m.projects[p.Dir]; ok {
		return nil
	}
	m.adopt(p)
	if hint := groupHint(p.Dir); hint != "" {
		m.cfg.Note("warning: " + hint)
	}
	list := make([]project, 0, len(m.projects))
	for _, p := range m.projects {
		list = append(list, p)
	}
	data, err := json.Marshal(list)
	if err == nil {
		err = os.WriteFile(m.cfg.State+".new", data, 0o666)
	}
	if err == nil {
		err = os.Rename(m.cfg.State+".new", m.cfg.State)
	}
	if err != nil {
		return fmt.Errorf("keep the list of projects: %w", err)
	}
	return nil
}

// locate finds a project's folder.
func (m *Manager) locate(location, name string) (project, error) {
	top, ok, err := m.cfg.Hosts.Locate(location)
	if err != nil {
		m.cfg.Note(fmt.Sprintf("the hosts file cannot be read again: %v", err))
	}
	if !ok {
		return project{}, faultf(NoLocation, "the location %.100q is not in the hosts file of %s", location, m.cfg.Host)
	}
	dir, err := openProject(top, name)
	if err == nil {
		top, err = filepath.EvalSymlinks(top)
	}
	return project{location, name, dir, top}, err
}

// Submit takes a simulation. What it needs is seen to be there.
func (m *Manager) Submit(ctx context.Context, r Request) (Job, error) {
	if r.Type == Preview {
		return Job{}, checkRequest("", r)
	}
	p, err := m.locate(r.Location, r.Project)
	if err != nil {
		return Job{}, err
	}
	if err := checkRequest(p.Dir, r); err != nil {
		return Job{}, err
	}
	j := &Job{
		ID: newID(r, m.cfg.Now()), Location: r.Location, Project: r.Project, Variation: r.Variation, Name: r.Name, Type: r.Type,
		Options: r.Options, Mkillum: r.Mkillum, User: r.User, State: Scheduled, Host: m.cfg.Host, Platform: platform,
		Submitted: m.cfg.Now(), Updated: m.cfg.Now(), dir: p.Dir,
	}
	for {
		other, err := m.enter(p, j)
		if err != nil || other == "" {
			return *j, err
		}
		if !r.Replace {
			return Job{}, faultf(Exists, "%s of %s is being simulated by %s; replace ends it first", r.Name, r.Variation, other)
		}
		if _, err := m.Kill(ctx, other); err != nil {
			return Job{}, err
		}
	}
}

// enter adds a job unless another one simulates the same; that one's id is
// returned.
func (m *Manager) enter(p project, j *Job) (other string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.serve(p); err != nil {
		return "", err
	}
	live := 0
	for _, o := range m.jobs {
		if !o.State.Live() {
			continue
		}
		if live++; o.key() == j.key() {
			return o.ID, nil
		}
	}
	if live >= maxLive {
		return "", faultf(Busy, "%d simulations wait already", live)
	}
	if err := j.save(); err != nil {
		return "", faultf(NoPermission, "the simulation cannot be recorded: %v", cause(err))
	}
	m.jobs[j.ID] = j
	m.prune(j.dir)
	m.changed()
	return "", nil
}

// prune forgets the oldest ended simulations of a project.
func (m *Manager) prune(dir string) {
	var ended []*Job
	for _, j := range m.jobs {
		if j.dir == dir && !j.State.Live() {
			ended = append(ended, j)
		}
	}
	slices.SortFunc(ended, func(a, b *Job) int { return b.Updated.Compare(a.Updated) })
	for _, j := range ended[min(len(ended), m.cfg.Kept):] {
		delete(m.jobs, j.ID)
		os.Remove(recordFile(dir, j.ID))
		os.Remove(logFile(dir, j.ID))
		os.Remove(filepath.Join(dir, "proc", j.ID+".lock"))
	}
}

func newID(r Request, now time.Time) string {
	b := make([]byte, 3)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%s_%s.%s-%s", r.Variation, r.Name, now.UTC().Format("20060102-150405"), hex.EncodeToString(b))
}

// changed wakes who watches and who schedules. Call with mu held.
func (m *Manager) changed() {
	close(m.change)
	m.change = make(chan struct{})
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// List gives simulations, those that changed last first: of a project, or of all
// that are known for an empty location.
func (m *Manager) List(_ context.Context, location, name string) ([]Job, error) {
	dir := ""
	if location != "" {
		p, err := m.locate(location, name)
		if err != nil {
			return nil, err
		}
		m.mu.Lock()
		err = m.serve(p)
		m.mu.Unlock()
		if err != nil {
			return nil, err
		}
		dir = p.Dir
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Job
	for _, j := range m.jobs {
		if dir == "" || j.dir == dir {
			out = append(out, *j)
		}
	}
	slices.SortFunc(out, func(a, b Job) int { return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// Job gives one simulation.
func (m *Manager) Job(_ context.Context, id string) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[id]
	if j == nil {
		return Job{}, faultf(NotFound, "there is no simulation %.100q", id)
	}
	return *j, nil
}

// Log gives at most most bytes of a simulation's log, whole characters.
func (m *Manager) Log(ctx context.Context, id string, offset int64, most int) (string, bool, error) {
	j, err := m.Job(ctx, id)
	if err != nil {
		return "", false, err
	}
	f, err := os.Open(logFile(j.dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	} else if err != nil {
		return "", false, faultf(NoPermission, "the log cannot be read: %v", cause(err))
	}
	defer f.Close()
	buf := make([]byte, most+1)
	n, err := f.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, faultf(NoPermission, "the log cannot be read: %v", cause(err))
	}
	text := strings.Map(func(r rune) rune {
		if r == 0xFFFD {
			return '?'
		}
		return r
	}, string(buf[:min(n, most)]))
	return text, n > most, nil
}

// Watch calls tell with each change of a simulation, or of all.
func (m *Manager) Watch(ctx context.Context, id string, tell func(Job) error) error {
	seen := map[string]Job{}
	for {
		m.mu.Lock()
		change := m.change
		var news []Job
		for _, j := range m.jobs {
			old, known := seen[j.ID]
			if (id == "" || id == j.ID) && (!known || !old.Updated.Equal(j.Updated) || old.State != j.State) {
				seen[j.ID] = *j
				news = append(news, *j)
			}
		}
		m.mu.Unlock()
		slices.SortFunc(news, func(a, b Job) int { return a.Updated.Compare(b.Updated) })
		for _, j := range news {
			if err := tell(j); err != nil {
				return err
			}
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil
		}
	}
}
