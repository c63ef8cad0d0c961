package radiance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"drover.farm/internal/frame"
	"drover.farm/internal/renderer"
)

// Cmd is the commands that Radiance's job templates run within a session, and
// those that people use on grids and pictures, for kong.
type Cmd struct {
	Octree    octreeCmd    `cmd:"" help:"Make the octree of a variable file and plan its pictures."`
	Tile      tileCmd      `cmd:"" help:"Render a part of a picture."`
	Join      joinCmd      `cmd:"" help:"Put the tiles of a picture together."`
	Trace     traceCmd     `cmd:"" help:"Compute a piece of a measuring field."`
	Gather    gatherCmd    `cmd:"" help:"Put the pieces of a measuring field together."`
	Split     splitCmd     `cmd:"" help:"Spread the sensors of a folder of grids evenly over new ones, as Honeybee does."`
	Luminance luminanceCmd `cmd:"" help:"Make a PNG of a picture's luminance in false colours, with a legend."`
	Merge     mergeCmd     `cmd:"" help:"Put results of such grids back into the order of the first ones."`
}

type octreeCmd struct {
	Rif    string `required:"" help:"The variable file."`
	Output string `required:"" help:"The job's output folder."`
	Views  bool   `help:"Plan the pictures of all views."`
	Trace  string `help:"Options of rtrace; by default those of the variable render."`

	CacheAge time.Duration `default:"720h" env:"DROVER_RADIANCE_CACHE_AGE" help:"How long this machine keeps an octree that no task uses; 0: until there are too many."`
}

func (c *octreeCmd) Run() error {
	return run(c.Output, func(ctx context.Context, j *Job) error {
		j.Keep = c.CacheAge
		return j.Octree(ctx, c.Rif, c.Views, c.Trace)
	})
}

type tileCmd struct {
	Output string `required:"" help:"The job's output folder."`
	Tiles  string `required:"" help:"Columns and rows of tiles."`
	Part   int    `required:"" help:"Which tile, counted over all views from 0."`
}

func (c *tileCmd) Run() error {
	return run(c.Output, func(ctx context.Context, j *Job) error { return j.Tile(ctx, c.Tiles, c.Part) })
}

type joinCmd struct {
	Output string `required:"" help:"The job's output folder."`
	Tiles  string `required:"" help:"Columns and rows of tiles."`
	View   int    `required:"" help:"Which view, from 0."`
}

func (c *joinCmd) Run() error {
	return run(c.Output, func(ctx context.Context, j *Job) error { return j.Join(ctx, c.Tiles, c.View) })
}

type traceCmd struct {
	Output string `required:"" help:"The job's output folder."`
	Points string `required:"" help:"The sensors."`
	Pieces int    `required:"" help:"How many pieces there are."`
	Piece  int    `required:"" help:"Which piece, from 0."`
}

func (c *traceCmd) Run() error {
	return run(c.Output, func(ctx context.Context, j *Job) error { return j.Trace(ctx, c.Points, c.Pieces, c.Piece) })
}

type gatherCmd struct {
	Output string `required:"" help:"The job's output folder."`
	Points string `required:"" help:"The sensors."`
	Pieces int    `required:"" help:"How many pieces there are."`
}

func (c *gatherCmd) Run() error {
	return told(&Job{Output: c.Output, Log: os.Stdout}, func(j *Job) error { return j.Gather(c.Points, c.Pieces) })
}

type splitCmd struct {
	In             string `arg:"" help:"Folder with _info.json and the grids (.pts)."`
	Out            string `arg:"" help:"Folder for the new grids."`
	Count          int    `arg:"" help:"How many new grids."`
	MinSensorCount int    `default:"1" help:"A new grid has at least so many sensors."`
}

func (c *splitCmd) Run() error { return SplitGrids(c.In, c.Out, c.Count, c.MinSensorCount) }

type mergeCmd struct {
	In        string `arg:"" help:"Folder with _dist_info.json (or _redist_info.json) and the results."`
	Out       string `arg:"" help:"Folder for the results of the first grids."`
	Extension string `arg:"" help:"Ending of the results, such as res or ill."`
	Info      string `help:"Folder of the information, if it is another one."`
}

func (c *mergeCmd) Run() error {
	info := c.Info
	if info == "" {
		info = c.In
	}
	return MergeGrids(info, c.In, c.Out, c.Extension)
}

type luminanceCmd struct {
	Picture string `arg:"" help:"The picture: Radiance (.hdr, .pic), OpenEXR or float TIFF."`
	Out     string `arg:"" help:"The PNG to write."`
	Range   string `placeholder:"LOW-HIGH" help:"Luminance of the darkest and of the lightest colour, in candela per square metre, such as 10-1000. By default what the picture has."`
	Linear  bool   `help:"Equal steps of luminance rather than of its logarithm."`
}

func (c *luminanceCmd) Run() error {
	scale, err := frame.ParseScale(c.Range, c.Linear, 0)
	if err != nil {
		return err
	}
	f, err := os.Open(c.Picture)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var png bytes.Buffer
	if err := frame.FalseColourPNG(&png, f, info.Size(), scale); err != nil {
		return fmt.Errorf("%s: %w", c.Picture, err)
	}
	return os.WriteFile(c.Out, png.Bytes(), 0o666)
}

// run does a task until a signal ends it, and tells the session why it failed.
func run(output string, f func(context.Context, *Job) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	j := &Job{Output: output, Log: os.Stdout}
	if dir, err := os.UserCacheDir(); err == nil {
		j.Cache = filepath.Join(dir, "drover", "octrees")
	}
	return told(j, func(j *Job) (err error) {
		if j.Tools, err = Find(""); err != nil {
			return &renderer.Fault{Party: renderer.WorkerFault, Message: err.Error(), Err: err}
		}
		return f(ctx, j)
	})
}

func told(j *Job, f func(*Job) error) error {
	err := f(j)
	if err != nil {
		text := strings.Join(strings.Fields(err.Error()), " ")
		var fault *renderer.Fault
		if errors.As(err, &fault) && fault.Party == renderer.WorkerFault {
			text = "this worker is at fault: " + text
		}
		fmt.Printf("openjd_fail: %s\n", text)
	}
	return err
}
