package radiance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Picture is how rad would make the picture of a view.
type Picture struct {
	Render        []string // rpict's options but for the view, the size, files and reports
	View          View
	Width, Height int      // as rpict makes it
	Filter        []string // pfilt's options
	Raw           bool     // the variable RAWFILE asks for the unfiltered picture too
}

// Args are rpict's options for the whole picture.
func (p *Picture) Args() []string { return p.tileArgs(p.View, p.Width, p.Height) }

// TileArgs are rpict's options for a part of it.
func (p *Picture) TileArgs(t Tile) []string {
	return p.tileArgs(p.View.Tile(p.Width, p.Height, t), t.Width, t.Height)
}

func (p *Picture) tileArgs(v View, w, h int) []string {
	args := append(v.Args(), p.Render...)
	return append(args, "-x", strconv.Itoa(w), "-y", strconv.Itoa(h), "-pa", "0")
}

// planned are the variables by which rad chooses options. All others are about
// files, which are chosen here, or about programs, which are never.
var planned = []string{"QUALITY", "DETAIL", "PENUMBRAS", "INDIRECT", "VARIABILITY", "RESOLUTION", "ZONE", "EXPOSURE", "UP", "render", "pfilt"}

// PlanPicture asks rad what it would do for a view of a variable file, with the
// octree that is there already, and runs none of it. view is a view's name, or
// "-vf FILE". more are further options of rpict, which count over rad's.
func (r *Runner) PlanPicture(ctx context.Context, vars *Rif, view, octree string, more []string) (*Picture, error) {
	dir, err := os.MkdirTemp("", "drover-plan-")
	if err != nil {
		return nil, writeFault("the plan", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "plan.rif")
	if err := os.WriteFile(file, []byte(vars.plan(octree)), 0o600); err != nil {
		return nil, writeFault("the plan", err)
	}
	var out bytes.Buffer
	if _, err := r.Run(ctx, Step{Program: "rad", Args: []string{"-n", "-w", "-v", view, file}, Out: &limited{to: &out, left: maxRif}}); err != nil {
		return nil, err
	}
	p, err := r.parsePlan(out.String(), append(Split(vars.Value("rpict")), more...))
	if err != nil {
		return nil, jobFaultf("plan the view %s: %v", view, err)
	}
	p.Raw = vars.Value("RAWFILE") != ""
	return p, nil
}

// plan is the variable file for rad.
func (r *Rif) plan(octree string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "OCTREE= %s\nPICTURE= picture\nRAWFILE= raw\n", octree)
	for _, name := range planned {
		if v := r.Value(name); v != "" {
			fmt.Fprintf(&b, "%s= %s\n", name, v)
		}
	}
	for _, v := range r.Views {
		fmt.Fprintf(&b, "view= %s %s\n", v.Name, v.Spec)
	}
	return b.String()
}

// parsePlan reads the commands that rad -n prints: one rpict and one pfilt.
func (r *Runner) parsePlan(text string, more []string) (*Picture, error) {
	p := &Picture{}
	for line := range strings.Lines(text) {
		words := redirected(strings.Fields(line))
		if len(words) < 2 {
			continue
		}
		switch filepath.Base(words[0]) {
		case "rpict":
			if err := p.rpict(r.Dir, words[1:len(words)-1], more); err != nil {
				return nil, err
			}
		case "pfilt":
			p.Filter = words[1 : len(words)-1]
			if err := checkFilter(p.Filter); err != nil {
				return nil, err
			}
		}
	}
	if p.Width == 0 || p.Filter == nil {
		return nil, fmt.Errorf("rad would render nothing: there is no such view")
	}
	return p, nil
}

// redirected cuts a redirection off a command.
func redirected(words []string) []string {
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, ">") }); i >= 0 {
		return words[:i]
	}
	return words
}

// rpict takes the options of a picture apart.
func (p *Picture) rpict(dir string, args, more []string) error {
	args = append(slices.Clone(args), more...)
	v, rest, err := ParseView(dir, args)
	if err != nil {
		return err
	}
	rest = Without(rest, "-t", "-e", "-af", "-z", "-w")
	if err := CheckOptions("rpict", rest); err != nil {
		return err
	}
	x, y, aspect := 512.0, 512.0, 1.0
	for i, to := range []*float64{&x, &y, &aspect} {
		name := []string{"-x", "-y", "-pa"}[i]
		if at := lastIndex(rest, name); at >= 0 {
			if *to, err = strconv.ParseFloat(rest[at+1], 64); err != nil {
				return err
			}
		}
	}
	if !(x >= 1 && x <= 1<<16 && y >= 1 && y <= 1<<16) {
		return fmt.Errorf("a picture of %g by %g pixels", x, y)
	}
	p.View, p.Render = v, Without(rest, "-x", "-y", "-pa")
	p.Width, p.Height = v.Resolution(int(x), int(y), aspect)
	return nil
}

func lastIndex(list []string, s string) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == s {
			return i
		}
	}
	return -1
}

// filters are the options of pfilt(1) with how many words follow each. It knows
// no option that writes files.
var filters = map[string]int{
	"-x": 1, "-y": 1, "-p": 1, "-c": 0, "-e": 1, "-er": 1, "-eg": 1, "-eb": 1, "-t": 1, "-f": 1, "-1": 0, "-2": 0, "-b": 0, "-r": 1, "-m": 1,
	"-h": 1, "-n": 1, "-s": 1, "-a": 0,
}

func checkFilter(args []string) error {
	for i := 0; i < len(args); {
		n, ok := filters[args[i]]
		if !ok || i+n >= len(args) && n > 0 || args[i] == "-f" {
			return fmt.Errorf("the option %.40q of pfilt is not allowed", args[i])
		}
		i += 1 + n
	}
	return nil
}

// limited passes on the first bytes that are written to it.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.to.Write(p[:n])
	return len(p), nil
}
