package cli

import (
	"fmt"
	"slices"
	"strings"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/vray"
	"drover.farm/internal/submit"
)

// vrayEngines are the values of -rtEngine by name.
var vrayEngines = map[string]string{"": "", "VRAY": "0", "CPU": "1", "OPENCL": "3", "CUDA": "5", "RTX": "7"}

// vrscene plans the render of a V-Ray scene.
func (c *submitCmd) vrscene(a *App, farm *client.Client) (*ready, error) {
	if len(c.Param)+len(c.Environment) > 0 {
		return nil, usagef("-p and --environment are for OpenJD templates; a scene has --frames, --tiles and so on")
	}
	if c.Samples != 0 || c.Scene != "" || c.Autoexec {
		return nil, usagef("--samples, --scene and --autoexec are for Blender scenes")
	}
	engine, known := vrayEngines[strings.ToUpper(c.Engine)]
	if !known {
		return nil, usagef("the engine %q of V-Ray is not known; it is vray, cpu, opencl, cuda or rtx", c.Engine)
	}
	frames := ""
	if c.Frames != nil {
		frames = *c.Frames
		if _, err := renderer.ParseFrames(frames); err != nil {
			return nil, usageError{err}
		}
	}
	licence, err := hasLimit(a, farm, vray.LicenceLimit)
	if err != nil {
		return nil, err
	}
	p, err := vray.NewPlan(a.ctx, c.What, vray.PlanOptions{
		JobName: c.Name, Frames: frames, OutputName: c.OutputName, Format: strings.ToUpper(c.Format), Width: c.Width, Height: c.Height,
		Camera: c.Camera, Engine: engine, Tiles: c.Tiles, Licence: licence,
	})
	if err != nil {
		return nil, err
	}
	job, in, err := submit.VRay(p, "", c.Name, c.AllowBlack)
	if err != nil {
		return nil, err
	}
	for i, f := range p.Missing {
		if c.Strict {
			return nil, fmt.Errorf("%s of the scene %s missing, such as %s (%s)", count(len(p.Missing), "file"), isOrAre(len(p.Missing)), f.Path, f.Kind)
		}
		if i < 50 {
			in.Notes = append(in.Notes, fmt.Sprintf("%s (%s) is missing and will not be sent", f.Path, f.Kind))
		}
	}
	return &ready{files: in, Submission: job}, nil
}

// hasLimit reports whether the farm has a limit of that name.
func hasLimit(a *App, farm *client.Client, name string) (bool, error) {
	f, err := farm.Farm(a.ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(f.Limits, func(l api.Limit) bool { return l.Name == name }), nil
}
