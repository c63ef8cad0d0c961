package sheepit

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"drover.farm/internal/farm"
)

// TestWhySaysWhatKeepsAJobFromSheepIt asks the farm about jobs that no session
// gets.
func TestWhySaysWhatKeepsAJobFromSheepIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says   string
		change func(*farm.Submission)
	}{
		{"the scene's scripts are to run, and would on the machines of strangers", parameter("Autoexec", "true")},
		{"it has frames below 0", parameter("Frames", "-3-3")},
		{"each frame gives 2 pictures, one for each view, and SheepIt clients deliver one", func(s *farm.Submission) { s.Spec.Check = &farm.Check{Pictures: 2} }},
		{"SheepIt clients render only Drover's own jobs for Blender", func(s *farm.Submission) { s.Spec.Template += "# changed\n" }},
		{"its scene is not among its files", parameter("Scene", "/elsewhere/scene.blend")},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{}, farm.Settings{})
			b.build("4.2.1", "linux", "x86_64")
			job := b.job("1-9", c.change)
			b.want(b.client().login("rick").ask(), "200")
			why, err := b.f.Why(t.Context(), job.ID)
			b.check(err)
			if !strings.Contains(why.Summary, "joined through the door sheepit, which cannot carry the job: "+c.says) {
				t.Errorf("it says: %s", why.Summary)
			}
		})
	}
}

// TestMacsRunBuildsForTheOtherProcessor where the library has none for theirs and
// the setting allows it.
func TestMacsRunBuildsForTheOtherProcessor(t *testing.T) {
	t.Parallel()
	mac := func(v url.Values) {
		v.Set("os", "mac")
		v.Set("cpu_model_name", "Apple M1 Pro")
	}
	for _, rosetta := range []bool{false, true} {
		b := setup(t, Config{Settings: Settings{Rosetta: rosetta}}, farm.Settings{})
		job := b.job("1-9")
		other := b.build("4.2.1", "macos", "x86_64")
		c := b.client().login("rick", mac)
		if !rosetta {
			b.want(c.ask(), "205")
			why, err := b.f.Why(t.Context(), job.ID)
			b.check(err)
			if !strings.Contains(why.Summary, "the library has no build of it for macos arm64") {
				t.Errorf("why: %s", why.Summary)
			}
			continue
		}
		b.want(c.ask(), "0")
		pack, err := b.door.packer.build(t.Context(), other, true)
		b.check(err)
		if r := c.get(pathArchive + "?type=binary&job=1000"); sum(r.body) != pack.MD5 {
			t.Errorf("the archive: %d, %d bytes", r.code, len(r.body))
		}
		own := b.build("4.3.0", "macos", "arm64")
		second := b.job("1-9", func(s *farm.Submission) { s.Priority = 90 })
		c = b.client().login("rosa", mac)
		b.want(c.ask(), "0")
		if got, err := b.f.BuildFor(t.Context(), 2, second.ID); err != nil || got.ID != own.ID {
			t.Errorf("the job begins with %+v, %v", got, err)
		}
	}
}

// TestLauncherTellsThatAMacLacksRosetta runs the script under a system that says
// it is such a Mac.
func TestLauncherTellsThatAMacLacksRosetta(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // there the archive has no script
	}
	b := setup(t, Config{}, farm.Settings{})
	for arch, want := range map[string]bool{"x86_64": true, "arm64": false} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"rend":  rend(b.build("4.2.1", "macos", arch), "missing.tgz"),
			"uname": "#!/bin/sh\n[ $1 = -s ] && echo Darwin || echo arm64\n",
			"arch":  "#!/bin/sh\nexit 1\n",
		} {
			b.check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
		}
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "rend"))
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 127 {
			t.Errorf("%s: exit code %d, %v", arch, code, err)
		}
		if got := strings.Contains(ourError(out), "Rosetta 2, which it lacks"); got != want {
			t.Errorf("%s: it says %s", arch, out)
		}
	}
}
