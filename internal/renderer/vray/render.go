package vray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/renderer"
)

// RenderOptions are one task: a frame, or a tile of one.
type RenderOptions struct {
	VRay    string // the program
	Root    string // the folder of its build; "" when it is installed
	Session string // folder for what is passing
	Rules   string // file with the session's path mapping rules; "" for none
	Scene   string
	Frame   int64
	Tile    int
	Tiles   string
	Output  string
	Name    string
	Format  string
	Width   int
	Height  int
	Camera  string
	Engine  string
	Threads int
}

// Render renders one frame and puts its pictures under their names.
func Render(ctx context.Context, o RenderOptions, out io.Writer) error {
	ext := extensions[o.Format]
	if ext == "" {
		return fmt.Errorf("%q is no picture format", o.Format)
	}
	temp, err := os.MkdirTemp(o.Session, "vray-")
	if err != nil {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: "no folder can be made for V-Ray's pictures: " + err.Error(), Err: err}
	}
	defer os.RemoveAll(temp)
	args, err := o.args(ctx, filepath.Join(temp, "frame"+ext))
	if err != nil {
		return err
	}
	env := environment()
	w := &watcher{out: out, hide: secrets(env)}
	cmd := exec.CommandContext(ctx, o.VRay, args...)
	cmd.Dir, cmd.Env = temp, o.environ(env)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = w, w, 2*time.Second
	fmt.Fprintln(out, w.hide.Replace(strings.Join(append([]string{o.VRay}, args...), " ")))
	err = cmd.Run()
	w.end()
	var missing *exec.Error
	if errors.As(err, &missing) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: "V-Ray cannot be started: " + err.Error(), Err: err}
	}
	names, listErr := pictures(temp, o.Frame, ext)
	if err := w.verdict(err, len(names)); err != nil {
		return err
	}
	return errors.Join(listErr, o.place(temp, names, ext))
}

// args is the command line.
func (o *RenderOptions) args(ctx context.Context, picture string) ([]string, error) {
	args := []string{
		"-sceneFile=" + o.Scene, "-imgFile=" + picture, "-frames=" + strconv.FormatInt(o.Frame, 10), "-noFrameNumbers=1",
		"-display=0", "-autoClose=1", "-progressUseColor=0", "-progressUseCR=0", "-verboseLevel=3", "-numThreads=" + strconv.Itoa(o.Threads),
	}
	width, height := o.Width, o.Height
	if width > 0 && height > 0 {
		args = append(args, "-imgWidth="+strconv.Itoa(width), "-imgHeight="+strconv.Itoa(height))
	}
	g, err := parseGrid(o.Tiles)
	if err != nil {
		return nil, err
	}
	if g.columns*g.rows > 1 {
		if width <= 0 || height <= 0 {
			s, err := ReadScene(ctx, o.Scene)
			if err != nil {
				return nil, err
			}
			width, height = s.Width, s.Height
		}
		t := g.tile(o.Tile, width, height)
		args = append(args, fmt.Sprintf("-region=%d;%d;%d;%d", t.Min.X, t.Min.Y, t.Max.X, t.Max.Y))
	}
	if o.Camera != "" {
		args = append(args, "-camera="+o.Camera)
	}
	if o.Engine != "" {
		args = append(args, "-rtEngine="+o.Engine)
	}
	remap, err := o.remap()
	return append(args, remap...), err
}

// mappingRules is the file of path mapping rules (OpenJD 2023-09, "Path Mapping").
type mappingRules struct {
	Rules []struct {
		Source      string `json:"source_path"`
		Destination string `json:"destination_path"`
	} `json:"path_mapping_rules"`
}

// remap tells V-Ray where the submitter's folders are here: for files that are
// named by their whole path, and for includes. Longer paths come first.
func (o *RenderOptions) remap() ([]string, error) {
	if o.Rules == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.Rules)
	if err != nil {
		return nil, fmt.Errorf("read the path mapping rules: %w", err)
	}
	var m mappingRules
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("read the path mapping rules: %w", err)
	}
	slices.SortStableFunc(m.Rules, func(a, b struct {
		Source      string `json:"source_path"`
		Destination string `json:"destination_path"`
	}) int {
		return len(b.Source) - len(a.Source)
	})
	var pairs, includes []string
	for _, r := range m.Rules {
		if strings.ContainsAny(r.Source+r.Destination, ";=") {
			return nil, &renderer.Fault{Party: renderer.JobFault, Message: fmt.Sprintf("the path %q has ; or =, which V-Ray's -remapPath cannot say", r.Source)}
		}
		pairs = append(pairs, r.Source+"="+r.Destination)
		includes = append(includes, r.Destination)
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	return []string{"-remapPath=" + strings.Join(pairs, ";"), "-include=" + strings.Join(includes, ";")}, nil
}

// environ is V-Ray's environment: this one, with its own libraries when it comes
// from a build of the farm's library.
func (o *RenderOptions) environ(env []string) []string {
	if o.Root == "" || runtime.GOOS != "linux" {
		return env
	}
	libs := filepath.Join(o.Root, "lib") + ":" + filepath.Join(o.Root, "bin")
	out := make([]string, 0, len(env)+1)
	for _, e := range env {
		if old, ok := strings.CutPrefix(e, "LD_LIBRARY_PATH="); ok && old != "" {
			libs += ":" + old
		} else if !ok {
			out = append(out, e)
		}
	}
	return append(out, "LD_LIBRARY_PATH="+libs)
}

// pictures lists what V-Ray wrote: the picture and further render elements. Each
// is known by what its name has after "frame", without the frame's number, which
// some versions add however many digits it has.
func pictures(dir string, frame int64, ext string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	number := regexp.MustCompile(`[._]?0*` + strconv.FormatInt(max(frame, -frame), 10) + `$`)
	out := make(map[string]string)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), "frame")
		if !ok || !strings.HasSuffix(rest, ext) || !e.Type().IsRegular() {
			continue
		}
		rest = number.ReplaceAllString(strings.TrimSuffix(rest, ext), "")
		out[rest] = e.Name()
	}
	return out, err
}

// place gives the pictures their names in the output folder.
func (o *RenderOptions) place(temp string, names map[string]string, ext string) error {
	for suffix, name := range names {
		to := renderer.FrameName(o.Name, o.Frame) + suffix + ext
		if g, err := parseGrid(o.Tiles); err == nil && g.columns*g.rows > 1 {
			to = tileName(o.Name, o.Frame, o.Tile, suffix+ext)
		}
		to = filepath.Join(o.Output, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := move(filepath.Join(temp, name), to); err != nil {
			return fmt.Errorf("put the picture in its place: %w", err)
		}
	}
	return nil
}

// move renames, or copies to another file system.
func move(from, to string) error {
	if os.Rename(from, to) == nil {
		return nil
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
