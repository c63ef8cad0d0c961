package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/blender"
	"drover.farm/internal/submit"
)

// scene plans the render of a Blender scene.
func (c *submitCmd) scene(a *App) (*ready, error) {
	if len(c.Param)+len(c.Environment) > 0 {
		return nil, usagef("-p and --environment are for OpenJD templates; a scene has --frames, --samples and so on")
	}
	if c.Tiles != "" {
		return nil, usagef("--tiles is for V-Ray scenes")
	}
	frames := ""
	if c.Frames != nil {
		frames = *c.Frames
		if _, err := renderer.ParseFrames(frames); err != nil {
			return nil, usageError{err}
		}
	}
	p, err := blender.NewPlan(a.ctx, c.What, blender.PlanOptions{
		JobName: c.Name, Frames: frames, OutputName: c.OutputName, Format: strings.ToUpper(c.Format),
		Width: c.Width, Height: c.Height, Engine: c.Engine, Samples: c.Samples, SceneName: c.Scene, Camera: c.Camera, Device: c.Device, Autoexec: c.Autoexec,
	})
	if err != nil {
		return nil, err
	}
	if err := c.missing(a, p); err != nil {
		return nil, err
	}
	job, in, err := submit.Scene(p, "", c.Name, c.AllowBlack)
	if err != nil {
		return nil, err
	}
	return &ready{files: in, Submission: job}, nil
}

// missing lists files of the scene that are not there.
func (c *submitCmd) missing(a *App, p *blender.Plan) error {
	if len(p.Missing) == 0 {
		return nil
	}
	var b strings.Builder
	verb := "are missing and will not be sent; Blender renders without them"
	if c.Strict {
		verb = "are missing"
	}
	fmt.Fprintf(&b, "%s of the scene %s:", count(len(p.Missing), "file"), strings.Replace(verb, "are", isOrAre(len(p.Missing)), 1))
	const most = 50
	for _, f := range p.Missing[:min(len(p.Missing), most)] {
		fmt.Fprintf(&b, "\n  %s %s (%s)", f.Kind, f.Path, filepath.ToSlash(f.Name))
	}
	if n := len(p.Missing) - most; n > 0 {
		fmt.Fprintf(&b, "\n  and %d more", n)
	}
	if c.Strict {
		return fmt.Errorf("%s\nput them there, pack them into the scene, or submit without --strict", b.String())
	}
	a.say("%s", b.String())
	return nil
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
