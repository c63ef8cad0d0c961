package radiance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"drover.farm/internal/renderer"
)

// Recipe is how an octree is made of a variable file.
type Recipe struct {
	Rif   *Rif
	Other []string // scene files in the place of the rif's, for a variation without any
	// Frozen octrees hold their scene: they can be used elsewhere.
	Frozen bool
	// Illum computes illum sources by mkillum, if the variables name any.
	Illum bool
	Begin func(stage string) // told "oconv" and "mkillum"
}

// oconvOptions are the options of oconv(1) that may come from outside, with how
// many words follow each.
var oconvOptions = map[string]int{"-n": 1, "-r": 1, "-b": 4, "-w": 0}

// MakeOctree makes the octree name in the runner's folder (rad(1), "oconv",
// "illum"). It gets its name only when it is whole. oconv ends with success
// although a scene's command failed or gave nothing; such warnings fail it here.
func (r *Runner) MakeOctree(ctx context.Context, rc Recipe, name string) error {
	options := Split(rc.Rif.Value("oconv"))
	if err := checkWords("oconv", options, oconvOptions); err != nil {
		return err
	}
	scene := append(rc.Rif.Files("materials", "scene"), rc.Other...)
	base := rc.Rif.Value("OCTREE") // an octree that is there, when nothing else is named
	illum := rc.Rif.Files("illum")
	if len(scene)+len(illum) == 0 {
		return jobFaultf("the variables name no scene (OCTREE is %.60q)", base)
	}
	rc.begin("oconv")
	args := options
	if rc.Frozen {
		args = append(args, "-f")
	}
	if len(illum) > 0 && rc.Illum {
		made, err := r.illums(ctx, rc, options, scene, illum, name)
		if err != nil {
			return err
		}
		defer os.Remove(filepath.Join(r.Dir, made))
		rc.begin("oconv")
		return r.oconv(ctx, append(append(args, "-f"), append(scene, made)...), name)
	}
	return r.oconv(ctx, append(args, append(scene, illum...)...), name)
}

func (rc *Recipe) begin(stage string) {
	if rc.Begin != nil {
		rc.Begin(stage)
	}
}

func checkWords(program string, args []string, allowed map[string]int) error {
	for i := 0; i < len(args); {
		n, ok := allowed[args[i]]
		if !ok || i+n >= len(args) && n > 0 {
			return jobFaultf("the option %.40q of %s is not allowed", args[i], program)
		}
		i += 1 + n
	}
	return nil
}

// illums computes the light that comes out of illum surfaces and returns the
// file with them.
func (r *Runner) illums(ctx context.Context, rc Recipe, options, scene, illum []string, name string) (string, error) {
	first, made := name+".illum.oct", name+".illum.rad"
	defer os.Remove(filepath.Join(r.Dir, first))
	if err := r.oconv(ctx, append(options, append(scene, illum...)...), first); err != nil {
		return "", err
	}
	args := Split(rc.Rif.Value("mkillum"))
	if err := CheckOptions("rtrace", Without(args, "-n")); err != nil {
		return "", jobFaultf("mkillum: %v", err)
	}
	rc.begin("mkillum")
	in, closeIn, err := r.open(illum)
	if err != nil {
		return "", jobFaultf("read the illum surfaces: %v", err)
	}
	defer closeIn()
	_, err = r.toFile(ctx, Step{Program: "mkillum", Args: append(args, first), In: in}, made, notEmpty)
	return made, err
}

// open reads files of the folder one after the other.
func (r *Runner) open(names []string) (io.Reader, func(), error) {
	var readers []io.Reader
	var files []*os.File
	done := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, n := range names {
		f, err := os.Open(filepath.Join(r.Dir, n))
		if err != nil {
			done()
			return nil, nil, err
		}
		files, readers = append(files, f), append(readers, f)
	}
	return io.MultiReader(readers...), done, nil
}

func notEmpty(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() == 0 {
		return jobFaultf("mkillum ended with success and put out nothing")
	}
	return err
}

// left are warnings of oconv after which the octree lacks a part of the scene.
var left = []string{"empty file", "bad status"}

func (r *Runner) oconv(ctx context.Context, args []string, name string) error {
	var incomplete string
	warnings, err := r.toFile(ctx, Step{Program: "oconv", Args: args}, name, func(path string) error { return CheckOctree(path) })
	for _, w := range warnings {
		for _, l := range left {
			if strings.Contains(w, l) && incomplete == "" {
				incomplete = w
			}
		}
	}
	if err == nil && incomplete != "" {
		os.Remove(filepath.Join(r.Dir, name))
		return jobFaultf("a part of the scene is missing in the octree: %s", incomplete)
	}
	return err
}

// CheckOctree sees that a file is an octree with something behind its header.
func CheckOctree(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("read the octree: %v", err), Err: err}
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 64<<10)
	format := false
	for n := 0; n < 10_000; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if line = strings.TrimSpace(line); line == "FORMAT=Radiance_octree" {
			format = true
		}
		if line == "" && format {
			if rest, _ := lines.Peek(16); len(rest) == 16 {
				return nil
			}
			return jobFaultf("oconv left an octree of nothing but its header")
		}
	}
	return jobFaultf("oconv left a file that is no octree")
}
