package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"drover.farm/internal/renderer/radiance"
)

// Farm is where simulations are rendered instead of on this host. Errors of its
// methods are for people. It is safe for concurrent use.
type Farm interface {
	// Hand gives a simulation to the farm and returns the number of its job. With
	// again set, a job of that name which the farm has already is taken.
	Hand(ctx context.Context, h Handover, again bool) (job int64, err error)
	// Follow tells how far a job is until it is done; a job that ends otherwise
	// is an error.
	Follow(ctx context.Context, job int64, tell func(percent float64, message string)) error
	// Fetch writes what a job has put out to a folder.
	Fetch(ctx context.Context, job int64, dir string) error
	Pause(ctx context.Context, job int64) error
	Resume(ctx context.Context, job int64) error
	Cancel(ctx context.Context, job int64, reason string) error
}

// FarmAt says which farm, and how finely simulations are cut for it.
type FarmAt struct {
	URL, TokenFile, CAFile string
	Tiles                  string // of pictures, COLUMNSxROWS
	Pieces                 int    // of measuring fields
}

// Handover is a simulation for the farm: a variable file of one view, or of a
// measuring field.
type Handover struct {
	Name     string // of the job, which no other simulation has
	Rif      string // the variable file, in the project's folder
	Points   string // the measuring field; "" for a picture
	Trace    string // rtrace's options
	HasTrace bool   // they count also when they are empty
}

// onFarm has the farm render the simulation. The result and its name are those
// of one that was rendered here.
func (c *control) onFarm(ctx context.Context) error {
	rif, err := radiance.ReadRif(filepath.Join(c.j.dir, c.j.Variation+".rif"))
	if err != nil {
		return err
	}
	c.rif = rif
	if c.j.Farm == 0 {
		if err := c.hand(ctx); err != nil {
			return err
		}
	}
	c.update(func(j *Job) { j.Stage, j.Message = Render, fmt.Sprintf("job %d of the farm", j.Farm) })
	err = c.farm.Follow(ctx, c.j.Farm, func(percent float64, message string) {
		c.update(func(j *Job) {
			j.Percent, j.Message = percent, strings.TrimSuffix(fmt.Sprintf("job %d of the farm: %s", j.Farm, message), ": ")
		})
	})
	if err != nil {
		return err
	}
	return c.takeHome(ctx)
}

// hand writes a variable file of what is wanted alone, gives it to the farm with
// all that it names, and removes it.
func (c *control) hand(ctx context.Context) error {
	if err := c.permitFarm(ctx); err != nil {
		return err
	}
	text, err := c.alone()
	if err != nil {
		return err
	}
	file := filepath.Join(c.j.dir, c.farmName()+".rif")
	os.Remove(file) // of one that was killed meanwhile
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("write the variables for the farm: %w", err)
	}
	defer os.Remove(file)
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the variables for the farm: %w", err)
	}
	h := Handover{Name: c.j.ID, Rif: file}
	if c.j.Type == Numeric {
		h.Points, h.Trace = filepath.Join(c.j.dir, pointsFile(c.j.Name)), strings.Join(c.j.Options, " ")
		if h.HasTrace = len(c.j.Options) > 0; h.HasTrace {
			h.Trace = strings.Join(append(radiance.ForTrace(radiance.Split(c.rif.Value("render"))), c.j.Options...), " ")
		}
	}
	job, err := c.farm.Hand(ctx, h, c.j.Revivals > 0)
	if err != nil {
		return fmt.Errorf("hand the simulation to the farm: %w", err)
	}
	c.update(func(j *Job) { j.Farm = job })
	return c.lost
}

// permitFarm refuses scenes with files that lie outside of the location.
func (c *control) permitFarm(ctx context.Context) error {
	in, err := radiance.FindInputs(ctx, c.j.dir, c.j.Variation+".rif", c.rif, c.scene()...)
	if err != nil {
		return err
	}
	in.Commands = nil // workers run them, not this host
	return c.permit(in)
}

// scene is the scene of a variation whose variable file names none.
func (c *control) scene() []string {
	if len(c.rif.Files("materials", "scene")) > 0 {
		return nil
	}
	return []string{c.j.Variation + ".rad"}
}

