package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"drover.farm/internal/agent"
	"drover.farm/internal/api"
	"drover.farm/internal/cli/config"
	"drover.farm/internal/client"
	"drover.farm/internal/renderer/blender"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/vray"
)

type workCmd struct {
	Remote
	Join     string       `placeholder:"TOKEN" help:"One-time token from the farm's page (Workers, Add a worker). The first start turns it into a token of its own, kept in the data folder."`
	Config   string       `placeholder:"FILE" help:"Configuration file. Default: worker.yaml in the data folder."`
	Settings kong.Plugins `embed:""`

	flags *config.Flags
}

func (c *workCmd) addFlags() (err error) {
	if c.flags, err = config.NewFlags(config.DefaultWork()); err == nil {
		c.Settings = kong.Plugins{c.flags.Struct()}
	}
	return err
}

func (c *workCmd) Help() string {
	return `Renders for a farm until it is told to end. SIGTERM or an interrupt lets running tasks finish (for at most worker.grace) and takes no new ones; a second one gives them back at once.

A setting can stand in worker.yaml in the data folder, in the environment, and on the command line; the later ones win. The setting worker.idle is "worker: {idle: 5m}" in the file, DROVER_WORKER_IDLE in the environment, and --worker-idle here.`
}

func (c *workCmd) Examples() string {
	return `  drover work --server http://farm:7700 --token-file anna.token
  drover work --server https://farm.example.com --token-file anna.token --slots 2 --hours 18:00-08:00 --leave-free 2
`
}

func (c *workCmd) Run(a *App) error {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	set := config.DefaultWork()
	file, err := fileOr(c.Config, dir, "worker.yaml")
	if err != nil {
		return err
	}
	if err := set.Swarm.ReadSwarmYAML(dir); err != nil {
		return usageError{err}
	}
	if err := config.Load(set, file, a.Env, c.flags); err != nil {
		return usageError{err}
	}
	log, err := newLog(a, set.Log)
	if err != nil {
		return err
	}
	if err := c.join(a, dir); err != nil {
		return err
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	defer farm.Close()
	cfg, err := workerConfig(set, filepath.Join(dir, "worker"), farm, log)
	if err != nil {
		return err
	}
	p, err := startPeer(a.ctx, &set.Swarm, dir, farm, log)
	if err != nil {
		return err
	}
	if p != nil {
		defer p.stop()
		cfg.Changed = p.changed
	}
	return runWorker(a.ctx, cfg, log)
}

// workerConfig puts the worker together.
func workerConfig(set *config.Work, dir string, farm *client.Client, log *slog.Logger) (agent.Config, error) {
	cfg := agent.Config{
		Farm: farm, Files: farm, Data: dir, Name: set.Name, Slots: set.Slots, Version: Version, Log: log, Settings: set.Worker,
		Rules:   api.Rules{Owners: set.Owners, Jobs: set.Jobs, Hours: set.Hours, LeaveFree: set.LeaveFree},
		Amounts: map[string]float64{}, Attributes: map[string][]string{},
		Detect: func(ctx context.Context) []api.Renderer { return detect(ctx, dir, log) },
	}
	err := pairsOf("amounts", set.Amounts, func(name, value string) error {
		n, err := strconv.ParseFloat(value, 64)
		cfg.Amounts[name] = n
		return err
	})
	if err != nil {
		return cfg, err
	}
	err = pairsOf("attributes", set.Attributes, func(name, value string) error {
		cfg.Attributes[name] = append(cfg.Attributes[name], value)
		return nil
	})
	if set.Slots < 1 {
		err = errors.Join(err, usagef("slots is %d; a worker has at least one", set.Slots))
	}
	return cfg, err
}

// detect finds the renderers of this machine.
func detect(ctx context.Context, dir string, log *slog.Logger) []api.Renderer {
	var out []api.Renderer
	for _, b := range blender.Detect(ctx, blender.DetectOptions{Cache: filepath.Join(dir, "blenders.json"), Log: log}) {
		out = append(out, api.Renderer{Product: "blender", Version: b.Version, Hash: b.Hash, Path: b.Path})
	}
	if tools, err := radiance.Find(""); err == nil {
		version, err := tools.Version(ctx)
		if err == nil {
			out = append(out, api.Renderer{Product: "radiance", Version: version, Path: filepath.Join(tools.Bin, "rpict")})
		} else {
			log.Warn("a Radiance is not offered", "err", err)
		}
	} else if set, ok := os.LookupEnv(radiance.EnvHome); ok {
		log.Warn("a Radiance is not offered", "home", set, "err", err)
	}
	for _, v := range vray.Detect(ctx) {
		out = append(out, api.Renderer{Product: "vray", Version: v.Version, Path: v.Path})
	}
	out = append(out, deployedVRay(filepath.Dir(dir))...)
	return out
}

// runWorker works until ctx ends: then it drains, and a second signal, or the
// end of the grace, makes it give its tasks back.
func runWorker(ctx context.Context, cfg agent.Config, log *slog.Logger) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		log.Info("ending: running tasks finish, no new ones are taken; a second signal gives them back")
		again := make(chan os.Signal, 1)
		signal.Notify(again, endSignals...)
		defer signal.Stop(again)
		select {
		case <-ended:
		case <-again:
			cancel()
		}
	}()
	cfg.Drain = ctx.Done()
	if err := agent.Run(hard, cfg); err != nil {
		return fmt.Errorf("the worker cannot go on: %w", err)
	}
	return nil
}

// wait bounds for what a worker does at its end in the demonstration.
const demoGrace = 10 * time.Second
