package blender

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"drover.farm/internal/renderer"
)

// Template is the OpenJD 2023-09 job template that renders frames of a scene.
//
//go:embed blender.yaml
var Template string

const (
	maxParameter = 1024 // characters of a parameter's value (OpenJD 2023-09, section 2.5)
	maxJobName   = 128
	maxLibraries = 500
	lastFrame    = 1_048_574 // of Blender, in both directions
	maxInputs    = 200_000
)

// PlanOptions say what of a scene to render. A zero value leaves a setting as
// the scene has it.
type PlanOptions struct {
	JobName    string // "" for the scene's file name
	Frames     string // "" for the scene's own range
	OutputDir  string // "" for a folder beside the scene
	OutputName string // "" for ####
	Format     string
	Width      int
	Height     int
	Engine     string
	Samples    int
	SceneName  string
	Camera     string
	Device     string // CPU or GPU
	Autoexec   bool
	// Inside, when set, is the folder that the files of the scene must lie in, with
	// its links resolved: nothing else is looked at, and counts as missing. It is
	// for scenes that strangers sent.
	Inside string
}

// Input is a file that a job needs.
type Input struct {
	Path string   `json:"path"`
	Root string   `json:"root"` // which of the plan's roots it lies under
	Kind FileKind `json:"kind"` // "scene" for the scene itself
}

// SceneFile is the kind of the scene itself among a plan's inputs.
const SceneFile FileKind = "scene"

// Plan is a render of a scene, ready to be submitted.
type Plan struct {
	Template   string            `json:"template"`
	Parameters map[string]string `json:"parameters"`
	Scene      *Scene            `json:"scene"`
	Inputs     []Input           `json:"inputs"` // the scene first
	Missing    []File            `json:"missing"`
	// Roots are the folders under which all inputs lie: path mapping rules from
	// these give each worker the same tree.
	Roots    []string        `json:"roots"`
	Frames   renderer.Frames `json:"-"`
	Size     Size            `json:"size"`   // of each picture
	Format   string          `json:"format"` // of each picture
	Warnings []string        `json:"warnings"`

	pattern  string
	suffixes []string
	display  string // the scene's engine, if it draws with the display's driver
}

// NewPlan reads the scene at path and plans a render of it. Files that the
// scene and its libraries need and that are not there are listed as missing;
// they are no error, since Blender renders without them. The error says what is
// wrong with the scene or with what was asked.
func NewPlan(ctx context.Context, path string, o PlanOptions) (*Plan, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the scene: %w", err)
	}
	scene, err := readSceneIn(ctx, path, o.Inside)
	if err != nil {
		return nil, err
	}
	p := &Plan{Template: Template, Scene: scene}
	set := scene.ActiveScene()
	if o.SceneName != "" {
		set = scene.Find(o.SceneName)
	}
	if set == nil {
		return nil, noScene(scene, path, o.SceneName)
	}
	if o.Camera != "" && !slices.Contains(scene.Cameras, o.Camera) && !scene.Cut {
		return nil, fmt.Errorf("the scene has no camera %q; it has %s", o.Camera, quoted(scene.Cameras))
	}
	if set.Camera == "" && o.Camera == "" {
		p.Warnings = append(p.Warnings, fmt.Sprintf("scene %q has no active camera: Blender refuses to render it unless it is a video edit", set.Name))
	}
	if p.Frames, err = planFrames(set, o.Frames); err != nil {
		return nil, err
	}
	if p.Size, err = set.SizeFor(o.Width, o.Height); err != nil {
		return nil, err
	}
	p.pattern = cmp.Or(o.OutputName, "####")
	if err := renderer.CheckPattern(p.pattern); err != nil {
		return nil, err
	}
	if err := p.setFormat(set, o.Format); err != nil {
		return nil, err
	}
	p.suffixes = viewSuffixes(set)
	if NeedsDisplay(set.Engine) {
		p.display = set.Engine // so that the farm can see it in the job
	}
	if o.Device != "" && o.Device != "CPU" && o.Device != "GPU" {
		return nil, fmt.Errorf("%q is no device: it is CPU or GPU", o.Device)
	}
	if err := p.setParameters(path, o); err != nil {
		return nil, err
	}
	return p, p.collectInputs(ctx, path, o.Inside)
}

// NeedsDisplay reports whether an engine draws with the display's driver, which
// machines without a display lack.
func NeedsDisplay(engine string) bool {
	return engine == "BLENDER_EEVEE" || engine == "BLENDER_EEVEE_NEXT" || engine == "BLENDER_WORKBENCH"
}