// farmName names the variable file for the farm, and by it the results: as the
// simulation, without its view, since names of results have that too.
func (c *control) farmName() string {
	return "farm-" + c.j.ID[strings.LastIndexByte(c.j.ID, '.')+1:]
}

// alone is the variable file of this simulation alone.
func (c *control) alone() (string, error) {
	var view *radiance.NamedView
	options := ""
	if c.j.Type == Image {
		spec := []string{"-vf", filepath.ToSlash(viewFile(c.j.Name))}
		for _, v := range c.rif.Views {
			if v.Name == c.j.Name {
				spec = radiance.Split(v.Spec)
			}
		}
		v, _, err := radiance.ParseView(c.j.dir, spec)
		if err != nil {
			return "", fmt.Errorf("the view %s: %w", c.j.Name, err)
		}
		view = &radiance.NamedView{Name: c.j.Name, Spec: strings.Join(v.Args(), " ")}
		options = strings.Join(c.j.Options, " ")
	}
	return c.rif.Alone(view, c.scene(), options, c.j.Mkillum), nil
}

// takeHome fetches the results to their places. They are whole: the farm has
// checked them, and they arrive under other names.
func (c *control) takeHome(ctx context.Context) error {
	dir := filepath.Join(c.j.dir, "proc", "."+c.j.ID+".farm")
	defer os.RemoveAll(dir)
	if err := c.farm.Fetch(ctx, c.j.Farm, dir); err != nil {
		return fmt.Errorf("fetch the results of job %d of the farm: %w", c.j.Farm, err)
	}
	places := map[string]string{
		c.farmName() + "_" + c.j.Name + "_raw.hdr": c.j.result() + "_raw.pic",
		c.farmName() + "_" + c.j.Name + ".hdr":     c.j.result() + ".pic",
	}
	main := c.j.result() + ".pic"
	if c.j.Type == Numeric {
		main = c.j.result() + ".res"
		places = map[string]string{c.j.Name + ".res": main}
	}
	if err := noLinks(c.j.dir, main, c.j.result()+"_raw.pic"); err != nil {
		return err
	}
	for from, to := range places {
		err := os.Rename(filepath.Join(dir, from), filepath.Join(c.j.dir, to))
		if err != nil && (to == main || !errors.Is(err, os.ErrNotExist)) {
			return fmt.Errorf("job %d of the farm put out no %s: %w", c.j.Farm, from, cause(err))
		}
	}
	os.Remove(filepath.Join(c.j.dir, c.j.result()+".unf")) // of a render here
	return nil
}

// steer pauses or resumes the farm's job of a simulation.
func (m *Manager) steer(ctx context.Context, id string, from, to State, act func(context.Context, int64) error) (Job, error) {
	j, err := m.Job(ctx, id)
	switch {
	case err != nil:
		return Job{}, err
	case j.State != from:
		return j, faultf(Conflict, "%s is %s, not %s", id, j.State, from)
	case j.Farm == 0:
		return j, faultf(Conflict, "%s is still being handed to the farm; try again in a moment", id)
	}
	if err := act(ctx, j.Farm); err != nil {
		return j, faultf(Conflict, "job %d of the farm: %v", j.Farm, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.jobs[id]
	if now == nil {
		return j, faultf(NotFound, "there is no simulation %.100q", id)
	}
	if now.State.Live() {
		m.set(now, to, fmt.Sprintf("job %d of the farm", now.Farm))
	}
	return *now, nil
}

// recall cancels the farm's job of a simulation that was ended.
func (m *Manager) recall(ctx context.Context, id string, job int64) {
	err := m.cfg.Farm.Cancel(ctx, job, "the simulation "+id+" was ended")
	if err == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if j := m.jobs[id]; j != nil && !j.State.Live() {
		m.set(j, j.State, fmt.Sprintf("job %d of the farm goes on: %v", job, err))
	}
}

// room is how many more simulations may be started: as there are CPUs here, or as
// many as are followed on a farm at once.
func (m *Manager) room() int {
	if m.cfg.Farm != nil {
		return cmp.Or(m.cfg.FarmAtOnce, m.cfg.Hosts.CPUs())
	}
	return m.cfg.Hosts.CPUs()
}
