package submit

import (
	"fmt"

	"drover.farm/internal/api"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/vray"
)

// VRay makes a submission of a planned render of a V-Ray scene. inside is as for
// New.
func VRay(p *vray.Plan, inside, name string, allowBlack bool) (api.Submission, *Inputs, error) {
	in, err := planned(inside, p.Roots, p.OutputDir, p.Inputs)
	if err != nil {
		return api.Submission{}, nil, err
	}
	// A tile is empty but for its region.
	check := &api.Check{Format: p.Format, Width: p.Width, Height: p.Height, AllowBlack: allowBlack || p.Tiled}
	return api.Submission{Name: name, Template: p.Template, Parameters: p.Parameters, Renderer: "vray", Check: check}, in, nil
}

// Radiance makes a submission of a planned job of a Radiance variable file.
// inside is as for New.
func Radiance(p *radiance.Plan, inside, name string) (api.Submission, *Inputs, error) {
	in, err := planned(inside, p.Roots, p.OutputDir, p.Inputs)
	if err != nil {
		return api.Submission{}, nil, err
	}
	in.Notes = append(in.Notes, p.Notes...)
	return api.Submission{Name: name, Template: p.Template, Parameters: p.Parameters, Renderer: "radiance", Check: &api.Check{AllowBlack: true}}, in, nil
}

func planned(inside string, roots []string, out string, files []string) (*Inputs, error) {
	in := New(inside)
	for _, r := range roots {
		in.Root(r, false)
	}
	in.Root(out, true)
	for _, f := range files {
		if err := in.File(f); err != nil {
			return nil, fmt.Errorf("read a file of the scene: %w", err)
		}
	}
	return in, nil
}
