package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/renderer/blender"
)

// frames is how many frames the sample animation has.
const frames = 24

// measureRender: the sample animation on a farm of one worker, beside Blender
// alone on the same file and beside one Blender a frame.
func measureRender(ctx context.Context, r *runner) error {
	program, err := exec.LookPath("blender")
	if err != nil {
		return fmt.Errorf("no Blender on the PATH; install it with: make deps")
	}
	dir, remove, err := folder()
	if err != nil {
		return err
	}
	defer remove()
	scene := filepath.Join(dir, "demo.blend")
	if err := blender.MakeDemo(ctx, program, scene); err != nil {
		return err
	}
	s, err := r.farm(ctx, filepath.Join(dir, "farm"))
	if err != nil {
		return err
	}
	defer s.kill()
	worker := exec.CommandContext(ctx, r.Drover, "work", "--server", s.url, "--token-file", filepath.Join(s.data, "admin.token"), "--data", filepath.Join(dir, "worker"))
	worker.Env = append(os.Environ(), "DROVER_LOG_LEVEL=warn")
	worker.Cancel = func() error { return worker.Process.Signal(os.Interrupt) }
	worker.WaitDelay = 20 * time.Second
	if err := worker.Start(); err != nil {
		return err
	}
	defer func() {
		worker.Process.Signal(os.Interrupt)
		worker.Wait()
	}()
	var alone, farm []float64
	for i := range 3 {
		began := time.Now()
		if err := quiet(ctx, program, "-b", "--disable-autoexec", scene, "-o", filepath.Join(dir, fmt.Sprint("alone", i), "####"), "-F", "PNG", "-a"); err != nil {
			return err
		}
		alone = append(alone, frames/time.Since(began).Minutes())
		rate, err := r.renderOnFarm(ctx, s, scene)
		if err != nil {
			return err
		}
		farm = append(farm, rate)
		r.say("  Blender alone %.1f frames/min, the farm %.1f", alone[i], farm[i])
	}
	const sample = 4
	began := time.Now()
	for f := range sample {
		if err := quiet(ctx, program, "-b", "--disable-autoexec", scene, "-o", filepath.Join(dir, "each", "####"), "-F", "PNG", "-f", fmt.Sprint(1+f*frames/sample)); err != nil {
			return err
		}
	}
	each := sample / time.Since(began).Minutes()
	a, f := median(alone), median(farm)
	r.report.add(Row{Name: "sample animation, Blender alone (blender -a)", Value: a, Unit: "frames/min", Note: "24 frames, median of 3"})
	r.report.add(Row{Name: "sample animation, one Blender a frame", Value: each, Unit: "frames/min", Note: fmt.Sprintf("%d frames", sample)})
	r.report.add(Row{Name: "sample animation, farm with one worker", Value: f, Unit: "frames/min", Note: "from submission to the last frame in the store"})
	r.report.hold("farm against Blender alone", f/a, "", "≥ 0.9", f/a >= 0.9, "")
	r.report.hold("farm against one Blender a frame", f/each, "times", "≥ 3", f/each >= 3, "")
	return nil
}

// renderOnFarm submits the scene as a user would and returns the frames a
// minute from its submission to its end.
func (r *runner) renderOnFarm(ctx context.Context, s *server, scene string) (float64, error) {
	cmd := exec.CommandContext(ctx, r.Drover, "submit", scene, "--frames", fmt.Sprintf("1-%d", frames), "--wait", "--json",
		"--server", s.url, "--token-file", filepath.Join(s.data, "admin.token"))
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("submit: %w: %s", err, out)
	}
	var j api.Job
	if err := json.Unmarshal(out, &j); err != nil {
		return 0, err
	}
	if j.State != "done" || j.Created == nil || j.Finished == nil {
		return 0, fmt.Errorf("the job ended %s: %s", j.State, j.Reason)
	}
	return frames / j.Finished.Sub(*j.Created).Minutes(), nil
}

// quiet runs a program; its output is shown only when it fails.
func quiet(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %.2000s", name, err, out)
	}
	return nil
}
