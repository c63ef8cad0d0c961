package flamenco

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/blender"
)

// What a worker of 2016 puts in the place of these parts of a command.
const (
	hereProgram = "==command=="
	hereJob     = "==jobpath=="
	hereOutput  = "==outputpath=="
)

// target is the worker that a command is made for.
type target struct {
	sys  system
	pull bool // of 2016: it fetches archives and sends files back
	// quick leaves out what could wait for a disk: the dispatcher asks.
	quick bool
}

// program is the Blender of a worker. It is what /settings names, for this is a
// worker of Flamenco.
func (d *Door) program(t target) string {
	if t.pull {
		return hereProgram
	}
	return orText(d.setting("blender_path_"+string(t.sys)), "blender")
}

// compilePost makes the command of a posted task for frames of it. It fails with
// errReach when the worker cannot do it.
func (d *Door) compilePost(p *post, t target, frames []int64, zipped bool) ([]string, error) {
	o, err := p.want()
	if err != nil {
		return nil, err
	}
	if p.Type == typePrint {
		return []string{"echo", o.text}, nil
	}
	file, output := d.shares.on(o.file, t.sys), d.shares.on(o.output, t.sys)
	if t.pull {
		if err := d.lacksProgram(p, t); err != nil {
			return nil, err
		}
	}
	from := outputFolder
	if t.pull && zipped {
		file, output, from = hereJob+"/"+o.filepath, hereOutput, jobFolder
		if stageable(p) {
			output += "/#####"
		}
	}
	if file == "" || output == "" {
		return nil, d.unnamed(p, t)
	}
	first, last := frames[0], frames[len(frames)-1]
	ends := []string{"--frame-start", num(first), "--frame-end", num(last)}
	switch p.Type {
	case typeTile:
		output = join(output, fmt.Sprintf("tiled_%d_", o.tile))
		return args1(d.program(t), "--background", file, "--render-output", output, "--python-exit-code", "1", "--python-expr", tileScript(o.tile, o.tiles), ends,
			"--render-anim", "--enable-autoexec"), nil
	case typeMix:
		return args1(d.program(t), "--background", file, "--render-output", join(output, ""), "--python-exit-code", "1", "--python-expr", mixScript(o.tiles, first, from), ends,
			format(o.format), "--render-anim", "--enable-autoexec"), nil
	}
	script, err := d.settingsScript(o, t)
	if err != nil {
		return nil, err
	}
	if t.pull && zipped {
		return args1(hereProgram, "--enable-autoexec", "-noaudio", "--background", file, "--render-output", output, script, format(o.format), runs(frames)), nil
	}
	if int64(len(frames)) != last-first+1 {
		return args1(d.program(t), "--background", file, "--render-output", output, script, "--enable-autoexec", format(o.format), runs(frames)), nil
	}
	return args1(d.program(t), "--background", file, "--render-output", output, script, ends, format(o.format), "--render-anim", "--enable-autoexec"), nil
}

// unnamed says that a worker finds neither paths nor an archive.
func (d *Door) unnamed(p *post, t target) error {
	if len(p.order.file) == 0 {
		return &errReach{"its files come as an archive, which only workers of 2016 fetch", "start a worker of 2016"}
	}
	return &errReach{fmt.Sprintf("task %d names no scene and output for %s, and no share has them there", p.ID, t.sys),
		fmt.Sprintf("name file_path_%s and output_path_%s in its settings, name a share in flamenco.shares that has them there, or post it with an archive (jobfile) for workers of 2016", t.sys, t.sys)}
}

// settingsScript are the arguments for a task's render settings: the script in
// the folder that /settings names, or what it is known to set.
func (d *Door) settingsScript(o *order, t target) ([]string, error) {
	if o.script == "" {
		return nil, nil
	}
	p, known := d.presets[o.script]
	if dir := d.setting("render_settings_path_" + string(t.sys)); dir != "" && !(known && !t.quick && d.lacks(t.sys, dir, o.script)) {
		return []string{"--python", join(dir, o.script)}, nil
	}
	if known {
		return []string{"--python-expr", sizeScript(p)}, nil
	}
	return nil, &errReach{fmt.Sprintf("the render settings %s are nowhere for %s", o.script, t.sys), fmt.Sprintf("set render_settings_path_%s by POST /settings", t.sys)}
}

// lacks reports whether a script is not in the folder of render settings, as far
// as the farm's own machine sees that.
func (d *Door) lacks(s system, dir, script string) bool {
	local := d.shares.local(paths{s: dir})
	if local == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(local, script))
	return errors.Is(err, fs.ErrNotExist)
}

// compileJob makes the command of frames of a job that came another way: its
// scene lies in the folder in, its pictures go to the folder out.
func (d *Door) compileJob(j *farm.Job, t target, frames []int64, in, out string) []string {
	p := j.Spec.Parameters
	o := overrides{engine: p["Engine"], format: p["Format"], camera: p["Camera"], width: atoi(p["Width"]), height: atoi(p["Height"]), samples: atoi(p["Samples"])}
	autoexec := "--disable-autoexec"
	if p["Autoexec"] == "true" {
		autoexec = "--enable-autoexec"
	}
	var scene []string
	if name := p["SceneName"]; name != "" {
		scene = []string{"--scene", name}
	}
	return args1(d.program(t), "-noaudio", autoexec, "--background", join(in, sceneName(j)), scene, "--render-output", join(out, pattern(j)),
		"--python-exit-code", "1", "--python-expr", o.script(), runs(frames))
}

// pattern is what a job's pictures are called, with # for the frame's number.
func pattern(j *farm.Job) string {
	p := j.Spec.Parameters // of Drover's own template, or of that of strips
	return orText(p["OutputName"], p["Prefix"]+"####")
}

// sceneName is where a job's scene lies below the root that holds its files.
func sceneName(j *farm.Job) string {
	scene := j.Spec.Parameters["Scene"]
	for i := range j.Spec.Files {
		f := &j.Spec.Files[i]
		root := j.Spec.Roots[f.Root]
		sys := linux
		if root.Format == "WINDOWS" {
			sys = win
		}
		if rest, ok := under(sys, scene, root.Path); ok && strings.Join(rest, "/") == f.Name {
			return f.Name
		}
	}
	return ""
}

// isBlender reports whether a job is one of Drover's own Blender template, all
// of whose parameters this door knows to carry out.
func isBlender(s *farm.Spec) bool { return s.Renderer == "blender" && s.Template == blender.Template }

// runs are frames as arguments: stretches as animations, others one by one.
func runs(frames []int64) []string {
	var out []string
	for i := 0; i < len(frames); {
		j := i
		for j+1 < len(frames) && frames[j+1] == frames[j]+1 {
			j++
		}
		if i == j {
			out = append(out, "-f", num(frames[i]))
		} else {
			out = append(out, "--frame-start", num(frames[i]), "--frame-end", num(frames[j]), "--render-anim")
		}
		i = j + 1
	}
	return out
}

func format(f string) []string {
	if f == "" {
		return nil
	}
	return []string{"--render-format", f}
}

// args1 puts texts and lists of texts into one list.
func args1(list ...any) []string {
	var out []string
	for _, a := range list {
		switch a := a.(type) {
		case string:
			out = append(out, a)
		case []string:
			out = append(out, a...)
		}
	}
	return out
}

func join(dir, name string) string { return strings.TrimRight(dir, `/\`) + "/" + name }

func num(n int64) string { return strconv.FormatInt(n, 10) }

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // checked by the job's template
	return n
}

// stem is what the name of a frame's picture begins with.
func stem(pattern string, frame int64) string { return renderer.FrameName(pattern, frame) }
