package sheepit

import (
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
