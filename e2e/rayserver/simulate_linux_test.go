package rayserver_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"drover.farm/e2e/harness"
	door "drover.farm/internal/door/rayserver"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/radiance/radiancetest"
)

const keyLine = "anna 0123456789abcdef0123456789abcdef\n"

// farm is an installation with a key, a project and a Radiance.
type farm struct {
	*install
	port string
	args []string
	srv  *server
}

func newFarm(t *testing.T, scene radiancetest.Scene, args ...string) *farm {
	t.Helper()
	f := &farm{install: newInstall(t)}
	f.args = append([]string{"--radiance", radiancetest.Home(t), "--poll", "50ms", "--report", "1s"}, args...)
	if err := os.WriteFile(f.path("config/keys"), []byte(keyLine), 0o600); err != nil {
		t.Fatal(err)
	}
	scene.Write(t, f.project())
	t.Cleanup(f.killAll)
	f.up()
	return f
}

func (f *farm) project() string { return f.path("projects/house") }

// up starts the server, and finds its port.
func (f *farm) up() {
	f.t.Helper()
	port := f.port
	if port == "" {
		port = "0"
	}
	f.srv = f.start(nil, append([]string{"-f", "--port", port}, f.args...)...)
	f.srv.says(`Rayserver \d+ running`)
	f.port = regexp.MustCompile(`started on port (\d+)`).FindStringSubmatch(f.srv.out.String())[1]
}

// killAll ends the controlling processes that outlive the server.
func (f *farm) killAll() {
	files, _ := filepath.Glob(f.project() + "/proc/*.json")
	for _, file := range files {
		var rec struct{ PID int }
		if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &rec) == nil && rec.PID > 1 {
			if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", rec.PID)); strings.Contains(string(line), f.home) {
				_ = syscall.Kill(-rec.PID, syscall.SIGKILL)
			}
		}
	}
}

// ray runs a command of the client.
func (f *farm) ray(args ...string) harness.Result {
	f.t.Helper()
	return harness.Run(f.t, nil, append(append([]string{"ray"}, args...), "--host", "127.0.0.1:"+f.port, "--key-file", f.path("config/keys"))...)
}

func (f *farm) submit(args ...string) door.Job {
	f.t.Helper()
	var j door.Job
	f.ray(append([]string{"submit", "--json", "--location", "projects", "--project", "house", "--variation", "room"}, args...)...).OK(f.t).JSON(f.t, &j)
	return j
}

func (f *farm) job(id string) door.Job {
	f.t.Helper()
	var j door.Job
	f.ray("info", id, "--json").OK(f.t).JSON(f.t, &j)
	return j
}

// until waits until a job is as the test wants it.
func (f *farm) until(id, what string, ok func(door.Job) bool) door.Job {
	f.t.Helper()
	var j door.Job
	harness.Until(f.t, id+" "+what, harness.Patience, func() bool {
		j = f.job(id)
		if !ok(j) && !j.Live() {
			f.t.Fatalf("%s is %s: %s\n%s", id, j.State, j.Message, f.ray("log", id).Out)
		}
		return ok(j)
	})
	return j
}

func (f *farm) untilState(id, state string) door.Job {
	f.t.Helper()
	return f.until(id, "is "+state, func(j door.Job) bool { return j.State == state })
}

// underWay waits until a part of a picture is there.
func (f *farm) underWay(id string) door.Job {
	f.t.Helper()
	return f.until(id, "is under way", func(j door.Job) bool {
		return j.State == "running" && j.Stage == "render" && j.Percent > 0 && j.SubPID > 0
	})
}

func (f *farm) exists(name string) bool {
	_, err := os.Stat(filepath.Join(f.project(), name))
	return err == nil
}

// oconvs counts the runs of oconv in all logs.
func (f *farm) oconvs() int {
	f.t.Helper()
	files, _ := filepath.Glob(f.project() + "/logfiles/*.log")
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.t.Fatal(err)
		}
		n += strings.Count(string(text), "$ oconv ")
	}
	return n
}

