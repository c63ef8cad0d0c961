package flamenco

import (
	"encoding/json"
	"errors"
	"fmt"

	"drover.farm/internal/farm"
)

// errReach is why a worker cannot be given a job, and what would change that.
type errReach struct{ why, change string }

func (e *errReach) Error() string { return e.why }

// unfit says why a worker cannot do a job, nil when it can. It is quick: the
// dispatcher asks.
func (d *Door) unfit(j *farm.Job, t target) error {
	d.mu.Lock()
	p := d.posts[j.ID]
	d.mu.Unlock()
	if p == nil {
		if !isBlender(&j.Spec) {
			return &errReach{"workers of Flamenco get Blender jobs, and tasks that came through their door", "a worker of another door"}
		}
		if !t.pull && !d.canStage(t.sys) {
			return d.unstaged(t)
		}
		return d.portable(j)
	}
	if child := d.awaited(p); child != 0 {
		return &errReach{fmt.Sprintf("task %d, whose files it needs, has not ended", child), fmt.Sprintf("wait for task %d, or retry it", child)}
	}
	if zipped(j, p) && !t.pull && stageable(p) {
		if c := p.order.command; c != "" {
			return &errReach{fmt.Sprintf("it wants the program %s, which only workers of 2016 know by its name", c), "start a worker of 2016"}
		}
		if _, known := d.presets[p.order.script]; p.order.script != "" && !known {
			return &errReach{fmt.Sprintf("the render settings %s are no preset, and its files come as an archive", p.order.script), "name them in flamenco.presets, or start a worker of 2016"}
		}
		if !d.canStage(t.sys) {
			return d.unstaged(t)
		}
		return nil
	}
	_, err := d.compilePost(p, t, []int64{1}, zipped(j, p))
	return err
}

// zipped reports whether the farm has the files of a posted task, and not only
// their paths.
func zipped(j *farm.Job, p *post) bool { return len(j.Spec.Files) > 0 && len(p.order.file) == 0 }

// stageable reports whether a task of 2016 can be carried out by a worker of
// 2015, for which its files are laid out on a share.
func stageable(p *post) bool { return p.Type != typeTile && p.Type != typeMix }

func (d *Door) unstaged(t target) error {
	return &errReach{fmt.Sprintf("a worker of 2015 finds files on a share alone, and the farm's own machine sees none that %s sees", t.sys),
		fmt.Sprintf("name one in flamenco.shares, with %s= and farm=, or start a worker of 2016 or a native one", t.sys)}
}

// awaited is a task that must end before the post can begin, 0 for none. Servers
// of 2016 give the task that mixes strips while the last strip is rendered.
func (d *Door) awaited(p *post) int64 {
	if p.Type != typeMix {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.posts {
		if o.Child == p.ID {
			return o.ID
		}
	}
	return 0
}

// why is unfit for people. The dispatcher calls it.
func (d *Door) why(j *farm.Job, w *farm.Worker) (why, change string) {
	m := d.member(w.ID)
	if m == nil {
		return "", ""
	}
	err := d.unfit(j, target{sys: m.sys, pull: d.kindOf(m) == pull, quick: true})
	if err == nil {
		return "", ""
	}
	var r *errReach
	if errors.As(err, &r) {
		change = r.change
	}
	return err.Error(), change
}

// lacksProgram says that a worker of 2016 finds no program for a task in the
// task's job type; it would fall over that.
func (d *Door) lacksProgram(p *post, t target) error {
	var v struct {
		Commands map[string]map[string]string `json:"commands"`
	}
	text := d.setting(settingTypes + p.Type)
	name := orText(p.order.command, defaultCommand)
	if text == "" && name == defaultCommand {
		return nil
	}
	platform := map[system]string{linux: "Linux", osx: "Darwin", win: "Windows"}[t.sys]
	if text != "" && json.Unmarshal([]byte(text), &v) == nil && v.Commands[name][platform] != "" {
		return nil
	}
	return &errReach{fmt.Sprintf("the job type %s has no program %s for %s", p.Type, name, platform), fmt.Sprintf("name it by PATCH /job-types/%s", p.Type)}
}
