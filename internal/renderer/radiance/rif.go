package radiance

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a variable file.
const (
	maxRif     = 1 << 20
	maxRifLine = 64 << 10
	maxViews   = 10_000
)

// variables are those of rad(1), each with the fewest letters that name it.
var variables = map[string]int{
	"AMBFILE": 3, "DETAIL": 3, "EXPOSURE": 3, "EYESEP": 3, "illum": 3, "INDIRECT": 3, "materials": 3, "mkillum": 3, "mkpmap": 3,
	"objects": 3, "oconv": 3, "OCTREE": 3, "OPTFILE": 3, "pcmap": 2, "PENUMBRAS": 3, "pfilt": 2, "pgmap": 2, "PICTURE": 3,
	"QUALITY": 3, "RAWFILE": 3, "render": 3, "REPORT": 3, "RESOLUTION": 3, "rpict": 3, "rvu": 3, "rview": 2, "scene": 3,
	"UP": 2, "VARIABILITY": 3, "view": 2, "ZFILE": 2, "ZONE": 2,
}

// Rif is a variable file of rad(1).
type Rif struct {
	Views []NamedView
	vars  map[string][]string
}

// NamedView is a view of a variable file. One without a name has its number.
type NamedView struct {
	Name string
	Spec string // what follows the name
}

// Value is the value of a variable, all of its lines together; "" if it is not
// set.
func (r *Rif) Value(name string) string { return strings.Join(r.vars[name], " ") }

// Files are the files that variables name, in their order.
func (r *Rif) Files(names ...string) []string {
	var out []string
	for _, n := range names {
		out = append(out, strings.Fields(r.Value(n))...)
	}
	return out
}

// View reports whether there is a view of a name.
func (r *Rif) View(name string) bool {
	for _, v := range r.Views {
		if v.Name == name {
			return true
		}
	}
	return false
}

// Alone writes a variable file with the variables of this one and a single view,
// or none. scene names the scene if there is none yet; options are added to those
// of rpict. Without illum, illum surfaces are ordinary ones.
func (r *Rif) Alone(view *NamedView, scene []string, options string, illum bool) string {
	vars := maps.Clone(r.vars)
	if len(scene) > 0 {
		vars["scene"] = scene
	}
	if !illum {
		vars["scene"] = slices.Concat(vars["scene"], vars["illum"])
		delete(vars, "illum")
	}
	if options != "" {
		vars["rpict"] = append(slices.Clone(vars["rpict"]), options)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		for _, v := range vars[name] {
			fmt.Fprintf(&b, "%s= %s\n", name, v)
		}
	}
	if view != nil {
		fmt.Fprintf(&b, "view= %s %s\n", view.Name, view.Spec)
	}
	return b.String()
}

// ReadRif reads a variable file. Errors name the line.
func ReadRif(path string) (*Rif, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	defer f.Close()
	r, err := parseRif(io.LimitReader(f, maxRif))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func parseRif(from io.Reader) (*Rif, error) {
	r := &Rif{vars: map[string][]string{}}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxRifLine)
	text := ""
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line, more := strings.CutSuffix(strings.TrimRight(line, " \t\r"), `\`)
		if text += line + " "; more {
			continue
		}
		if err := r.line(strings.TrimSpace(text)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		text = ""
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if strings.TrimSpace(text) != "" {
		return nil, fmt.Errorf("the last line is continued, and nothing follows")
	}
	return r, nil
}

func (r *Rif) line(text string) error {
	if text == "" {
		return nil
	}
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%.60q is not VARIABLE= VALUE", text)
	}
	full := variable(strings.TrimSpace(name))
	if full == "" {
		return fmt.Errorf("rad has no variable %.40q", strings.TrimSpace(name))
	}
	value = strings.Join(strings.Fields(value), " ")
	if full != "view" {
		r.vars[full] = append(r.vars[full], value)
		return nil
	}
	if len(r.Views) == maxViews {
		return fmt.Errorf("there are more than %d views", maxViews)
	}
	v := NamedView{Name: strconv.Itoa(len(r.Views) + 1), Spec: value}
	if value != "" && value[0] != '-' {
		v.Name, v.Spec, _ = strings.Cut(value, " ")
	}
	r.Views = append(r.Views, v)
	return nil
}

// variable completes the name of a variable, which may be cut and in any case.
func variable(name string) string {
	for full, least := range variables {
		if len(name) >= least && len(name) <= len(full) && strings.EqualFold(full[:len(name)], name) {
			return full
		}
	}
	return ""
}

// CheckName sees that the name of a variation, a view or a measuring field is a
// single file name and no option.
func CheckName(what, name string) error {
	ok := name != "" && len(name) <= 100 && name[0] != '-' && name[0] != '.'
	for _, c := range name {
		ok = ok && (c == '_' || c == '-' || c == '.' || c == '+' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 && c != 0xFFFD)
	}
	if !ok {
		return fmt.Errorf("%.60q is no name of a %s: use letters, digits, and _ - . + within it", name, what)
	}
	return nil
}
