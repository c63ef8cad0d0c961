package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"drover.farm/internal/renderer/radiance"
)

// Spec is what the controlling process of a simulation is told.
type Spec struct {
	Dir, ID   string
	Radiance  string // folder; "" for what is found
	Report    time.Duration
	Revivals  int
	Locations string // the location's folder, which inputs must lie in
	Farm      FarmAt // renders it, unless URL is ""
}

// Control is the controlling process of a simulation: it computes what is
// missing, renders, checks the result and keeps the record; or follows it on farm,
// unless that is nil. The state that the simulation ends in is in the record; the
// error is for the log.
func Control(ctx context.Context, spec Spec, farm Farm) error {
	own := flock.New(filepath.Join(spec.Dir, "proc", spec.ID+".lock"))
	if ok, err := own.TryLock(); err != nil || !ok {
		return err // another process controls it already
	}
	defer own.Unlock()
	j, err := load(spec.Dir, spec.ID)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(logFile(j.dir, j.ID), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	c := &control{spec: spec, j: j, farm: farm}
	if err := os.WriteFile(c.reserve(), make([]byte, maxRecord/16), 0o666); err != nil {
		fmt.Fprintln(log, "warning:", err)
	}
	defer os.Remove(c.reserve())
	c.update(func(j *Job) {
		j.PID, j.Born, j.State, j.Stage, j.Message, j.Started = os.Getpid(), born(os.Getpid()), Running, Octree, "", time.Now()
	})
	if farm != nil {
		err = c.onFarm(ctx)
	} else {
		err = c.run(ctx, log)
	}
	c.update(func(j *Job) {
		j.SubPID = 0
		if err != nil {
			j.State, j.Message = Failed, err.Error()
		} else {
			j.State, j.Percent, j.Message = Finished, 100, ""
		}
	})
	if err != nil {
		fmt.Fprintln(log, "failed:", err)
	}
	return errors.Join(err, c.lost)
}

type control struct {
	spec Spec
	r    *radiance.Runner
	rif  *radiance.Rif
	amb  string            // the ambient file, "" for none
	pic  *radiance.Picture // of an image
	args []string          // rpict's but for view and size, or rtrace's
	farm Farm              // nil to render here

	mu   sync.Mutex
	j    *Job
	lost error // the last record that could not be written
}

// update changes the record. One that cannot be written, on a full disk say, is
// written when there is room, with the next change.
func (c *control) update(change func(*Job)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.j)
	c.j.Updated = time.Now()
	if c.lost = c.j.save(); c.lost != nil {
		os.Remove(c.reserve()) // so that a full disk does not keep what is to be said of it
		c.lost = c.j.save()
	}
}

// reserve is a file whose room is for the record when the disk is full.
func (c *control) reserve() string {
	return filepath.Join(c.spec.Dir, "proc", "."+c.spec.ID+".reserve")
}

func (c *control) run(ctx context.Context, log io.Writer) error {
	tools, err := radiance.Find(c.spec.Radiance)
	if err != nil {
		return err
	}
	c.r = &radiance.Runner{Tools: tools, Dir: c.j.dir, Log: log,
		Started: func(command string, pid int) {
			if len(command) > 2000 {
				command = command[:2000]
			}
			c.update(func(j *Job) { j.Command, j.SubPID = command, pid })
		},
		Report: func(r radiance.Report) { c.update(func(j *Job) { j.Percent = r.Percent }) },
	}
	if c.rif, err = radiance.ReadRif(filepath.Join(c.j.dir, c.j.Variation+".rif")); err != nil {
		return err
	}
	for revived := 0; ; revived++ {
		err := c.once(ctx)
		var killed *radiance.Killed
		if err == nil || !errors.As(err, &killed) || revived >= c.spec.Revivals || ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(log, "taken up again: %v\n", err)
		c.update(func(j *Job) { j.Revivals++; j.Message = "taken up again after " + err.Error() })
	}
}

func (c *control) once(ctx context.Context) error {
	if err := c.precompute(ctx); err != nil {
		return err
	}
	c.update(func(j *Job) { j.Stage = Render })
	if c.j.Type == Numeric {
		return c.trace(ctx)
	}
	return c.picture(ctx)
}

func (c *control) octree() string { return filepath.Join("octrees", c.j.Variation+".oct") }

