package radiance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/renderer"
)

// handed is what the first step of a job finds out for the others.
type handed struct {
	Name  string   // of the variable file, without its ending
	Views []string // names, in order
	Plans []*Picture
	Trace []string // rtrace's options
}

const (
	planFile   = "plan.json"
	octreeFile = "scene.oct"
)

// Job runs the tasks of a job on the farm, with the job's output folder.
type Job struct {
	Tools  Tools
	Output string
	Cache  string        // folder of octrees that were made before; "" for none
	Keep   time.Duration // how long an octree in it is kept that nobody uses; 0: for ever
	Log    io.Writer
}

func (j *Job) parts() string { return filepath.Join(j.Output, renderer.PartsDir) }

// runner runs programs in a folder; progress goes to the session.
func (j *Job) runner(dir string) *Runner {
	return &Runner{Tools: j.Tools, Dir: dir, Log: j.Log, Report: func(r Report) {
		fmt.Fprintf(j.Log, "openjd_progress: %g\n", r.Percent)
	}}
}

// Octree makes the frozen octree of a variable file and plans its pictures, or
// the options of its measuring field.
func (j *Job) Octree(ctx context.Context, rif string, views bool, trace string) error {
	dir := filepath.Dir(rif)
	vars, err := ReadRif(rif)
	if err != nil {
		return jobFaultf("%v", err)
	}
	if err := os.MkdirAll(j.parts(), 0o755); err != nil {
		return writeFault(renderer.PartsDir, err)
	}
	name, err := filepath.Rel(dir, filepath.Join(j.parts(), octreeFile))
	if err != nil {
		return err
	}
	r := j.runner(dir)
	if err := j.octree(ctx, r, filepath.Base(rif), vars, name); err != nil {
		return err
	}
	h := handed{Name: strings.TrimSuffix(filepath.Base(rif), filepath.Ext(rif))}
	if views {
		for _, v := range vars.Views {
			p, err := r.PlanPicture(ctx, vars, v.Name, name, nil)
			if err != nil {
				return err
			}
			h.Views, h.Plans = append(h.Views, v.Name), append(h.Plans, p)
		}
	}
	if h.Trace = Split(trace); trace == "" {
		h.Trace = ForTrace(Split(vars.Value("render")))
	}
	if err := CheckOptions("rtrace", h.Trace); !views && err != nil {
		return jobFaultf("%v", err)
	}
	data, err := json.Marshal(h)
	if err == nil {
		err = os.WriteFile(filepath.Join(j.parts(), planFile), data, 0o644)
	}
	if err != nil {
		return writeFault(planFile, err)
	}
	return nil
}

// octree takes the octree out of the cache of this machine, or makes it.
func (j *Job) octree(ctx context.Context, r *Runner, rif string, vars *Rif, name string) error {
	in, err := FindInputs(ctx, r.Dir, rif, vars)
	if err != nil {
		return jobFaultf("%v", err)
	}
	version, err := j.Tools.Version(ctx)
	if err != nil {
		return err
	}
	hash, err := in.Hash(r.Dir, version)
	if err != nil {
		return err
	}
	at, cached := filepath.Join(r.Dir, name), filepath.Join(j.Cache, hash+".oct")
	if j.Cache != "" {
		defer func() { pruneCache(j.Cache, maxCache, j.Keep) }()
	}
	if j.Cache != "" && CheckOctree(cached) == nil && copyWhole(cached, at) == nil {
		fmt.Fprintf(j.Log, "the octree of these files was made before\n")
		now := time.Now()
		_ = os.Chtimes(cached, now, now) // it is kept longer
		return nil
	}
	if err := r.MakeOctree(ctx, Recipe{Rif: vars, Frozen: true, Illum: true}, name); err != nil {
		return err
	}
	if j.Cache != "" && os.MkdirAll(j.Cache, 0o700) == nil {
		_ = copyWhole(at, cached) // it is only a convenience
	}
	return nil
}

// maxCache bounds the octrees that a worker keeps, in bytes.
const maxCache = 4 << 30

// pruneCache removes the octrees that nobody used for keep (0: for ever), and of
// the others those that were used longest ago, until the rest takes no more than
// most bytes.
func pruneCache(dir string, most int64, keep time.Duration) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var kept []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			kept = append(kept, info)
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range kept {
		old := keep > 0 && time.Since(info.ModTime()) > keep
		if most -= info.Size(); most < 0 || old {
			_ = os.Remove(filepath.Join(dir, info.Name())) // another task may have done so
		}
	}
}