// slow is a scene whose pictures take long: the stand-in waits for a file, a real
// Radiance has much to do.
func slow(t *testing.T) (scene radiancetest.Scene, release func()) {
	hold := filepath.Join(t.TempDir(), "go on")
	scene = radiancetest.Scene{Hold: hold, Size: 200}
	if radiancetest.Real() {
		scene.Size, scene.Render = 1000, "-ab 2 -ad 256 -aa .1 -dj 0 -u- -pj 0 -ps 1"
	}
	return scene, func() {
		if err := os.WriteFile(hold, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageAndMeasuringField(t *testing.T) {
	t.Parallel()
	f := newFarm(t, radiancetest.Scene{})
	pic := f.submit("--view", "v1", "--wait")
	if pic.State != "finished" || pic.Type != "rpict" || pic.User != "anna" || pic.Percent != 100 {
		t.Errorf("the picture is %+v", pic)
	}
	if err := radiance.CheckPicture(filepath.Join(f.project(), "images/room_v1.pic"), 64, 0); err != nil || f.exists("images/room_v1.unf") {
		t.Errorf("the picture: %v", err)
	}
	field := f.submit("--field", "desk", "--wait", "--options", "-ab 0")
	if err := radiance.CheckGrid(filepath.Join(f.project(), "numeric/room_desk.res"), 96); err != nil || field.Type != "numeric" {
		t.Errorf("the measuring field: %v", err)
	}
	if n := f.oconvs(); n != 1 {
		t.Errorf("oconv ran %d times", n)
	}
	for _, name := range []string{"images/room_v1.pic", "octrees/room.oct", "proc/" + pic.ID + ".json", "logfiles/" + pic.ID + ".log"} {
		info, err := os.Stat(filepath.Join(f.project(), name))
		if err != nil || info.Mode().Perm() != 0o664 {
			t.Errorf("%s: mode %v, %v; the group must be able to write it", name, info.Mode().Perm(), err)
		}
	}
	if log := f.ray("log", pic.ID).OK(t).Out; !strings.Contains(log, "$ rpict ") {
		t.Errorf("log %q", log)
	}
	var all []door.Job
	f.ray("ls", "--json", "--location", "projects", "--project", "house").OK(t).JSON(t, &all)
	if len(all) != 2 {
		t.Errorf("%d jobs are listed", len(all))
	}
	// A changed scene has its octree made anew.
	file := filepath.Join(f.project(), "room.mat")
	text, _ := os.ReadFile(file)
	os.WriteFile(file, []byte(strings.Replace(string(text), ".7 .7 .7", ".4 .4 .4", 1)), 0o644)
	f.submit("--view", "v1", "--wait")
	if n := f.oconvs(); n != 2 {
		t.Errorf("after a change of the scene oconv has run %d times, want 2", n)
	}
}

// TestTwoOfOneVariation: two simulations at once run oconv once and share the
// ambient file, which stays whole.
func TestTwoOfOneVariation(t *testing.T) {
	t.Parallel()
	f := newFarm(t, radiancetest.Scene{Size: 120, Render: "-ab 1 -ad 64 -aa .2"})
	a, b := f.submit("--view", "v1"), f.submit("--view", "v2")
	f.untilState(a.ID, "finished")
	f.untilState(b.ID, "finished")
	if n := f.oconvs(); n != 1 {
		t.Errorf("oconv ran %d times", n)
	}
	files, _ := filepath.Glob(f.project() + "/ambfiles/*.amb")
	if len(files) != 1 {
		t.Fatalf("ambient files %q, want one", files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil || len(data) < 200 {
		t.Fatalf("the ambient file has %d bytes, %v", len(data), err)
	}
	if radiancetest.Real() {
		f.untilState(f.submit("--view", "v1").ID, "finished") // it is read back without complaint
		if log := f.ray("log", a.ID).Out; strings.Contains(log, "ambient file") && strings.Contains(log, "bad") {
			t.Errorf("log: %s", log)
		}
		return
	}
	_, records, _ := strings.Cut(string(data), "\n\n")
	if strings.ReplaceAll(records, "ambient value\n", "") != "" || strings.Count(records, "\n") < 2*80 {
		t.Errorf("the ambient file is torn: %.200q", records)
	}
}

func TestKilledDaemonAdoptsAndKilledRpictResumes(t *testing.T) {
	t.Parallel()
	scene, release := slow(t)
	f := newFarm(t, scene)
	j := f.submit("--view", "v1")
	before := f.underWay(j.ID)
	f.srv.Process.Kill()
	<-f.srv.done
	f.up()
	after := f.underWay(j.ID)
	if after.PID != before.PID || after.SubPID != before.SubPID {
		t.Errorf("the simulation is not the same any more: %d/%d, then %d/%d", before.PID, before.SubPID, after.PID, after.SubPID)
	}
	if err := syscall.Kill(after.SubPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := f.until(j.ID, "runs another rpict", func(j door.Job) bool {
		return j.SubPID > 0 && j.SubPID != after.SubPID && strings.Contains(j.Command, "rpict")
	})
	if !strings.Contains(again.Command, "-ro images/room_v1.unf") || !strings.Contains(again.Message, "taken up again") {
		t.Errorf("it goes on by %q (%s)", again.Command, again.Message)
	}
	// Now the controlling process too, and the server with it.
	f.srv.Process.Kill()
	<-f.srv.done
	syscall.Kill(again.PID, syscall.SIGKILL)
	f.up()
	f.until(j.ID, "has another controlling process", func(j door.Job) bool { return j.PID > 0 && j.PID != again.PID && j.Stage == "render" })
	if alive(again.SubPID) {
		t.Error("the rpict of the dead controlling process goes on")
	}
	release()
	f.untilState(j.ID, "finished")
	if err := radiance.CheckPicture(filepath.Join(f.project(), "images/room_v1.pic"), scene.Size, 0); err != nil {
		t.Error(err)
	}
}

func TestSuspendResumeKillRestart(t *testing.T) {
	t.Parallel()
	scene, release := slow(t)
	f := newFarm(t, scene)
	j := f.underWay(f.submit("--view", "v1").ID)
	if got := harness.Run(t, nil, "ray", "resume", j.ID, "--host", "127.0.0.1:"+f.port, "--key-file", f.path("config/keys")); got.Code != 1 || !strings.Contains(got.ErrOut, "is running, not suspended") {
		t.Errorf("resume of what runs: %+v", got)
	}
	f.ray("suspend", j.ID).OK(t)
	f.untilState(j.ID, "suspended")
	state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", j.SubPID))
	if !strings.Contains(string(state), ") T ") {
		t.Errorf("rpict is not stopped: %s", state)
	}
	f.ray("resume", j.ID).OK(t)
	f.untilState(j.ID, "running")
	again := f.ray("submit", "--location", "projects", "--project", "house", "--variation", "room", "--view", "v1")
	if again.Code != 1 || !strings.Contains(again.ErrOut, "replace ends it first") {
		t.Errorf("the same again: %+v", again)
	}
	f.ray("kill", j.ID).OK(t)
	if got := f.job(j.ID); got.State != "terminated" || alive(j.PID) || alive(j.SubPID) {
		t.Errorf("killed: %s, controlling process alive %v, rpict alive %v", got.State, alive(j.PID), alive(j.SubPID))
	}
	release()
	f.ray("restart", j.ID).OK(t)
	f.untilState(j.ID, "finished")
	if log := f.ray("log", j.ID).OK(t).Out; !strings.Contains(log, "-ro images/room_v1.unf") {
		t.Errorf("it did not go on in the unfinished picture:\n%s", log)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	scene, release := slow(t)
	f := newFarm(t, scene)
	first := f.underWay(f.submit("--view", "v1").ID)
	second := f.submit("--view", "v1", "--replace")
	if got := f.job(first.ID); got.State != "terminated" || alive(first.SubPID) {
		t.Errorf("the first is %s", got.State)
	}
	release()
	f.untilState(second.ID, "finished")
}

// TestWhoWaits: one CPU, one after the other.
func TestWhoWaits(t *testing.T) {
	t.Parallel()
	scene, release := slow(t)
	f := newFarm(t, scene)
	f.write("config/one", hostname(t)+" 1 projects="+f.path("projects")+"\n")
	f.srv.Process.Signal(os.Interrupt)
	f.srv.ends()
	f.args = append(f.args, "--hosts", f.path("config/one"))
	f.up()
	a := f.underWay(f.submit("--view", "v1").ID)
	b := f.submit("--view", "v2")
	got := f.until(b.ID, "waits", func(j door.Job) bool { return j.Message == "waits for a CPU" })
	if got.State != "scheduled" || got.PID != 0 {
		t.Errorf("the second is %+v", got)
	}
	release()
	f.untilState(a.ID, "finished")
	f.untilState(b.ID, "finished")
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	f := newFarm(t, radiancetest.Scene{})
	if err := os.Symlink("/etc", f.path("projects/link")); err != nil {
		t.Fatal(err)
	}
	bad := f.path("projects/linked")
	radiancetest.Scene{}.Write(t, bad)
	if err := os.Symlink("/tmp", bad+"/images"); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		`location "nowhere" is not in the hosts file`: {"--location", "nowhere"},
		"leaves its location":                         {"--project", "../config"},
		`the project "link" leaves its location`:      {"--project", "link"},
		"the folder images of the project leaves":     {"--project", "linked"},
		`there is no project "hut"`:                   {"--project", "hut"},
		`there is no variation "hall"`:                {"--variation", "hall"},
		"is no name of a variation":                   {"--variation", "../room"},
		`there is no view "v9"`:                       {"--view", "v9"},
		`the option "-o" of rpict is not allowed`:     {"--options", "-o /etc/passwd"},
		`"!touch" of rpict is not allowed`:            {"--options", "!touch x"},
	} {
		base := map[string]string{"--location": "projects", "--project": "house", "--variation": "room", "--view": "v1"}
		for i := 0; i+1 < len(args); i += 2 {
			base[args[i]] = args[i+1]
		}
		var all []string
		for k, v := range base {
			all = append(all, k+"="+v)
		}
		if got := f.ray(append([]string{"submit"}, all...)...); got.Code != 1 || !strings.Contains(got.ErrOut, want) {
			t.Errorf("%q: exit %d, %q, want %q", args, got.Code, got.ErrOut, want)
		}
	}
	// A location that comes into the hosts file is found without a restart.
	f.write("config/hosts", fmt.Sprintf("%s 2 projects=%q more=%q\n", hostname(t), f.path("projects"), f.path("projects")))
	f.ray("submit", "--location", "more", "--project", "house", "--variation", "room", "--view", "v1", "--wait").OK(t)
}

// TestCommandsInScenes: they are code; root does not run it.
func TestCommandsInScenes(t *testing.T) {
	t.Parallel()
	f := newFarm(t, radiancetest.Scene{})
	file, err := os.OpenFile(f.project()+"/room.rad", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(file, "!touch %s/made; echo void light more 0 0 3 1 1 1\n", f.project())
	file.Close()
	j := f.submit("--view", "v1")
	harness.Until(t, "it ends", harness.Patience, func() bool { return !f.job(j.ID).Live() })
	got := f.job(j.ID)
	if os.Getuid() == 0 {
		if got.State != "failed" || !strings.Contains(got.Message, "start it with -u") || f.exists("made") {
			t.Errorf("as root it is %s: %s; the command ran: %v", got.State, got.Message, f.exists("made"))
		}
	} else if got.State != "finished" || !f.exists("made") {
		t.Errorf("it is %s: %s", got.State, got.Message)
	}
}

// TestFullDisk: the simulation fails with Radiance's own words, and another
// project is not hurt.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("a small file system is mounted for this test: run it as root")
	}
	f := newFarm(t, radiancetest.Scene{})
	small := f.path("projects/small")
	if err := os.MkdirAll(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=300k", "none", small).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", small).Run() })
	radiancetest.Scene{Size: 600}.Write(t, small)
	var j door.Job
	f.ray("submit", "--json", "--location", "projects", "--project", "small", "--variation", "room", "--view", "v1").OK(t).JSON(t, &j)
	harness.Until(t, "it ends", harness.Patience, func() bool { return !f.job(j.ID).Live() })
	if got := f.job(j.ID); got.State != "failed" || !strings.Contains(got.Message, "No space left on device") || !strings.Contains(got.Message, "rpict: system - ") {
		t.Errorf("it is %s: %s", got.State, got.Message)
	}
	f.submit("--view", "v1", "--wait")
}

// TestIllumWhereAsked: mkillum computes the variation's illum surfaces when a
// simulation asks for it, once for those that ask alike.
func TestIllumWhereAsked(t *testing.T) {
	t.Parallel()
	f := newFarm(t, radiancetest.Scene{Extra: "illum= window.rad\nmkillum= -ab 0\n"})
	put(t, filepath.Join(f.project(), "window.rad"), "void glass gl 0 0 3 .9 .9 .9\ngl polygon win 0 0 12 0 1 1 0 2 1 0 2 2 0 1 2\n")
	ran := func() int {
		files, _ := filepath.Glob(f.project() + "/logfiles/*.log")
		n := 0
		for _, file := range files {
			text, _ := os.ReadFile(file)
			n += strings.Count(string(text), "$ mkillum ")
		}
		return n
	}
	for _, c := range []struct {
		view string
		ask  []string
		want int
	}{{"v1", nil, 0}, {"v2", []string{"--mkillum"}, 1}, {"v1", []string{"--mkillum"}, 1}, {"v2", nil, 1}} {
		j := f.submit(append([]string{"--view", c.view, "--wait"}, c.ask...)...)
		if n := ran(); j.State != "finished" || n != c.want {
			t.Errorf("after %s %v (%s: %s) mkillum has run %d times, want %d", c.view, c.ask, j.State, j.Message, n, c.want)
		}
	}
}
