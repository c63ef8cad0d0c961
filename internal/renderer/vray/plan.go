package vray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/renderer"
)

// PlanOptions say what of a scene to render. A zero value leaves a setting as the
// scene has it.
type PlanOptions struct {
	JobName    string // "" for the scene's file name
	Frames     string // "" for the scene's own range
	OutputName string // "" for ####
	Format     string // "" for PNG
	Width      int
	Height     int
	Camera     string
	Engine     string // -rtEngine
	Tiles      string // such as 2x2; "" for none
	Licence    bool   // each task draws on LicenceLimit
	// Inside is a folder, its links resolved: files elsewhere are not looked at
	// and count as missing; "" for anywhere.
	Inside string
}

// Plan is a render of a scene, ready to be submitted.
type Plan struct {
	Template   string
	Parameters map[string]string
	Roots      []string // folders under which all inputs lie
	Inputs     []string // the scene first
	Missing    []File
	Format     string
	Width      int // of each picture; 0 when not known
	Height     int
	OutputDir  string
	Tiled      bool
}

const maxParameter = 1024 // characters of a parameter's value (OpenJD 2023-09, section 2.5)

// NewPlan reads the scene at path and plans a render of it. Files that it needs
// and that are not there are listed as missing.
func NewPlan(ctx context.Context, path string, o PlanOptions) (*Plan, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the scene: %w", err)
	}
	scene, err := ReadSceneIn(ctx, path, o.Inside)
	if err != nil {
		return nil, err
	}
	frames, err := planFrames(scene, o.Frames)
	if err != nil {
		return nil, err
	}
	p := &Plan{Format: cmp.Or(o.Format, "PNG"), Width: scene.Width, Height: scene.Height, Tiled: o.Tiles != ""}
	if extensions[p.Format] == "" {
		return nil, fmt.Errorf("%q is no picture format that V-Ray is asked for; use PNG, JPEG, OPEN_EXR, TIFF, TARGA, BMP or HDR", o.Format)
	}
	if o.Width > 0 || o.Height > 0 {
		if p.Width, p.Height, err = size(scene, o.Width, o.Height); err != nil {
			return nil, err
		}
	}
	pattern := cmp.Or(o.OutputName, "####")
	if err := renderer.CheckPattern(pattern); err != nil {
		return nil, err
	}
	grid, err := p.grid(o.Tiles)
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	p.OutputDir = filepath.Join(filepath.Dir(path), base+"-frames")
	p.Template = templateFor(p.Tiled, o.Licence)
	set := func(n int) string {
		if o.Width == 0 && o.Height == 0 {
			return "0"
		}
		return strconv.Itoa(n)
	}
	p.Parameters = map[string]string{
		"JobName": cmp.Or(o.JobName, base), "Scene": path, "Frames": frames.String(), "OutputDir": p.OutputDir, "OutputName": pattern, "Format": p.Format,
		"Width": set(p.Width), "Height": set(p.Height), "Camera": o.Camera, "Engine": o.Engine, "Tiles": grid.String(), "LastTile": strconv.Itoa(grid.columns * grid.rows),
	}
	for name, v := range p.Parameters {
		if len([]rune(v)) > maxParameter {
			return nil, fmt.Errorf("parameter %s is longer than the %d characters that a job takes", name, maxParameter)
		}
	}
	return p, p.collect(scene, path)
}

// planFrames are the frames asked for, else the scene's, else one.
func planFrames(s *Scene, text string) (renderer.Frames, error) {
	if text != "" {
		return renderer.ParseFrames(text)
	}
	if s.End > s.Start {
		return renderer.FrameRange(s.Start, s.End, 1)
	}
	return renderer.FrameRange(s.Start, s.Start, 1)
}

// size completes the side that was not given by the scene's proportions.
func size(s *Scene, w, h int) (int, int, error) {
	if w > 0 && h > 0 {
		return w, h, nil
	}
	if s.Width <= 0 || s.Height <= 0 {
		return 0, 0, errors.New("the scene does not say the size of its pictures: give both the width and the height")
	}
	if w > 0 {
		return w, max(1, w*s.Height/s.Width), nil
	}
	return max(1, h*s.Width/s.Height), h, nil
}

// grid checks the tiles asked for.
func (p *Plan) grid(text string) (grid, error) {
	if text == "" {
		return grid{1, 1}, nil
	}
	g, err := parseGrid(text)
	switch {
	case err != nil:
		return g, err
	case p.Format != "PNG":
		return g, fmt.Errorf("tiles are joined as PNG only, not as %s", p.Format)
	case p.Width <= 0 || p.Height <= 0:
		return g, errors.New("the scene does not say the size of its pictures, which tiles need: give the width and the height")
	case g.columns > p.Width || g.rows > p.Height:
		return g, fmt.Errorf("%dx%d pixels cannot be cut into %s tiles", p.Width, p.Height, g)
	}
	return g, nil
}

// templateFor puts the template together.
func templateFor(tiled, licence bool) string {
	t := template
	if licence {
		t = strings.Replace(t, "#licence", "hostRequirements: {amounts: [{name: "+LicenceLimit+", min: 1}]}", 1)
	}
	if tiled {
		t += joinStep
	}
	return t
}

// collect lists the files of the job and the folders that they lie under.
func (p *Plan) collect(s *Scene, path string) error {
	p.Inputs = []string{path}
	p.Roots = []string{filepath.Dir(path)}
	for _, f := range s.Files {
		if f.Missing {
			p.Missing = append(p.Missing, f)
			continue
		}
		if f.Path == path {
			continue
		}
		p.Inputs = append(p.Inputs, f.Path)
		dir := filepath.Dir(f.Path)
		if !slices.ContainsFunc(p.Roots, func(r string) bool { return beneath(dir, r) }) {
			p.Roots = append(p.Roots, dir)
		}
	}
	for _, r := range p.Roots {
		if strings.ContainsAny(r, ";=") {
			return fmt.Errorf("the folder %q has ; or = in its path, which V-Ray's -remapPath cannot say; rename it", r)
		}
	}
	return nil
}

func beneath(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}