// copyWhole copies a file, which appears whole or not at all.
func copyWhole(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := os.CreateTemp(filepath.Dir(to), ".copy-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, in)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), to)
}

// handed reads what the first step has found out.
func (j *Job) handed() (*handed, error) {
	data, err := os.ReadFile(filepath.Join(j.parts(), planFile))
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	var h handed
	if err := json.Unmarshal(data, &h); err != nil || len(h.Views) != len(h.Plans) {
		return nil, jobFaultf("the plan of the job cannot be read: %v", err)
	}
	return &h, nil
}

// view finds a view of the plan and cuts its picture.
func (h *handed) view(n int, tiles string) (*Picture, []Tile, []string, error) {
	columns, rows, err := ParseTiles(tiles)
	if err != nil {
		return nil, nil, nil, err
	}
	if n < 0 || n >= len(h.Plans) {
		return nil, nil, nil, jobFaultf("there is no view %d among %d", n, len(h.Plans))
	}
	p := h.Plans[n]
	list := Tiles(p.Width, p.Height, columns, rows)
	var files []string
	for k := range list {
		files = append(files, fmt.Sprintf("%s_%s_%d.tile", h.Name, h.Views[n], k))
	}
	return p, list, files, nil
}

// Tile renders one part: tiles are counted over all views.
func (j *Job) Tile(ctx context.Context, tiles string, part int) error {
	h, err := j.handed()
	if err != nil {
		return err
	}
	columns, rows, err := ParseTiles(tiles)
	if err != nil {
		return err
	}
	p, list, files, err := h.view(part/(columns*rows), tiles)
	if err != nil {
		return err
	}
	k := part % (columns * rows)
	if k >= len(list) {
		return nil // a picture of fewer pixels than tiles
	}
	return j.runner(j.parts()).RenderTile(ctx, p, list[k], octreeFile, files[k], "-t", "5")
}

// Join puts the tiles of a view together and makes its final picture.
func (j *Job) Join(ctx context.Context, tiles string, view int) error {
	h, err := j.handed()
	if err != nil {
		return err
	}
	p, list, files, err := h.view(view, tiles)
	if err != nil {
		return err
	}
	r := j.runner(j.parts())
	base := filepath.Join("..", h.Name+"_"+h.Views[view])
	raw := base + "_raw.hdr"
	if err := r.JoinTiles(ctx, p, list, files, raw); err != nil {
		return err
	}
	if err := r.Filter(ctx, p, raw, base+".hdr"); err != nil {
		return err
	}
	if !p.Raw {
		return os.Remove(filepath.Join(j.parts(), raw))
	}
	return nil
}

// piece is the file with one piece of a measuring field.
func piece(n int, ending string) string { return "piece_" + strconv.Itoa(n) + ending }

// Range is which of n sensors, from 0, are in a piece: from, and up to but not
// including to.
func Range(n, pieces, k int) (from, to int) { return k * n / pieces, (k + 1) * n / pieces }

// Trace computes a piece of the sensors.
func (j *Job) Trace(ctx context.Context, points string, pieces, k int) error {
	h, err := j.handed()
	if err != nil {
		return err
	}
	all, err := readSensors(points)
	if err != nil {
		return jobFaultf("%v", err)
	}
	lines := all.lines
	from, to := Range(len(lines), pieces, k)
	if k < 0 || k >= pieces || from == to {
		return jobFaultf("piece %d of %d has no sensor", k, pieces)
	}
	part := filepath.Join(j.parts(), piece(k, ".pts"))
	if err := os.WriteFile(part, []byte(strings.Join(lines[from:to], "\n")+"\n"), 0o644); err != nil {
		return writeFault("the sensors", err)
	}
	defer os.Remove(part)
	return j.runner(j.parts()).Trace(ctx, h.Trace, octreeFile, piece(k, ".pts"), piece(k, ".res"))
}

func readPoints(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, jobFaultf("read the sensors: %v", err)
	}
	defer f.Close()
	var lines []string
	if _, err := CheckPoints(f, func(line string) error { lines = append(lines, line); return nil }); err != nil {
		return nil, jobFaultf("%s: %v", filepath.Base(file), err)
	}
	return lines, nil
}

// Gather puts the pieces together: one line for each sensor, in their order, in
// a file for each grid. What tells of a folder of grids goes with them.
func (j *Job) Gather(points string, pieces int) error {
	all, err := readSensors(points)
	if err != nil {
		return jobFaultf("%v", err)
	}
	temp := filepath.Join(j.parts(), "gathered")
	defer os.Remove(temp)
	if err := j.gatherAll(temp, len(all.lines), pieces); err != nil {
		return err
	}
	if err := CheckGrid(temp, len(all.lines)); err != nil {
		return err
	}
	if err := j.deal(temp, all); err != nil {
		return writeFault("the values", err)
	}
	for _, file := range all.files {
		if filepath.Ext(file) != ".json" {
			continue
		}
		if err := copyWhole(file, filepath.Join(j.Output, filepath.Base(file))); err != nil {
			return writeFault(filepath.Base(file), err)
		}
	}
	return nil
}

func (j *Job) gatherAll(to string, sensors, pieces int) error {
	f, err := os.Create(to)
	if err != nil {
		return writeFault("the values", err)
	}
	w := bufio.NewWriter(f)
	for k := range pieces {
		from, to := Range(sensors, pieces, k)
		path := filepath.Join(j.parts(), piece(k, ".res"))
		if err = CheckGrid(path, to-from); err == nil {
			err = appendFile(w, path)
		}
		if err != nil {
			f.Close()
			return fmt.Errorf("piece %d: %w", k, err)
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return writeFault("the values", err)
	}
	return nil
}

// deal gives each grid its lines, under its name.
func (j *Job) deal(from string, all *sensors) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	lines := bufio.NewReader(in)
	for i, at := 0, 0; i < len(all.names); i++ {
		path := filepath.Join(j.Output, filepath.FromSlash(all.names[i])+".res")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		var text bytes.Buffer
		for ; at < all.ends[i]; at++ {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return err
			}
			text.Write(line)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func appendFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
