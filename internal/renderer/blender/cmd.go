package blender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"drover.farm/internal/renderer"
)

// Cmd is the commands that Blender's job template runs within a session, for
// kong: `drover blender open|frame|close`, and the supervisor's `serve`. Errors
// have an ExitCode, as renderer's Exit constants say.
type Cmd struct {
	Open  openCmd  `cmd:"" help:"Load a scene into Blender and keep it there for the session."`
	Frame frameCmd `cmd:"" help:"Render one frame with the session's Blender."`
	Close closeCmd `cmd:"" help:"End the session's Blender."`
	Serve serveCmd `cmd:"" hidden:"" help:"Supervise the session's Blender."`
}

type openCmd struct {
	Session  string        `required:"" help:"The session's folder."`
	Scene    string        `required:"" help:"The scene (.blend) on this machine."`
	Original string        `help:"The scene's path where the job was submitted."`
	Rules    string        `help:"File with the session's path mapping rules."`
	Blender  string        `help:"The Blender to run; by default the one on PATH or the newest found." env:"DROVER_BLENDER"`
	Autoexec string        `default:"false" enum:"true,false" help:"Let scripts in the scene run (true or false)."`
	Threads  int           `default:"0" help:"Threads to render with; 0 for all cores." env:"DROVER_BLENDER_THREADS"`
	Idle     time.Duration `default:"30m" help:"End Blender after so long without a frame." env:"DROVER_BLENDER_IDLE"`
}

// stateDir is where a session keeps Blender's state.
func stateDir(session string) string { return filepath.Join(session, ".drover-blender") }

func (c *openCmd) Run() error {
	return run(func(ctx context.Context) error {
		return Open(ctx, OpenOptions{
			Dir: stateDir(c.Session), Scene: c.Scene, Original: c.Original, Rules: c.Rules, Blender: c.Blender,
			Autoexec: c.Autoexec == "true", Threads: c.Threads, Idle: c.Idle, Watch: watchPID(),
		}, os.Stdout)
	})
}

type frameCmd struct {
	Session string `required:"" help:"The session's folder."`
	Frame   int64  `required:"" help:"The frame's number."`
	Output  string `required:"" help:"Folder for the pictures."`
	Name    string `default:"####" help:"Name of the pictures, # for digits of the frame's number."`
	Format  string `default:"" help:"Format of the pictures; by default the scene's."`
	Width   int    `default:"0" help:"Width in pixels; 0 for the scene's."`
	Height  int    `default:"0" help:"Height in pixels; 0 for the scene's."`
	Engine  string `default:"" help:"Render engine; by default the scene's."`
	Samples int    `default:"0" help:"Samples of a pixel; 0 for the scene's."`
	Scene   string `default:"" help:"Scene within the file; by default the active one."`
	Camera  string `default:"" help:"Camera; by default the scene's."`
	Compute string `default:"" enum:",CPU,GPU" help:"What the job wants Cycles to render with; by default as --device, the scene and this machine say."`
	Device  string `default:"" enum:",CPU,CUDA,OPTIX,HIP,ONEAPI,METAL" help:"What Cycles renders with; by default as the scene and this machine say." env:"DROVER_BLENDER_DEVICE"`
}

func (c *frameCmd) Run() error {
	return run(func(ctx context.Context) error {
		_, err := Frame(ctx, FrameOptions{
			Dir: stateDir(c.Session), Frame: c.Frame, Output: c.Output, Name: c.Name, Format: c.Format, Width: c.Width, Height: c.Height,
			Engine: c.Engine, Samples: c.Samples, Scene: c.Scene, Camera: c.Camera, Device: c.device(),
		}, os.Stdout)
		return err
	})
}

// device is what the job wants; of cards, the kind that this machine was told to
// use.
func (c *frameCmd) device() string {
	if c.Compute == "" || c.Compute == "GPU" && c.Device != "" && c.Device != "CPU" {
		return c.Device
	}
	return c.Compute
}

type closeCmd struct {
	Session string `required:"" help:"The session's folder."`
}

func (c *closeCmd) Run() error {
	return run(func(ctx context.Context) error { return Close(ctx, stateDir(c.Session)) })
}

type serveCmd struct {
	Dir string `arg:"" help:"Folder of Blender's state."`
}

func (c *serveCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	return Serve(ctx, c.Dir, slog.New(slog.NewTextHandler(os.Stderr, nil)), func() {
		fmt.Println("ready")
		os.Stdout.Close() // nobody reads on
	})
}

// run does f until a signal ends it, and tells the session why it failed.
func run(f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	err := f(ctx)
	if err != nil {
		sayFail(os.Stdout, err)
	}
	return err
}

func sayFail(w io.Writer, err error) {
	text := oneLine(err.Error())
	var f *renderer.Fault
	if errors.As(err, &f) && f.Party == renderer.WorkerFault {
		text = "this worker is at fault: " + text
	}
	fmt.Fprintf(w, "openjd_fail: %s\n", text)
}

// watchPID is the process that the session ends with: the one that the agent
// names, or the parent if it is this program too. Any other parent may be a
// shell that ends before the session does.
func watchPID() int {
	if pid, err := strconv.Atoi(os.Getenv(EnvSessionPID)); err == nil && pid > 1 {
		return pid
	}
	if runtime.GOOS != "linux" {
		return 0
	}
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return 0
	}
	parent, err := os.Stat(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if err != nil || !os.SameFile(self, parent) {
		return 0
	}
	return os.Getppid()
}
