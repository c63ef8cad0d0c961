package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/internal/submit"
)

type submitCmd struct {
	Shown
	Remote
	Waiting
	What string `arg:"" name:"scene-or-template" help:"SCENE.blend, SCENE.rif, SCENE.vrscene, an OpenJD job template (.yaml or .json), or the folder of a job bundle."`

	Name     string   `placeholder:"NAME" help:"Name of the job. By default the scene's, or what the template says."`
	Priority int      `default:"50" placeholder:"N" help:"0 to 100; higher goes first. Default: 50."`
	Doors    []string `placeholder:"DOOR" help:"Only workers that came through these doors may render it, such as native,sheepit. By default all."`
	Tag      []string `placeholder:"TAG" help:"Only workers with all of these tags."`
	Order    string   `enum:"linear,preview" default:"linear" placeholder:"ORDER" help:"linear: first frame to last. preview: first, last and middle first, then halving the gaps."`
	Owner    string   `placeholder:"LOGIN" help:"Submit on behalf of this account; takes the role operator."`
	Paused   bool     `help:"Hand nothing out until \"drover job resume\"."`
	Wait     bool     `help:"Wait until the job has ended; exit 1 unless it is done."`
	Out      string   `placeholder:"DIR" help:"Wait, then write the job's files to this folder."`
	Build    string   `placeholder:"VERSION" help:"Version of the renderer. By default the newest that is usable when the job begins."`
	Renderer string   `placeholder:"NAME" help:"For a template: the renderer of the library that its tasks need."`
	Encrypt  bool     `help:"Encrypt the job's files, by a password of its own, where they leave the farm in an archive (SheepIt clients), and keep the job from clients that cannot open it."`
	Strict   bool     `help:"Refuse a scene or bundle of which files are missing."`

	sceneFlags
	gridFlags
	Param       []string `short:"p" sep:"none" placeholder:"NAME=VALUE" help:"Parameter of a template: NAME=VALUE, NAME=@FILE for a value from a file, @FILE for a document of values."`
	Environment []string `sep:"none" placeholder:"FILE" help:"OpenJD environment template to run the job in; may be given several times, outermost first."`
}

// sceneFlags say what of a scene is rendered.
type sceneFlags struct {
	Frames     *string `group:"Of scenes:" placeholder:"LIST" help:"Frames to render, such as 1-48, 1-10:2,15,20-30. By default the scene's own range."`
	Format     string  `group:"Of scenes:" placeholder:"FORMAT" help:"PNG, JPEG, OPEN_EXR, TIFF, TARGA, BMP or HDR. By default the scene's."`
	OutputName string  `group:"Of scenes:" placeholder:"NAME" help:"Name of the pictures, # for digits of the frame number. Default: ####."`
	Width      int     `group:"Of scenes:" placeholder:"PIXELS" help:"Width of the pictures; the height follows unless given."`
	Height     int     `group:"Of scenes:" placeholder:"PIXELS" help:"Height of the pictures; the width follows unless given."`
	Device     string  `group:"Of scenes:" enum:",CPU,GPU" default:"" placeholder:"DEVICE" help:"What Cycles renders with, CPU or GPU. By default as the scene and the worker say."`
	Samples    int     `group:"Of scenes:" placeholder:"N" help:"Samples of each pixel."`
	Engine     string  `group:"Of scenes:" placeholder:"ENGINE" help:"Render engine, such as CYCLES or BLENDER_EEVEE."`
	Scene      string  `group:"Of scenes:" placeholder:"NAME" help:"Scene within the file. By default the active one."`
	Camera     string  `group:"Of scenes:" placeholder:"NAME" help:"Camera. By default the scene's."`
	Tiles      string  `group:"Of scenes:" placeholder:"CxR" help:"Cut each frame of a V-Ray scene, or each picture of a Radiance variable file, into columns and rows of tiles, such as 2x2, and join them."`
	AllowBlack bool    `group:"Of scenes:" help:"Wholly black pictures are right, too."`
	Autoexec   bool    `group:"Of scenes:" help:"Let scripts in the scene run."`
}

func (c *submitCmd) Examples() string {
	return `  drover submit shot.blend --frames 1-48 --wait --out frames
  drover submit shot.blend --frames 1-100:10 --samples 16 --name "shot, quick look"
  drover submit shot.vrscene --frames 1-48 --tiles 2x2
  drover submit template.yaml -p Frames=1-10 -p Script=@comp.py
  drover submit bundle/ --priority 80 --json
`
}

