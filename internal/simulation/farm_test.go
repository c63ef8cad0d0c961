package simulation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/radiance/radiancetest"
)

// fakeFarm renders by writing files.
type fakeFarm struct {
	handed  []Handover
	rif     *radiance.Rif
	again   bool
	refuse  error
	failed  error
	outputs map[string]string
	acts    []string
}

func (f *fakeFarm) Hand(_ context.Context, h Handover, again bool) (int64, error) {
	if f.refuse != nil {
		return 0, f.refuse
	}
	rif, err := radiance.ReadRif(h.Rif)
	f.handed, f.rif, f.again = append(f.handed, h), rif, again
	return 7, err
}

func (f *fakeFarm) Follow(_ context.Context, _ int64, tell func(float64, string)) error {
	tell(50, "running")
	return f.failed
}

func (f *fakeFarm) Fetch(_ context.Context, _ int64, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range f.outputs {
		if len(f.handed) > 0 {
			name = strings.ReplaceAll(name, "RIF", strings.TrimSuffix(filepath.Base(f.handed[0].Rif), ".rif"))
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeFarm) Pause(context.Context, int64) error {
	f.acts = append(f.acts, "pause")
	return f.refuse
}
func (f *fakeFarm) Resume(context.Context, int64) error {
	f.acts = append(f.acts, "resume")
	return f.refuse
}
func (f *fakeFarm) Cancel(context.Context, int64, string) error {
	f.acts = append(f.acts, "cancel")
	return f.refuse
}

// controlled submits a request and lets a controlling process on a farm run, here.
func controlled(t *testing.T, m *Manager, r Request, f *fakeFarm) Job {
	t.Helper()
	j, err := m.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	dir := m.jobs[j.ID].dir
	_ = Control(t.Context(), Spec{Dir: dir, ID: j.ID, Locations: m.projects[dir].Top}, f)
	got, err := load(dir, j.ID)
	if err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "farm-*"))
	more, _ := filepath.Glob(filepath.Join(dir, "proc", ".*"))
	if len(left)+len(more) > 0 {
		t.Errorf("%q and %q are left", left, more)
	}
	return *got
}

func TestControlOnAFarm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		farm    fakeFarm
		request func(*Request)
		scene   radiancetest.Scene
		state   State
		message string // what it holds
		file    string // that is there then
		rif     func(*radiance.Rif, Handover) bool
	}{
		"picture": {
			farm: fakeFarm{outputs: map[string]string{"RIF_v1.hdr": "picture"}}, state: Finished, file: "images/room_v1.pic",
			request: func(r *Request) { r.Options = []string{"-ab", "2"} },
			rif: func(r *radiance.Rif, h Handover) bool {
				return len(r.Views) == 1 && r.Views[0].Name == "v1" && strings.HasSuffix(r.Value("rpict"), "-ab 2") && h.Points == ""
			},
		},
		"raw too": {farm: fakeFarm{outputs: map[string]string{"RIF_v1.hdr": "a", "RIF_v1_raw.hdr": "b"}}, state: Finished, file: "images/room_v1_raw.pic"},
		"field": {
			farm: fakeFarm{outputs: map[string]string{"desk.res": "1 1 1\n"}}, state: Finished, file: "numeric/room_desk.res",
			request: func(r *Request) { r.Type, r.Name, r.Options = Numeric, "desk", []string{"-ab", "3"} },
			rif: func(r *radiance.Rif, h Handover) bool {
				return len(r.Views) == 0 && strings.HasSuffix(h.Points, "numeric/desk.pts") && h.HasTrace && strings.HasSuffix(h.Trace, "-ab 3")
			},
		},
		"nothing put out": {farm: fakeFarm{}, state: Failed, message: "put out no farm-"},
		"failed there":    {farm: fakeFarm{failed: errors.New("job 7 of the farm failed: no light")}, state: Failed, message: "no light"},
		"refused there":   {farm: fakeFarm{refuse: errors.New("the account may not submit")}, state: Failed, message: "may not submit"},
		"leaves its location": {
			farm: fakeFarm{}, scene: radiancetest.Scene{Extra: "materials= ../../../etc/passwd\n"}, state: Failed, message: "leaves the location",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := filepath.Join(top, "house")
			c.scene.Write(t, dir)
			r := request()
			if c.request != nil {
				c.request(&r)
			}
			j := controlled(t, manage(t, top), r, &c.farm)
			if j.State != c.state || !strings.Contains(j.Message, c.message) {
				t.Errorf("it is %s: %q", j.State, j.Message)
			}
			if _, err := os.Stat(filepath.Join(dir, c.file)); c.file != "" && (err != nil || j.Farm != 7 || j.Percent != 100) {
				t.Errorf("%v, %+v", err, j)
			}
			if c.rif != nil && (c.farm.rif == nil || !c.rif(c.farm.rif, c.farm.handed[0]) || c.farm.again) {
				t.Errorf("it handed over %+v with %+v", c.farm.handed, c.farm.rif)
			}
		})
	}
}

// TestFarmVerbs: suspend, resume and kill are the farm's pause, resume and cancel.
func TestFarmVerbs(t *testing.T) {
	t.Parallel()
	m, _ := shop(t)
	f := &fakeFarm{}
	m.cfg.Farm = f
	j, err := m.Submit(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	m.jobs[j.ID].State = Running
	if _, err := m.Suspend(t.Context(), j.ID); kindOf(err) != Conflict || len(f.acts) != 0 {
		t.Errorf("suspended before it is handed over: %v, %q", err, f.acts)
	}
	m.jobs[j.ID].Farm = 7
	f.refuse = errors.New("out of reach")
	if k, err := m.Suspend(t.Context(), j.ID); kindOf(err) != Conflict || k.State != Running {
		t.Errorf("a farm that refuses: %s, %v", k.State, err)
	}
	f.refuse = nil
	if k, err := m.Suspend(t.Context(), j.ID); err != nil || k.State != Suspended {
		t.Errorf("suspend: %s, %v", k.State, err)
	}
	if k, err := m.Resume(t.Context(), j.ID); err != nil || k.State != Running {
		t.Errorf("resume: %s, %v", k.State, err)
	}
	f.refuse = errors.New("out of reach")
	if k, err := m.Kill(t.Context(), j.ID); err != nil || k.State.Live() || !strings.Contains(k.Message, "job 7 of the farm goes on: out of reach") {
		t.Errorf("kill: %+v, %v", k, err)
	}
	if got := strings.Join(f.acts, " "); got != "pause pause resume cancel" {
		t.Errorf("the farm was told %s", got)
	}
	if k, err := m.Restart(t.Context(), j.ID); err != nil || k.Farm != 0 {
		t.Errorf("restart keeps job %d, %v", k.Farm, err)
	}
}
