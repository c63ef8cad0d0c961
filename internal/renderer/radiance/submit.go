package radiance

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed pictures.yaml
var picturesTemplate string

//go:embed grid.yaml
var gridTemplate string

// maxTiles bounds the columns and the rows of tiles.
const maxTiles = 64

// Plan is a job of the farm.
type Plan struct {
	Template   string
	Parameters map[string]string
	Roots      []string
	OutputDir  string
	Inputs     []string // absolute paths
	Notes      []string
}

// PlanOptions say what of a variable file is computed.
type PlanOptions struct {
	JobName   string
	OutputDir string
	Tiles     string // of pictures, as COLUMNSxROWS; "" for 1x1
	Points    string // file with sensors, or folder of grids; "" for pictures of all views
	Trace     string // rtrace's options
	HasTrace  bool   // they count also when they are empty
	Pieces    int    // of the sensors
	// Foreign says that a stranger sent the files: of those elsewhere on this
	// machine it is not even looked whether they are there.
	Foreign bool
}

// NewPlan plans a variable file's pictures or measuring field. Everything that
// can be seen to be wrong is an error here rather than on a worker.
func NewPlan(ctx context.Context, file string, o PlanOptions) (*Plan, error) {
	rif, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	vars, err := ReadRif(rif)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(rif)
	if err := CheckName("variable file", strings.TrimSuffix(filepath.Base(rif), filepath.Ext(rif))); err != nil {
		return nil, err
	}
	p := &Plan{Roots: []string{dir}, OutputDir: o.OutputDir}
	if err := p.inputs(ctx, dir, filepath.Base(rif), vars, o.Foreign); err != nil {
		return nil, err
	}
	name := o.JobName
	if name == "" {
		name = filepath.Base(rif)
	}
	p.Parameters = map[string]string{"JobName": name, "Rif": rif, "OutputDir": o.OutputDir}
	if o.Points != "" {
		return p, p.grid(o)
	}
	return p, p.pictures(vars, o)
}

func (p *Plan) inputs(ctx context.Context, dir, rif string, vars *Rif, foreign bool) error {
	in, err := findInputs(ctx, dir, rif, vars, foreign)
	if err != nil {
		return err
	}
	if len(in.Missing) > 0 {
		return fmt.Errorf("%s names files that are not there: %s", rif, strings.Join(in.Missing, ", "))
	}
	if len(in.Outside) > 0 {
		return fmt.Errorf("the scene names files outside of its folder, which workers do not have: %s; put them into %s and name them from there", strings.Join(in.Outside[:min(5, len(in.Outside))], ", "), dir)
	}
	for _, f := range in.Files {
		p.Inputs = append(p.Inputs, filepath.Join(dir, filepath.FromSlash(f)))
	}
	for _, c := range in.Commands {
		p.Notes = append(p.Notes, "the scene runs a command on the worker: "+c)
	}
	return nil
}

func (p *Plan) pictures(vars *Rif, o PlanOptions) error {
	if len(vars.Views) == 0 {
		return errors.New("the variable file has no view; with --grid it needs none")
	}
	var names []string
	for _, v := range vars.Views {
		if err := CheckName("view", v.Name); err != nil {
			return err
		}
		if slices.Contains(names, v.Name) {
			return fmt.Errorf("there are two views %q", v.Name)
		}
		names = append(names, v.Name)
	}
	tiles := o.Tiles
	if tiles == "" {
		tiles = "1x1"
	}
	columns, rows, err := ParseTiles(tiles)
	if err != nil {
		return err
	}
	p.Template = picturesTemplate
	p.Parameters["Tiles"] = tiles
	p.Parameters["LastPart"] = strconv.Itoa(len(vars.Views)*columns*rows - 1)
	p.Parameters["LastView"] = strconv.Itoa(len(vars.Views) - 1)
	return nil
}

// ParseTiles reads COLUMNSxROWS.
func ParseTiles(text string) (columns, rows int, err error) {
	c, r, _ := strings.Cut(text, "x")
	columns, err1 := strconv.Atoi(c)
	rows, err2 := strconv.Atoi(r)
	if err1 != nil || err2 != nil || columns < 1 || rows < 1 || columns > maxTiles || rows > maxTiles {
		return 0, 0, fmt.Errorf("%.40q is not columns and rows of tiles, such as 2x2, up to %d each", text, maxTiles)
	}
	return columns, rows, nil
}

func (p *Plan) grid(o PlanOptions) error {
	points, err := filepath.Abs(o.Points)
	if err != nil {
		return err
	}
	info, err := os.Stat(points)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s", o.Points)
	} else if err != nil {
		return err
	}
	if info.IsDir() {
		points = filepath.Join(points, gridsInfo)
	}
	all, err := readSensors(points)
	if err != nil {
		return err
	}
	n := len(all.lines)
	if n == 0 {
		return fmt.Errorf("%s lists no grids", points)
	}
	if err := CheckOptions("rtrace", Split(o.Trace)); err != nil {
		return err
	}
	if dir := filepath.Dir(points); !slices.Contains(p.Roots, dir) {
		p.Roots = append(p.Roots, dir)
	}
	pieces := min(max(1, o.Pieces), n)
	if o.Pieces > n {
		p.Notes = append(p.Notes, fmt.Sprintf("there are %d sensors, so they are cut into %d pieces", n, n))
	}
	p.Inputs = append(p.Inputs, all.files...)
	p.Template = gridTemplate
	p.Parameters["Points"] = points
	p.Parameters["Pieces"] = strconv.Itoa(pieces)
	p.Parameters["LastPiece"] = strconv.Itoa(pieces - 1)
	if p.Parameters["Trace"] = o.Trace; o.HasTrace && o.Trace == "" {
		p.Parameters["Trace"] = "-I"
	}
	return nil
}
