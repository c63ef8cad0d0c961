package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"drover.farm/internal/api"
)

// Config is what a worker is made of.
type Config struct {
	// Farm and Files are the ways to the farm.
	Farm  Farm
	Files Files
	// Data is the worker's own folder; two workers cannot share one.
	Data string
	// Name as people see it; the hostname when empty.
	Name string
	// Slots is how many tasks run at once; 1 when 0.
	Slots int
	// Rules are the worker's own conditions on what it is given.
	Rules api.Rules
	// Version of this program.
	Version string
	// Executable is what the actions of jobs find as "drover"; this program when
	// empty.
	Executable string
	// Env is the base environment of actions, as NAME=value; this program's when
	// nil. Variables named DROVER_* are not passed on, for the token may be one,
	// but for those about a renderer of this machine (DROVER_BLENDER_*).
	Env []string
	// Amounts and Attributes are further OpenJD capabilities, by full name.
	Amounts    map[string]float64
	Attributes map[string][]string
	// Detect finds the renderers of this machine; none when nil.
	Detect func(ctx context.Context) []api.Renderer
	// Changed tells that Detect would find others now; never when nil.
	Changed <-chan struct{}
	// Drain, when closed, lets the worker take no more tasks, finish those that
	// run within Settings.Grace, and leave. Nil: never.
	Drain <-chan struct{}
	// Log is for the program's own log; nil discards.
	Log *slog.Logger
	// Settings are times and bounds; zero fields mean Defaults.
	Settings Settings
}

// Settings are the worker's times and bounds. The zero value of a field means its
// default; see Defaults.
type Settings struct {
	ClaimWait     time.Duration `yaml:"claim_wait" help:"How long a request for work is held while there is none; at most 60s."`
	PulseWait     time.Duration `yaml:"pulse_wait" help:"How long a sign of life is held while there is nothing to stop; at most a third of a lease."`
	ProgressEvery time.Duration `yaml:"progress_every" help:"How often changed progress is told at most."`
	SampleEvery   time.Duration `yaml:"sample_every" help:"How often the memory of a running task is looked at."`
	VitalsEvery   time.Duration `yaml:"vitals_every" help:"How often the machine's load, memory, disk and temperature are looked at, for people."`
	LogEvery      time.Duration `yaml:"log_every" help:"How often new lines of a task's log are sent."`
	LogChunk      int           `yaml:"log_chunk" help:"As soon as this many bytes of log are new, they are sent."`
	LogLimit      int64         `yaml:"log_limit" help:"How many bytes of a task's log are kept; of more, the beginning and the end."`
	Idle          time.Duration `yaml:"idle" help:"How long a session, with the renderer that it has loaded, is kept while there is no work for it."`
	Stop          time.Duration `yaml:"stop" help:"How long a task that is stopped has to end by itself before it is killed."`
	Close         time.Duration `yaml:"close" help:"How long the environments of a session have to exit."`
	Grace         time.Duration `yaml:"grace" help:"How long running tasks may take to finish when the worker is told to leave; then they are given back."`
	Leave         time.Duration `yaml:"leave" help:"How long a worker that leaves tries to tell the farm so."`
	Away          time.Duration `yaml:"away" help:"How long the farm may be out of reach before the worker gives up."`
	RetryMin      time.Duration `yaml:"retry_min" help:"The first pause before a failed request is repeated; pauses double."`
	RetryMax      time.Duration `yaml:"retry_max" help:"The longest pause before a failed request is repeated."`
	Behind        int           `yaml:"behind" help:"How many finished tasks of a slot may be sending their outputs while it renders the next."`
	Transfers     int           `yaml:"transfers" help:"How many files are moved at once for a task."`
	MaxOutputs    int           `yaml:"max_outputs" help:"How many files a task may put out."`
	CacheSize     int64         `yaml:"cache_size" help:"How many bytes of input files are kept for later tasks."`
	BuildsSize    int64         `yaml:"builds_size" help:"How many bytes of renderers from the farm's library are kept unpacked; what was used longest ago goes first."`
	Nice          int           `yaml:"nice" help:"How much processes of tasks give way to others: 1 to 19, or below 0 for not at all."`
}

// Defaults returns the settings of a worker that says nothing else.
func Defaults() Settings {
	return Settings{
		ClaimWait:     30 * time.Second,
		PulseWait:     20 * time.Second,
		ProgressEvery: 2 * time.Second,
		SampleEvery:   2 * time.Second,
		VitalsEvery:   15 * time.Second,
		LogEvery:      time.Second,
		LogChunk:      64 << 10,
		LogLimit:      64 << 20,
		Idle:          2 * time.Minute,
		Stop:          3 * time.Second,
		Close:         30 * time.Second,
		Grace:         10 * time.Minute,
		Leave:         5 * time.Second,
		Away:          time.Hour,
		RetryMin:      200 * time.Millisecond,
		RetryMax:      10 * time.Second,
		Behind:        2,
		Transfers:     4,
		MaxOutputs:    10_000,
		CacheSize:     50 << 30,
		BuildsSize:    50 << 30,
		Nice:          10,
	}
}

// withDefaults fills in what is zero.
func (s Settings) withDefaults() Settings {
	d := Defaults()
	pick(&s.ClaimWait, d.ClaimWait)
	pick(&s.PulseWait, d.PulseWait)
	pick(&s.ProgressEvery, d.ProgressEvery)
	pick(&s.SampleEvery, d.SampleEvery)
	pick(&s.VitalsEvery, d.VitalsEvery)
	pick(&s.LogEvery, d.LogEvery)
	pick(&s.LogChunk, d.LogChunk)
	pick(&s.LogLimit, d.LogLimit)
	pick(&s.Idle, d.Idle)
	pick(&s.Stop, d.Stop)
	pick(&s.Close, d.Close)
	pick(&s.Grace, d.Grace)
	pick(&s.Leave, d.Leave)
	pick(&s.Away, d.Away)
	pick(&s.RetryMin, d.RetryMin)
	pick(&s.RetryMax, d.RetryMax)
	pick(&s.Behind, d.Behind)
	pick(&s.Transfers, d.Transfers)
	pick(&s.MaxOutputs, d.MaxOutputs)
	pick(&s.CacheSize, d.CacheSize)
	pick(&s.BuildsSize, d.BuildsSize)
	pick(&s.Nice, d.Nice)
	return s
}

func pick[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// maxWait is the longest that the farm holds a request.
const maxWait = time.Minute

// check completes the configuration, or says what is wrong with it.
func (c *Config) check() error {
	if c.Farm == nil || c.Files == nil {
		return errors.New("start the worker: it was given no farm")
	}
	if c.Data == "" {
		return errors.New("start the worker: it was given no data folder")
	}
	if c.Slots < 0 || c.Slots > 1024 {
		return errors.New("start the worker: the number of slots is not between 1 and 1024")
	}
	c.Slots = max(c.Slots, 1)
	c.Settings = c.Settings.withDefaults()
	c.Settings.ClaimWait = min(c.Settings.ClaimWait, maxWait)
	c.Settings.PulseWait = min(c.Settings.PulseWait, maxWait)
	c.Settings.Nice = min(c.Settings.Nice, 19)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	if c.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return errors.Join(errors.New("start the worker: its own program cannot be found"), err)
		}
		c.Executable = exe
	}
	return nil
}
