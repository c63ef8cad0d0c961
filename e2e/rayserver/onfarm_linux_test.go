package rayserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"drover.farm/e2e/harness"
	door "drover.farm/internal/door/rayserver"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/radiance/radiancetest"
)

// onFarm is a Rayserver that hands its simulations to a farm of two workers.
func onFarm(t *testing.T, scene radiancetest.Scene) (*farm, *harness.Farm) {
	t.Helper()
	hf := workers(t)
	return newFarm(t, scene, "--farm", hf.URL, "--farm-token", hf.TokenFile(), "--farm-tiles", "2x2", "--farm-pieces", "3"), hf
}

// TestSimulationsOnAFarm: a picture and a measuring field that a farm renders are
// those that the Rayserver would render itself, in the same places.
func TestSimulationsOnAFarm(t *testing.T) {
	scene := radiancetest.Scene{Size: 200}
	f, hf := onFarm(t, scene)
	if err := os.MkdirAll(filepath.Join(f.project(), "views"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(f.project(), "views/side.vf"), "rvu -vtv -vp 2 .5 1.5 -vd 0 1 0 -vu 0 0 1 -vh 50 -vv 40\n")
	pic := f.submit("--view", "v1", "--wait")
	side := f.submit("--view", "side", "--wait")
	field := f.submit("--field", "desk", "--wait", "--options", "-ab 0")
	for _, j := range []door.Job{pic, side, field} {
		if j.State != "finished" || j.FarmJob == 0 || j.Percent != 100 {
			t.Errorf("%s is %+v", j.ID, j)
		}
	}
	if tasks := hf.Job(pic.FarmJob).Tasks; tasks.Done != 6 { // octree, four tiles, joined
		t.Errorf("the picture was made by tasks %+v", tasks)
	}
	here := newFarm(t, scene)
	here.submit("--view", "v1", "--wait")
	here.submit("--field", "desk", "--wait", "--options", "-ab 0")
	a, b := pixels(t, filepath.Join(f.project(), "images/room_v1.pic")), pixels(t, filepath.Join(here.project(), "images/room_v1.pic"))
	if a.Width != b.Width || a.Height != b.Height || differing(a, b) > 0 {
		t.Errorf("the farm's picture, %dx%d, is not that of here, %dx%d", a.Width, a.Height, b.Width, b.Height)
	}
	if err := radiance.CheckPicture(filepath.Join(f.project(), "images/room_side.pic"), 200, 0); err != nil {
		t.Error(err)
	}
	one, _ := os.ReadFile(filepath.Join(f.project(), "numeric/room_desk.res"))
	two, err := os.ReadFile(filepath.Join(here.project(), "numeric/room_desk.res"))
	if err != nil || string(one) != string(two) {
		t.Errorf("the measuring field differs (%v):\n%.200s\n%.200s", err, one, two)
	}
	left, _ := filepath.Glob(f.project() + "/farm*")
	more, _ := filepath.Glob(f.project() + "/proc/.*")
	if n := f.oconvs(); n != 0 || len(left)+len(more) > 0 {
		t.Errorf("%d octrees were made here, and %q %q are left", n, left, more)
	}
}

// TestSteeringASimulationOnAFarm: what is done to the simulation is done to its
// job; processes that are killed meanwhile lose nothing and submit nothing twice.
func TestSteeringASimulationOnAFarm(t *testing.T) {
	scene, release := slow(t)
	f, hf := onFarm(t, scene)
	j := f.submit("--view", "v1")
	j = f.until(j.ID, "is on the farm", func(j door.Job) bool { return j.FarmJob > 0 })
	is := func(state string) {
		t.Helper()
		harness.Until(t, "the farm's job is "+state, harness.Patience, func() bool { return hf.Job(j.FarmJob).State == state })
	}
	is("running")
	f.ray("suspend", j.ID).OK(t)
	is("paused")
	f.untilState(j.ID, "suspended")
	f.ray("resume", j.ID).OK(t)
	is("running")

	// The server and the controlling process die, and others take it up.
	f.srv.Process.Kill()
	<-f.srv.done
	syscall.Kill(j.PID, syscall.SIGKILL)
	f.up()
	again := f.until(j.ID, "is followed again", func(k door.Job) bool { return k.PID > 0 && k.PID != j.PID && k.State == "running" })
	if again.FarmJob != j.FarmJob {
		t.Errorf("job %d became job %d", j.FarmJob, again.FarmJob)
	}
	f.ray("kill", j.ID).OK(t)
	is("canceled")
	if k := f.job(j.ID); k.State != "terminated" {
		t.Errorf("it is %s: %s", k.State, k.Message)
	}

	f.ray("restart", j.ID).OK(t)
	k := f.until(j.ID, "is on the farm anew", func(k door.Job) bool { return k.FarmJob > j.FarmJob })
	release()
	f.untilState(j.ID, "finished")
	if err := radiance.CheckPicture(filepath.Join(f.project(), "images/room_v1.pic"), scene.Size, 0); err != nil {
		t.Error(err)
	}

	// What fails on the farm fails here, with the farm's words.
	put(t, filepath.Join(f.project(), "room.rad"), "!false\nbroken\n")
	bad := f.submit("--view", "v2")
	bad = f.untilEnded(bad.ID)
	if want := fmt.Sprintf("job %d of the farm failed", k.FarmJob+1); bad.State != "failed" || !strings.Contains(bad.Message, want) {
		t.Errorf("it is %s: %q, want %q", bad.State, bad.Message, want)
	}
}

func (f *farm) untilEnded(id string) (j door.Job) {
	f.t.Helper()
	harness.Until(f.t, id+" has ended", harness.Patience, func() bool { j = f.job(id); return !j.Live() })
	return j
}

func TestFarmSettingsAreChecked(t *testing.T) {
	t.Parallel()
	in := newInstall(t)
	for want, args := range map[string][]string{
		"--farm needs --farm-token FILE":   {"--farm", "http://127.0.0.1:1"},
		"--farm-tiles: ":                   {"--farm-tiles", "2by2"},
		"--farm-pieces and --farm-at-once": {"--farm-pieces", "0"},
	} {
		if code, _, text := in.run(nil, append([]string{"-f"}, args...)...); code != 2 || !strings.Contains(text, want) {
			t.Errorf("%q: exit %d, %q, want %q", args, code, text, want)
		}
	}
}