// ready is a job that is ready to be sent.
type ready struct {
	api.Submission
	files *submit.Inputs
}

func (c *submitCmd) Run(a *App) error {
	if err := c.check(); err != nil {
		return err
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	job, err := c.prepare(a, farm)
	if err != nil {
		return err
	}
	j, err := a.send(farm, job, c.Patience)
	if err != nil {
		return err
	}
	if !c.Wait && c.Out == "" {
		return a.showJob(c.Shown, j)
	}
	a.say("job %d submitted: %s, %s", j.ID, j.Name, count(j.Tasks.Total, "task"))
	if j, err = a.wait(farm, j.ID, c.Patience); err != nil {
		return err
	}
	if c.Out != "" && j.Tasks.Done > 0 {
		if _, err := a.fetch(farm, j, c.Out, c.Patience); err != nil {
			return err
		}
	}
	if err := a.showJob(c.Shown, j); err != nil {
		return err
	}
	return a.verdict(j)
}

func (c *submitCmd) check() error {
	if err := checkPriority(c.Priority); err != nil {
		return err
	}
	if c.Paused && (c.Wait || c.Out != "") {
		return usagef("--paused with --wait or --out would wait for a job that does not run; submit it first, then \"drover job resume\" and \"drover job wait\"")
	}
	if c.Out != "" {
		return checkOut(c.Out)
	}
	return nil
}

// prepare reads what is to be submitted.
func (c *submitCmd) prepare(a *App, farm *client.Client) (*ready, error) {
	info, err := os.Stat(c.What)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file or folder %s", c.What)
	} else if err != nil {
		return nil, fmt.Errorf("read what to submit: %w", err)
	}
	var job *ready
	switch ext := strings.ToLower(filepath.Ext(c.What)); {
	case info.IsDir():
		job, err = c.bundle(a, farm)
	case ext == ".yaml" || ext == ".yml" || ext == ".json" || ext == ".template":
		job, err = c.template(a, farm)
	case ext == ".vrscene":
		job, err = c.vrscene(a, farm)
	case ext == ".rif":
		job, err = c.rif(a)
	default: // .blend, .blend1 and whatever people call their scenes
		job, err = c.scene(a)
	}
	if err != nil {
		return nil, err
	}
	job.Owner, job.Priority, job.Paused = c.Owner, &c.Priority, c.Paused
	job.Doors, job.Tags, job.Order, job.Build, job.Encrypt = c.Doors, c.Tag, c.Order, c.Build, c.Encrypt
	if c.Renderer != "" {
		job.Renderer = c.Renderer
	}
	for _, n := range job.files.Notes {
		a.say("%s", n)
	}
	return job, nil
}

// send uploads what the farm does not have yet and hands the job in.
func (a *App) send(farm *client.Client, job *ready, patience time.Duration) (*api.Job, error) {
	files, paths, err := job.files.List()
	if err != nil {
		return nil, err
	}
	if job.Files, err = a.upload(farm, files, paths, patience); err != nil {
		return nil, err
	}
	job.Roots = job.files.Roots
	return farm.Submit(a.ctx, job.Submission)
}

// template reads a job template. Relative paths in -p lie under the folder that
// the command is called in, relative defaults beside the template.
func (c *submitCmd) template(a *App, farm *client.Client) (*ready, error) {
	if err := c.noScene(); err != nil {
		return nil, err
	}
	values, err := parameters(c.Param)
	if err != nil {
		return nil, err
	}
	return c.openjd(a, farm, &source{file: c.What, dir: filepath.Dir(c.What), given: values})
}

// noScene refuses flags that only scenes have.
func (c *submitCmd) noScene() error {
	if c.sceneFlags != (sceneFlags{}) {
		return usagef("--frames, --format and the other flags of scenes mean nothing for a template; give its parameters with -p NAME=VALUE")
	}
	return nil
}

// bundle reads a job bundle.
func (c *submitCmd) bundle(a *App, farm *client.Client) (*ready, error) {
	if err := c.noScene(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(c.What)
	if err != nil {
		return nil, fmt.Errorf("find the bundle: %w", err)
	}
	b, err := submit.ReadBundle(dir)
	if err != nil {
		return nil, err
	}
	given, err := parameters(c.Param)
	if err != nil {
		return nil, err
	}
	return c.openjd(a, farm, &source{file: b.Template, dir: dir, given: given, stored: b.Values, refs: b.Refs})
}
