package vray

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"drover.farm/internal/renderer"
)

// Cmd is the commands that V-Ray's job template runs within a session, for kong:
// `drover vray render|join`. Errors have an ExitCode, as renderer's Exit constants
// say.
type Cmd struct {
	Render renderCmd `cmd:"" help:"Render one frame, or a tile of one."`
	Join   joinCmd   `cmd:"" help:"Put the tiles of a frame together."`
}

type renderCmd struct {
	Session string `required:"" help:"The session's folder."`
	Rules   string `help:"File with the session's path mapping rules."`
	Scene   string `required:"" help:"The scene (.vrscene) on this machine."`
	Frame   int64  `required:"" help:"The frame's number."`
	Tile    int    `default:"1" help:"Which tile, from 1."`
	Tiles   string `default:"1x1" help:"Columns and rows of tiles."`
	Output  string `required:"" help:"Folder for the pictures."`
	Name    string `default:"####" help:"Name of the pictures, # for digits of the frame's number."`
	Format  string `default:"PNG" help:"Format of the pictures."`
	Width   int    `default:"0" help:"Width in pixels; 0 for the scene's."`
	Height  int    `default:"0" help:"Height in pixels; 0 for the scene's."`
	Camera  string `default:"" help:"Camera; by default the scene's."`
	Engine  string `default:"" help:"Engine (-rtEngine); by default the scene's."`
	VRay    string `name:"vray" default:"vray" help:"The V-Ray to run." env:"DROVER_VRAY"`
	Root    string `default:"" help:"Folder of its build." env:"DROVER_VRAY_ROOT"`
	Threads int    `default:"0" help:"Threads to render with; 0 for all cores." env:"DROVER_VRAY_THREADS"`
}

func (c *renderCmd) Run() error {
	return run(func(ctx context.Context) error {
		return Render(ctx, RenderOptions{
			VRay: c.VRay, Root: c.Root, Session: c.Session, Rules: c.Rules, Scene: c.Scene, Frame: c.Frame, Tile: c.Tile, Tiles: c.Tiles, Output: c.Output,
			Name: c.Name, Format: c.Format, Width: c.Width, Height: c.Height, Camera: c.Camera, Engine: c.Engine, Threads: c.Threads,
		}, os.Stdout)
	})
}

type joinCmd struct {
	Frame  int64  `required:"" help:"The frame's number."`
	Tiles  string `required:"" help:"Columns and rows of tiles."`
	Output string `required:"" help:"Folder with the tiles and for the picture."`
	Name   string `default:"####" help:"Name of the pictures."`
	Format string `default:"PNG" enum:"PNG" help:"Format of the pictures."`
}

func (c *joinCmd) Run() error {
	return run(func(context.Context) error {
		g, err := parseGrid(c.Tiles)
		if err != nil {
			return err
		}
		return join(c.Output, c.Name, c.Frame, g)
	})
}

// run does f until a signal ends it, and tells the session why it failed.
func run(f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	err := f(ctx)
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