func noScene(s *Scene, path, name string) error {
	if name == "" {
		return fmt.Errorf("%s holds no scene to render, only data for other files", path)
	}
	var names []string
	for _, set := range s.Scenes {
		names = append(names, set.Name)
	}
	return fmt.Errorf("the file has no scene %q; it has %s", name, quoted(names))
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	const most = 20
	var b strings.Builder
	for i, n := range names[:min(len(names), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(n))
	}
	if len(names) > most {
		fmt.Fprintf(&b, " and %d more", len(names)-most)
	}
	return b.String()
}

func planFrames(set *Settings, text string) (renderer.Frames, error) {
	if text != "" {
		f, err := renderer.ParseFrames(text)
		if err != nil {
			return f, err
		}
		if n := len(f.String()); n > maxParameter {
			return f, fmt.Errorf("the frame list is %d characters long; a job takes %d: submit it in parts", n, maxParameter)
		}
		if runs := f.Runs(); runs[0].Start < -lastFrame || runs[len(runs)-1].End > lastFrame {
			return f, fmt.Errorf("frames %s: Blender has frames from %d to %d", shorten(f.String()), -lastFrame, lastFrame)
		}
		return f, nil
	}
	f, err := renderer.FrameRange(int64(set.Start), int64(set.End), int64(set.Step))
	if err != nil {
		return f, fmt.Errorf("the scene's own frame range cannot be used, name the frames: %w", err)
	}
	return f, nil
}

func shorten(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// formats are what the template allows besides the scene's own.
var formats = []string{"PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF", "TARGA", "BMP", "HDR", "WEBP"}

func (p *Plan) setFormat(set *Settings, asked string) error {
	p.Format = cmp.Or(asked, set.Format)
	if asked != "" && !slices.Contains(formats, asked) {
		return fmt.Errorf("%q is no picture format that is rendered; use one of %s", asked, strings.Join(formats, ", "))
	}
	if _, ok := extensions[p.Format]; !ok {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the scene writes %s, which is no single picture: its frames are rendered as PNG", p.Format))
		p.Format = "PNG"
	}
	return nil
}

// viewSuffixes are what the names of a frame's pictures have before their
// extension: one empty, unless each view becomes a picture.
func viewSuffixes(set *Settings) []string {
	if !set.Multiview || set.ViewFormat != "INDIVIDUAL" {
		return []string{""}
	}
	var out []string
	for _, v := range set.Views {
		if !v.Off {
			out = append(out, v.Suffix)
		}
	}
	return out
}

// Pictures is how many pictures a frame gives when that is more than one, else 0.
func (p *Plan) Pictures() int {
	if len(p.suffixes) < 2 {
		return 0
	}
	return len(p.suffixes)
}

// OutputNames are the names of the pictures that a frame gives.
func (p *Plan) OutputNames(frame int64) []string {
	var out []string
	for _, suffix := range p.suffixes {
		out = append(out, renderer.FrameName(p.pattern, frame)+suffix+Extension(p.Format))
	}
	return out
}

func (p *Plan) setParameters(path string, o PlanOptions) error {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	out := cmp.Or(o.OutputDir, filepath.Join(filepath.Dir(path), base+"-frames"))
	out, err := filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("find the output folder: %w", err)
	}
	format := o.Format
	if format == "" && p.Format == "PNG" {
		format = "PNG" // what a film becomes
	}
	p.Parameters = map[string]string{
		"JobName": cmp.Or(o.JobName, jobName(base)), "Scene": path, "Frames": p.Frames.String(), "OutputDir": out,
		"OutputName": p.pattern, "Format": format, "Width": strconv.Itoa(o.Width), "Height": strconv.Itoa(o.Height),
		"Engine": cmp.Or(o.Engine, p.display), "Device": o.Device, "Samples": strconv.Itoa(o.Samples), "SceneName": o.SceneName, "Camera": o.Camera,
		"Autoexec": strconv.FormatBool(o.Autoexec),
	}
	for name, v := range p.Parameters {
		if len([]rune(v)) > maxParameter {
			return fmt.Errorf("parameter %s is longer than the %d characters that a job takes", name, maxParameter)
		}
	}
	return nil
}

// jobName makes a file's name fit for a job's.
func jobName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > maxJobName {
		s = string(r[:maxJobName])
	}
	return cmp.Or(s, "Blender")
}
