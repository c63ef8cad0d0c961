package simulation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/renderer/radiance/radiancetest"
)

// hosts is a host with the location "projects".
type hosts struct {
	dir  string
	cpus int
}

func (h hosts) Locate(name string) (string, bool, error) { return h.dir, name == "projects", nil }
func (h hosts) CPUs() int                                { return h.cpus }

// shop is a manager whose simulations never get a process: there are no CPUs.
func shop(t *testing.T) (*Manager, string) {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "house")
	radiancetest.Scene{}.Write(t, dir)
	return manage(t, top), dir
}

func manage(t *testing.T, top string) *Manager {
	t.Helper()
	m, err := New(Config{Host: "here", State: filepath.Join(top, "state"), Hosts: hosts{top, 0}, Poll: time.Second, Kept: 2, Note: func(string) {}, Now: time.Now,
		Spawn: func(Spec) (*os.Process, error) { t.Error("a process is started"); return nil, os.ErrInvalid }})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func request() Request {
	return Request{Location: "projects", Project: "house", Variation: "room", Type: Image, Name: "v1", User: "anna"}
}

func kindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return ""
}

// TestVerbsByState: what each verb does to a simulation without a process.
func TestVerbsByState(t *testing.T) {
	t.Parallel()
	verbs := map[string]func(*Manager, string) (Job, error){
		"suspend": func(m *Manager, id string) (Job, error) { return m.Suspend(context.Background(), id) },
		"resume":  func(m *Manager, id string) (Job, error) { return m.Resume(context.Background(), id) },
		"kill":    func(m *Manager, id string) (Job, error) { return m.Kill(context.Background(), id) },
		"restart": func(m *Manager, id string) (Job, error) { return m.Restart(context.Background(), id) },
	}
	for _, c := range []struct {
		from State
		verb string
		to   State // "" where it is a conflict
	}{
		{Scheduled, "kill", Terminated}, {Scheduled, "suspend", ""}, {Scheduled, "resume", ""}, {Scheduled, "restart", ""},
		{Running, "suspend", ""}, {Running, "kill", Unknown}, {Suspended, "resume", ""}, {Suspended, "kill", Unknown}, // the process is gone
		{Finished, "kill", ""}, {Finished, "suspend", ""}, {Finished, "restart", Scheduled},
		{Failed, "restart", Scheduled}, {Failed, "kill", ""}, {Terminated, "restart", Scheduled}, {Unknown, "restart", Scheduled},
	} {
		m, _ := shop(t)
		j, err := m.Submit(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		m.jobs[j.ID].State = c.from
		if c.from == Running || c.from == Suspended {
			m.jobs[j.ID].PID, m.jobs[j.ID].Born = os.Getpid(), 1 // another process has the number
		}
		got, err := verbs[c.verb](m, j.ID)
		switch {
		case c.to == "" && (kindOf(err) != Conflict || got.State != c.from):
			t.Errorf("%s of a %s one: %s, %v", c.verb, c.from, got.State, err)
		case c.to != "" && (err != nil || got.State != c.to):
			t.Errorf("%s of a %s one: %s, %v, want %s", c.verb, c.from, got.State, err, c.to)
		}
		if again, err := load(m.jobs[j.ID].dir, j.ID); c.to != "" && (err != nil || again.State != c.to) {
			t.Errorf("%s of a %s one: the record says %+v, %v", c.verb, c.from, again, err)
		}
		if _, err := verbs[c.verb](m, "room_v7.never"); kindOf(err) != NotFound {
			t.Errorf("%s of none: %v", c.verb, err)
		}
	}
}

func TestOneOfAKindAndThoseOfBefore(t *testing.T) {
	t.Parallel()
	m, dir := shop(t)
	first, err := m.Submit(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Submit(t.Context(), request()); kindOf(err) != Exists || !strings.Contains(err.Error(), first.ID) {
		t.Errorf("the same again: %v", err)
	}
	r := request()
	r.Replace = true
	second, err := m.Submit(t.Context(), r)
	if err != nil || second.ID == first.ID {
		t.Fatalf("in its place: %+v, %v", second, err)
	}
	if j, _ := m.Job(t.Context(), first.ID); j.State != Terminated {
		t.Errorf("the first one is %s", j.State)
	}
	// Rubbish among the records, and those of other hosts, are nobody's.
	for name, text := range map[string]string{"x.json": "{", "y.json": `{"id":"z"}`, "other.json": `{"id":"other","host":"there"}`} {
		if err := os.WriteFile(filepath.Join(dir, "proc", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := manage(t, filepath.Dir(dir))
	all, err := next.List(t.Context(), "projects", "house")
	states := map[string]State{}
	for _, j := range all {
		states[j.ID] = j.State
	}
	if d := cmp.Diff(map[string]State{first.ID: Terminated, second.ID: Scheduled}, states); err != nil || d != "" {
		t.Errorf("the next manager has other simulations (-want +got): %s%v", d, err)
	}
	// Only the last ones that ended are remembered.
	for range 4 {
		j, err := next.Submit(t.Context(), func() Request { r := request(); r.Name, r.Replace = "v2", true; return r }())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := next.Kill(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := next.Submit(t.Context(), func() Request { r := request(); r.Name = "v2"; return r }()); err != nil {
		t.Fatal(err)
	}
	all, _ = next.List(t.Context(), "", "")
	if files, _ := filepath.Glob(filepath.Join(dir, "proc", "room_*.json")); len(all) != 4 || len(files) != 4 { // two live, two ended
		t.Errorf("%d are remembered in %d files, want 4", len(all), len(files))
	}
}
