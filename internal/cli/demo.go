package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"drover.farm/internal/api"
	"drover.farm/internal/cli/config"
	"drover.farm/internal/cli/server"
	"drover.farm/internal/client"
	"drover.farm/internal/renderer/blender"
	"drover.farm/internal/secret"
)

type demoCmd struct {
	Shown
	Out   string `default:"drover-demo" placeholder:"DIR" help:"Folder for the frames, the contact sheet and the film. Default: drover-demo."`
	Data  string `placeholder:"DIR" help:"Data folder of the farm. By default a temporary one, removed at the end."`
	Slots int    `default:"1" placeholder:"N" help:"How many frames are rendered at once."`
}

func (c *demoCmd) Help() string {
	return `Starts a farm and a worker on this machine, makes a sample animation with Blender, submits it as a user would, and leaves the frames, a contact sheet and a film in a folder. It takes Blender, and ffmpeg for the film.`
}

// demoResult is what demo shows, as JSON.
type demoResult struct {
	Frames []string `json:"frames"`
	Sheet  string   `json:"contact_sheet"`
	Film   string   `json:"film"`
	Job    *api.Job `json:"job"`
}

func (c *demoCmd) Run(a *App) (err error) {
	found := blender.Detect(a.ctx, blender.DetectOptions{Log: slog.New(slog.DiscardHandler)})
	if len(found) == 0 {
		return errors.New("no Blender was found; install it (Debian and Ubuntu: apt-get install --no-install-recommends blender) or name it by DROVER_BLENDER")
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make the folder for the demonstration: %w", err)
	}
	data := c.Data
	if data == "" {
		if data, err = os.MkdirTemp("", "drover-demo-"); err != nil {
			return fmt.Errorf("make a folder for the farm's data: %w", err)
		}
		defer os.RemoveAll(data)
	}
	a.say("making a sample animation with Blender %s", found[0].Version)
	scene := filepath.Join(c.Out, "demo.blend")
	if err := blender.MakeDemo(a.ctx, found[0].Path, scene); err != nil {
		return err
	}
	r, err := c.render(a, data, scene)
	if err != nil {
		return err
	}
	return a.show(c.Shown, r, nil)
}

// render runs the farm and the worker for as long as the sample takes.
func (c *demoCmd) render(a *App, data, scene string) (r *demoResult, err error) {
	log := slog.New(logHandler(a.Err, slog.LevelWarn, true, a.Terminal(a.Err)))
	set := config.DefaultServe()
	set.Listen = "127.0.0.1:0"
	set.Files.MinFree = 0
	farm, err := server.Start(a.ctx, server.Config{Settings: set, Data: data, Version: Version, Log: log})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, farm.Stop()) }()
	token, err := readToken(filepath.Join(data, server.TokenFile))
	if err != nil {
		return nil, err
	}
	user, err := client.New(client.Config{Server: farm.URL(), Token: token})
	if err != nil {
		return nil, err
	}
	defer user.Close()
	a.say("a farm runs at %s, with one worker", farm.URL())
	stop, err := c.startWorker(a, data, farm.URL(), token, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return c.submit(a, user, scene)
}

// startWorker runs a worker beside the farm until stop is called.
func (c *demoCmd) startWorker(a *App, data, url string, token secret.Text, log *slog.Logger) (stop func() error, err error) {
	farm, err := client.New(client.Config{Server: url, Token: token})
	if err != nil {
		return nil, err
	}
	set := config.DefaultWork()
	set.Name, set.Slots, set.Worker.Grace = "demo", c.Slots, demoGrace
	cfg, err := workerConfig(set, filepath.Join(data, "worker"), farm, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(a.ctx)
	done := make(chan error, 1)
	go func() { done <- runWorker(ctx, cfg, log) }()
	return func() error {
		cancel()
		err := <-done
		farm.Close()
		return err
	}, nil
}

// submit renders the scene as any user would.
func (c *demoCmd) submit(a *App, farm *client.Client, scene string) (*demoResult, error) {
	s := submitCmd{What: scene, Priority: 50, Order: "linear", sceneFlags: sceneFlags{Format: "PNG"}, Name: "Drover demo", Waiting: Waiting{Patience: demoGrace}}
	job, err := s.prepare(a, farm)
	if err != nil {
		return nil, err
	}
	j, err := a.send(farm, job, s.Patience)
	if err != nil {
		return nil, err
	}
	if j, err = a.wait(farm, j.ID, s.Patience); err != nil {
		return nil, err
	}
	if err := a.verdict(j); err != nil {
		return nil, err
	}
	frames, err := a.fetch(farm, j, filepath.Join(c.Out, "frames"), s.Patience)
	if err != nil {
		return nil, err
	}
	r := &demoResult{Job: j, Sheet: filepath.Join(c.Out, "contact-sheet.png"), Film: filepath.Join(c.Out, "film.mp4")}
	for _, f := range frames {
		r.Frames = append(r.Frames, f.Path)
	}
	if err := contactSheet(r.Sheet, r.Frames); err != nil {
		return nil, err
	}
	if err := film(a.ctx, r.Film, filepath.Join(c.Out, "frames")); err != nil {
		return nil, err
	}
	a.say("%s\n  frames         %s\n  contact sheet  %s\n  film           %s", "Rendered. Look at:", filepath.Join(c.Out, "frames"), r.Sheet, r.Film)
	return r, nil
}