// precompute makes the octree of the variation if its inputs have changed, and
// the ambient file if there is none, under the variation's lock.
func (c *control) precompute(ctx context.Context) error {
	lock := flock.New(filepath.Join(c.j.dir, "octrees", c.j.Variation+".lock"), flock.SetPermissions(0o666))
	if ok, err := lock.TryLock(); err != nil {
		return fmt.Errorf("lock the variation: %w", err)
	} else if !ok {
		c.update(func(j *Job) { j.State, j.Message = Scheduled, "the octree of the variation is being computed" })
		if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("lock the variation: %w", err)
		}
		c.update(func(j *Job) { j.State, j.Message = Running, "" })
	}
	defer lock.Unlock()
	if err := noLinks(c.j.dir, c.octree(), c.octree()+".part", c.j.result()+".unf", c.j.result()+".pic", c.j.result()+".res"); err != nil {
		return err
	}
	if err := c.makeOctree(ctx); err != nil {
		return err
	}
	if err := c.plan(ctx); err != nil {
		return err
	}
	return c.makeAmbient(ctx)
}

// plan finds the options: rad's for a picture, those of the variable render for
// a measuring field; the simulation's own count over them.
func (c *control) plan(ctx context.Context) (err error) {
	if c.j.Type == Numeric {
		c.args = append(radiance.ForTrace(radiance.Split(c.rif.Value("render"))), c.j.Options...)
		return radiance.CheckOptions("rtrace", c.args)
	}
	view := c.j.Name
	if !c.rif.View(view) {
		view = "-vf " + filepath.ToSlash(viewFile(view))
	}
	if c.pic, err = c.r.PlanPicture(ctx, c.rif, view, c.octree(), c.j.Options); err == nil {
		c.args = c.pic.Render
	}
	return err
}

func (c *control) makeOctree(ctx context.Context) error {
	more := c.scene()
	in, err := radiance.FindInputs(ctx, c.j.dir, c.j.Variation+".rif", c.rif, more...)
	if err != nil {
		return err
	}
	if err := c.permit(in); err != nil {
		return err
	}
	hash, err := in.Hash(c.j.dir, strconv.FormatBool(c.j.Mkillum))
	if err != nil {
		return err
	}
	c.update(func(j *Job) { j.Octree = hash })
	made := filepath.Join(c.j.dir, "octrees", c.j.Variation+".inputs")
	if have, err := os.ReadFile(made); err == nil && strings.TrimSpace(string(have)) == hash && radiance.CheckOctree(filepath.Join(c.j.dir, c.octree())) == nil {
		return nil
	}
	os.Remove(made)
	err = c.r.MakeOctree(ctx, radiance.Recipe{Rif: c.rif, Other: more, Frozen: true, Illum: c.j.Mkillum, Begin: func(stage string) {
		c.update(func(j *Job) {
			if j.Stage = Octree; stage == "mkillum" {
				j.Stage = Illum
			}
		})
	}}, c.octree())
	if err != nil {
		return err
	}
	return os.WriteFile(made, []byte(hash+"\n"), 0o666)
}

// permit refuses what scenes must not do here.
func (c *control) permit(in *radiance.Inputs) error {
	switch {
	case len(in.Missing) > 0:
		return fmt.Errorf("the variation names %s, which is not there", strings.Join(in.Missing, ", "))
	case len(in.Commands) > 0 && isRoot():
		return fmt.Errorf("the scene runs commands (%s), and this server runs as root: start it with -u", in.Commands[0])
	}
	for _, name := range in.Outside {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.j.dir, path)
		}
		if real, err := filepath.EvalSymlinks(path); err != nil || !beneath(c.spec.Locations, real) {
			return fmt.Errorf("the scene names %.100q, which leaves the location", name)
		}
	}
	return nil
}

// makeAmbient creates the ambient file that simulations of the variation share.
// Two processes that create one at the same moment can break one another.
func (c *control) makeAmbient(ctx context.Context) error {
	args, bounces := c.args, "0"
	for i, a := range args {
		if a == "-ab" && i+1 < len(args) {
			bounces = args[i+1]
		}
	}
	if n, err := strconv.ParseFloat(bounces, 64); err != nil || n <= 0 {
		return nil
	}
	name := c.j.Variation + "_" + radiance.AmbientKey(c.j.Octree, args)
	if platform != "posix" {
		name = c.j.ID // without locks it cannot be shared
	}
	c.amb = filepath.Join("ambfiles", name+".amb")
	if err := noLinks(c.j.dir, c.amb); err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Join(c.j.dir, c.amb)); err == nil && info.Size() > 0 {
		return nil
	}
	trace := radiance.Without(radiance.ForTrace(args), "-I", "-I+", "-I-", "-h")
	_, err := c.r.Run(ctx, radiance.Step{Program: "rtrace", Args: append(trace, "-h", "-af", c.amb, c.octree()), In: strings.NewReader("")})
	return err
}
