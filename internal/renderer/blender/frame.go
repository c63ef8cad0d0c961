package blender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"drover.farm/internal/renderer"
)

// FrameOptions say what to render with the Blender that Open left. A zero value
// leaves a setting as the scene has it.
type FrameOptions struct {
	Dir     string // the folder given to Open
	Frame   int64
	Output  string // folder for the pictures; made if it is missing
	Name    string // pattern of the picture's name, such as ####; no extension
	Format  string
	Width   int
	Height  int
	Engine  string
	Samples int
	Scene   string
	Camera  string
	Device  string   // CPU, CUDA, OPTIX, HIP, ONEAPI, METAL, or GPU for the first of these that is there
	Serve   []string // as for Open, should the supervisor be gone
}

// FrameResult is a rendered frame.
type FrameResult struct {
	Files []string      // paths below Output, the frame's own picture and what the compositor wrote
	Peak  int64         // most memory that Blender said it used, in bytes; 0 if it did not
	Took  time.Duration // from the request to the pictures in place
}

// Frame renders one frame and puts its pictures below Output in one step each:
// a picture that is there is whole. Blender's lines go to stdout as they come,
// with OpenJD's openjd_progress and openjd_status lines among them. If Blender
// crashes, only this frame fails; the next starts it anew. When ctx ends, the
// render is stopped, which ends Blender too. The error is a *renderer.Fault when
// Blender, the scene or the machine is at fault.
func Frame(ctx context.Context, o FrameOptions, stdout io.Writer) (*FrameResult, error) {
	began := time.Now()
	if err := renderer.CheckPattern(o.Name); err != nil {
		return nil, &renderer.Fault{Party: renderer.JobFault, Message: err.Error()}
	}
	if err := os.MkdirAll(o.Output, 0o755); err != nil {
		return nil, &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("make the output folder: %v", err), Err: err}
	}
	out, err := filepath.Abs(o.Output)
	if err != nil {
		return nil, fmt.Errorf("find the output folder: %w", err)
	}
	folder, err := os.MkdirTemp(out, ".drover-frame-")
	if err != nil {
		return nil, &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("write to the output folder: %v", err), Err: err}
	}
	defer os.RemoveAll(folder)
	r := newReporter(stdout)
	end, err := askOrRestart(ctx, &o, request{Verb: "frame", Frame: o.request(folder)}, r.line)
	switch {
	case err != nil && ctx.Err() == nil:
		return nil, &renderer.Fault{Party: renderer.WorkerFault, Message: err.Error(), Err: err}
	case ctx.Err() != nil:
		return nil, fmt.Errorf("frame %d was canceled and Blender stopped: %w", o.Frame, ctx.Err())
	case !end.OK:
		return nil, end.fault()
	}
	files, err := moveAll(folder, out)
	if err != nil {
		return nil, &renderer.Fault{Party: renderer.WorkerFault, Message: err.Error(), Err: err}
	}
	if !slices.ContainsFunc(files, func(f string) bool { return !strings.ContainsRune(f, filepath.Separator) }) {
		return nil, &renderer.Fault{Party: renderer.JobFault, Message: fmt.Sprintf("Blender ended frame %d without a picture", o.Frame)}
	}
	r.done()
	return &FrameResult{Files: files, Peak: r.peak, Took: time.Since(began)}, nil
}

func (o *FrameOptions) request(folder string) *frameRequest {
	return &frameRequest{
		Frame: o.Frame, Folder: folder, Name: renderer.FrameName(o.Name, o.Frame), Format: o.Format, Width: o.Width, Height: o.Height,
		Engine: o.Engine, Samples: o.Samples, Scene: o.Scene, Camera: o.Camera, Device: o.Device,
	}
}

// askOrRestart starts a new supervisor if the session's is gone before it took
// the request.
func askOrRestart(ctx context.Context, o *FrameOptions, req request, log func(string) error) (*ending, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the session's folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, configName)); err != nil {
		return nil, fmt.Errorf("no Blender was opened in %s: run drover blender open first", dir)
	}
	lines := 0
	counting := func(line string) error { lines++; return log(line) }
	end, err := ask(ctx, dir, req, counting)
	if err == nil || lines > 0 || ctx.Err() != nil {
		return end, err
	}
	if err := log("drover: Blender's supervisor is gone and is started anew"); err != nil {
		return nil, err
	}
	if err := startSupervisor(ctx, dir, o.Serve); err != nil {
		return nil, err
	}
	return ask(ctx, dir, req, log)
}

// moveAll moves every file below from to the same place below to, each in one
// step, and lists them sorted.
func moveAll(from, to string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return nil
		case info.Size() == 0:
			return errors.New("Blender wrote an empty file, " + rel)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o755); err != nil {
			return err
		}
		files = append(files, rel)
		return os.Rename(path, filepath.Join(to, rel))
	})
	if err != nil {
		return nil, fmt.Errorf("put the pictures in place: %w", err)
	}
	slices.Sort(files)
	return files, nil
}
