package submit

import (
	"errors"
	"fmt"
	"io/fs"

	"drover.farm/internal/api"
	"drover.farm/internal/renderer/blender"
)

// Scene makes a submission of a planned render of a Blender scene. inside is as
// for New; files of the scene that lie elsewhere count as missing there.
func Scene(p *blender.Plan, inside, name string, allowBlack bool) (api.Submission, *Inputs, error) {
	in := New(inside)
	for _, r := range p.Roots {
		if inside == "" || beneath(r, inside) {
			in.Root(r, false)
		}
	}
	in.Root(p.Parameters["OutputDir"], true)
	for _, f := range p.Inputs {
		err := in.File(f.Path)
		if inside != "" && errors.Is(err, fs.ErrNotExist) {
			p.Missing = append(p.Missing, blender.File{Kind: f.Kind, Path: f.Path})
			continue
		}
		if err != nil {
			return api.Submission{}, nil, fmt.Errorf("read a file of the scene: %w", err)
		}
	}
	in.Notes = append(in.Notes, p.Warnings...)
	return api.Submission{
		Name: name, Template: p.Template, Parameters: p.Parameters, Renderer: "blender",
		Check: &api.Check{Format: p.Format, Width: p.Size.Width, Height: p.Size.Height, AllowBlack: allowBlack, Pictures: p.Pictures()},
	}, in, nil
}
