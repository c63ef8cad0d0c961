package flamenco

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/livelog"
)

// Settings are the door's settings. The zero value of a field means its default;
// see Defaults.
type Settings struct {
	Listen    string         `yaml:"listen" help:"Address of the listener for Flamenco workers, servers and scripts: HOST:PORT, or a port for this machine alone; 7777 by convention. Empty: closed."`
	Allow     []netip.Prefix `yaml:"allow" help:"Networks beside this machine whose Flamenco clients may come, such as 10.0.0.0/8. The protocol knows no passwords."`
	Account   string         `yaml:"account" help:"Account that owns the jobs and workers that come through this door. It is made if it is not there."`
	Shares    []string       `yaml:"shares" help:"Storage that workers share, with its name on each system, as linux=/render;win=R:/;osx=/Volumes/render;farm=/srv/render. farm is where this server sees it; leave out what does not apply. Paths are translated between the names."`
	Blender   string         `yaml:"blender" help:"Version of the Blender that Flamenco workers have, such as 3.4.1. Empty: it is learned from each worker's first render, and until then jobs that began with some version are not given to it."`
	Presets   []string       `yaml:"presets" help:"Render settings scripts that only set a size, as NAME=WIDTHxHEIGHT: tasks with them can be rendered by all workers."`
	Chunk     int            `yaml:"chunk" help:"How many frames of a task that was posted here a Flamenco worker is given at once, at most."`
	Frames    int            `yaml:"frames" help:"How many frames of any other job a Flamenco worker is given at once, at most. It starts Blender once for them."`
	Tick      time.Duration  `yaml:"tick" help:"How often each worker of 2015 is asked how it does."`
	Probe     time.Duration  `yaml:"probe" help:"How long a worker of 2015 may take to answer."`
	Lease     time.Duration  `yaml:"lease" help:"After how long without an answer a worker of 2015 has lost its task."`
	PullLease time.Duration  `yaml:"pull_lease" help:"After how long without news a worker of 2016 has lost its task."`
	LogLimit  int            `yaml:"log_limit" help:"How many MiB of log a worker may send of a task."`
	Upload    int            `yaml:"upload" help:"How many MiB an uploaded archive of a job or of frames may have."`
	Server    string         `yaml:"server" help:"URL of a Flamenco server to which this farm is a manager, such as http://server:9999. Empty: none."`
	Name      string         `yaml:"name" help:"Name by which this farm is registered with the Flamenco server."`
	Retry     time.Duration  `yaml:"retry" help:"How long to wait before the Flamenco server is tried again."`
	Progress  time.Duration  `yaml:"progress" help:"How often the Flamenco server is told how far running tasks are; 0: it is told of each change of state, and no more."`
}

// Defaults returns the settings of a door that says nothing else.
func Defaults() Settings {
	return Settings{
		Account: "flamenco", Presets: []string{"base_1080p.py=1920x1080", "base_720p.py=1280x720"}, Chunk: 250, Frames: 1,
		Tick: 10 * time.Second, Probe: 2 * time.Second, Lease: 30 * time.Second, PullLease: 5 * time.Minute,
		LogLimit: 16, Upload: 1 << 20, Name: "drover", Retry: 5 * time.Second,
	}
}

func (s Settings) withDefaults() Settings {
	d := Defaults()
	pick(&s.Account, d.Account)
	pick(&s.Chunk, d.Chunk)
	pick(&s.Frames, d.Frames)
	pick(&s.Tick, d.Tick)
	pick(&s.Probe, d.Probe)
	pick(&s.Lease, d.Lease)
	pick(&s.PullLease, d.PullLease)
	pick(&s.LogLimit, d.LogLimit)
	pick(&s.Upload, d.Upload)
	pick(&s.Name, d.Name)
	pick(&s.Retry, d.Retry)
	return s
}

func pick[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Config is what a door is made of.
type Config struct {
	Farm     *farm.Farm
	Blobs    blob.Store
	Logs     *livelog.Store
	Log      *slog.Logger // nil: nowhere
	Settings Settings
}

// preset is the size that a render settings script sets.
type preset struct{ width, height int }

func parsePresets(list []string) (map[string]preset, error) {
	out := make(map[string]preset, len(list))
	for _, text := range list {
		var p preset
		name, size, ok := cutLast(text, "=")
		n, err := fmt.Sscanf(size, "%dx%d", &p.width, &p.height)
		if !ok || err != nil || n != 2 || p.width < 1 || p.height < 1 || p.width > maxSide || p.height > maxSide || checkScript(name) != nil {
			return nil, fmt.Errorf("the preset %q is not of the form base_1080p.py=1920x1080", text)
		}
		out[name] = p
	}
	return out, nil
}

const maxSide = 65535

var errServer = errors.New("the Flamenco server's URL must be http://HOST:PORT, without a path")
