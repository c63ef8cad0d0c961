//go:build unix

package blender

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"drover.farm/openjd"
	"drover.farm/openjd/session"
	"github.com/google/go-cmp/cmp"
)

// droverOnPath gives an environment in which `drover` is this test binary.
func droverOnPath(t testing.TB) []string {
	t.Helper()
	bin := t.TempDir()
	if err := os.Symlink(serveArgs(t)[0], filepath.Join(bin, "drover")); err != nil {
		t.Fatal(err)
	}
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "PATH=") })
	return append(env, "PATH="+bin+":"+os.Getenv("PATH"))
}

// The tests with a session are not parallel: a session takes detached children
// of this process for its own, and other tests have such children.

func TestTemplateRendersInASession(t *testing.T) {
	path := shared.scene(t, "4")
	p, err := NewPlan(t.Context(), path, PlanOptions{Frames: "1-4:3,7", OutputDir: "/submitter/out", OutputName: "кадр_##", Samples: 1})
	if err != nil {
		t.Fatal(err)
	}
	job := checkTemplate(t, p)
	out := t.TempDir()
	var log bytes.Buffer
	_, err = session.RunJob(t.Context(), job, session.RunOptions{
		Dir: t.TempDir(), Out: &log, Env: droverOnPath(t),
		Rules: []openjd.PathRule{{SourceFormat: "POSIX", Source: "/submitter", Destination: out}},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var want []string
	for frame := range p.Frames.All() {
		for _, n := range p.OutputNames(frame) {
			want = append(want, "out/"+n)
		}
	}
	if diff := cmp.Diff(want, names(t, out)); diff != "" {
		t.Errorf("%s\n%s", diff, log.String())
	}
	if n := strings.Count(log.String(), "has the scene loaded"); n != 1 {
		t.Errorf("Blender was loaded %d times", n)
	}
	if n := strings.Count(log.String(), "Saved: "); n != 3 {
		t.Errorf("the log tells of %d pictures, want 3\n%s", n, log.String())
	}
}

func TestSessionCancelStopsTheRender(t *testing.T) {
	p, err := NewPlan(t.Context(), shared.scene(t, "1000000"), PlanOptions{Frames: "1", OutputDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := newAwaiter("Sample ")
	go func() {
		<-log.seen
		cancel()
	}()
	_, err = session.RunJob(ctx, checkTemplate(t, p), session.RunOptions{Dir: t.TempDir(), Out: log, Env: droverOnPath(t)})
	var task *session.TaskError
	if !errors.As(err, &task) || task.Result.State != session.Canceled || task.Result.Signal == "SIGKILL" {
		t.Errorf("got %v\n%s", err, log)
	}
	if !strings.Contains(log.String(), "was canceled and Blender stopped") {
		t.Errorf("the render did not say that it was stopped\n%s", log)
	}
	if left := names(t, p.Parameters["OutputDir"]); len(left) != 0 {
		t.Errorf("a canceled frame left %v", left)
	}
}
