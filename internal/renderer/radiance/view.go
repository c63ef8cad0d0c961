package radiance

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// View is a view's kind and size; the rest of it stays as it was written
// (rpict(1), "-vt" and what follows).
type View struct {
	Kind        byte     // v l a h c s
	Horiz, Vert float64  // degrees, or lengths for l
	Shift, Lift float64  // in whole pictures
	Position    []string // the options of where it is, and of clipping
}

// stdView is where Radiance begins.
func stdView() View { return View{Kind: 'v', Horiz: 45, Vert: 45} }

// ParseView takes the view out of rpict's options: those that follow count over
// those before, files of -vf are read in dir. rest are the other options.
func ParseView(dir string, args []string) (v View, rest []string, err error) {
	v = stdView()
	rest, err = v.scan(dir, args)
	return v, rest, err
}

func (v *View) scan(dir string, args []string) (rest []string, err error) {
	for i := 0; i < len(args); {
		o, n := known[args[i]], 1
		if args[i] == "-vf" {
			if i+1 == len(args) {
				return nil, fmt.Errorf("-vf takes a file")
			}
			if err := v.file(dir, args[i+1]); err != nil {
				return nil, err
			}
			i += 2
			continue
		}
		if n += o.numbers; o.word || ofFiles[args[i]] {
			n = 2
		}
		n = min(n, len(args)-i)
		if !strings.HasPrefix(args[i], "-v") {
			rest = append(rest, args[i:i+n]...)
		} else if err := v.set(args[i : i+n]); err != nil {
			return nil, err
		}
		i += n
	}
	return rest, nil
}

// set takes one option of a view.
func (v *View) set(words []string) error {
	name := words[0]
	if _, ok := known[name]; !ok {
		return fmt.Errorf("%.40q is no option of a view", name)
	}
	if strings.HasPrefix(name, "-vt") {
		v.Kind = name[3]
		return nil
	}
	to := map[string]*float64{"-vh": &v.Horiz, "-vv": &v.Vert, "-vs": &v.Shift, "-vl": &v.Lift}[name]
	if to == nil {
		v.Position = append(Without(v.Position, name), words...)
		return nil
	}
	if len(words) < 2 {
		return fmt.Errorf("%s takes a number", name)
	}
	x, err := strconv.ParseFloat(words[1], 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("%s takes a number, and %.40q is none", name, words[1])
	}
	*to = x
	return nil
}

// viewLines begin the lines of a file that hold a view.
var viewLines = []string{"VIEW=", "rvu ", "rview ", "rpict ", "rpiece ", "pinterp "}

// file reads a view file: its lines count one after the other. Only options of
// views are read from them.
func (v *View) file(dir, name string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("the view file %.80q lies outside the project", name)
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("read the view file: %w", err)
	}
	defer f.Close()
	found := false
	lines := bufio.NewScanner(io.LimitReader(f, maxRif))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		for _, begin := range viewLines {
			words, ok := strings.CutPrefix(line, begin)
			if !ok {
				continue
			}
			found = true
			for words := Split(words); len(words) > 0; {
				n := min(1+known[words[0]].numbers, len(words))
				if strings.HasPrefix(words[0], "-v") && words[0] != "-vf" {
					if err := v.set(words[:n]); err != nil {
						return fmt.Errorf("view file %s: %w", name, err)
					}
				}
				words = words[n:]
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the view file %s: %w", name, err)
	}
	if !found {
		return fmt.Errorf("the view file %s has no line with a view", name)
	}
	return nil
}

// Args are rpict's options for the view.
func (v View) Args() []string {
	return append([]string{"-vt" + string(v.Kind)}, append(append([]string(nil), v.Position...),
		"-vh", exact(v.Horiz), "-vv", exact(v.Vert), "-vs", exact(v.Shift), "-vl", exact(v.Lift))...)
}

func exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// aspect is height over width of the view's rectangle.
func (v View) aspect() float64 { return extent(v.Kind, v.Vert, true) / extent(v.Kind, v.Horiz, false) }

// extent is the size of a view's rectangle for an angle or a length. Each kind
// of view projects in its own way.
func extent(kind byte, size float64, vertical bool) float64 {
	a := size * math.Pi / 180
	switch {
	case kind == 'v', kind == 'c' && vertical:
		return 2 * math.Tan(a/2)
	case kind == 'h':
		return 2 * math.Sin(a/2)
	case kind == 's':
		return 4 * math.Tan(a/4)
	case kind == 'l':
		return size
	}
	return a
}

// sizeOf is the inverse of extent.
func sizeOf(kind byte, extent float64, vertical bool) float64 {
	const deg = 180 / math.Pi
	switch {
	case kind == 'v', kind == 'c' && vertical:
		return 2 * math.Atan(extent/2) * deg
	case kind == 'h':
		return 2 * math.Asin(min(1, extent/2)) * deg
	case kind == 's':
		return 4 * math.Atan(extent/4) * deg
	case kind == 'l':
		return extent
	}
	return extent * deg
}

// Resolution is the size that rpict gives a picture of the view when it is asked
// for at most x by y pixels of the given aspect; 0 keeps x and y (rpict(1), -pa).
func (v View) Resolution(x, y int, pixelAspect float64) (int, int) {
	va := v.aspect()
	switch {
	case pixelAspect <= 1e-6:
	case va*float64(x) > pixelAspect*float64(y):
		x = int(float64(y)/va*pixelAspect + .5)
	default:
		y = int(float64(x)*va/pixelAspect + .5)
	}
	return max(x, 1), max(y, 1)
}

// Tile is a rectangle of a picture in pixels, from the lower left.
type Tile struct{ X, Y, Width, Height int }

// Tiles cuts a picture into columns by rows, from the lower left, row by row.
// Sizes differ by at most a pixel. There are never more than pixels.
func Tiles(width, height, columns, rows int) []Tile {
	columns, rows = min(max(1, columns), width), min(max(1, rows), height)
	var out []Tile
	for r := range rows {
		for c := range columns {
			x0, x1 := c*width/columns, (c+1)*width/columns
			y0, y1 := r*height/rows, (r+1)*height/rows
			out = append(out, Tile{x0, y0, x1 - x0, y1 - y0})
		}
	}
	return out
}

// Tile is the view of a part of a picture of width by height pixels.
func (v View) Tile(width, height int, t Tile) View {
	part := v
	part.Horiz = sizeOf(v.Kind, extent(v.Kind, v.Horiz, false)*float64(t.Width)/float64(width), false)
	part.Vert = sizeOf(v.Kind, extent(v.Kind, v.Vert, true)*float64(t.Height)/float64(height), true)
	part.Shift = (v.Shift*float64(width) + float64(t.X) + float64(t.Width)/2 - float64(width)/2) / float64(t.Width)
	part.Lift = (v.Lift*float64(height) + float64(t.Y) + float64(t.Height)/2 - float64(height)/2) / float64(t.Height)
	return part
}
