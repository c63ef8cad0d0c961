package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"drover.farm/openjd"
)

// The variables that mark a session's processes.
const (
	sessionVar = "DROVER_SESSION_ID"
	actionVar  = "DROVER_ACTION_ID"
)

// workVar holds the working directory, for programs that no template tells it.
const workVar = "OPENJD_SESSION_WORKING_DIR"

// maxVariables bounds how many variables an environment may set by its output.
const maxVariables = 4096

// layer is what one environment does to the variables: set, or unset, which wins
// over any set of the same environment (section 4).
type layer struct {
	set   map[string]string
	unset map[string]bool
}

// newLayer resolves the variables that the template gives.
func newLayer(vars []openjd.Variable, symbols openjd.Symbols) (*layer, error) {
	l := &layer{set: map[string]string{}, unset: map[string]bool{}}
	for _, v := range vars {
		value, err := v.Value.Resolve(symbols)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		if strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("variable %s: the value holds a NUL character, which no environment can", v.Name)
		}
		l.set[v.Name] = value
	}
	return l, nil
}

// obey applies a directive.
func (l *layer) obey(d directive) error {
	if len(l.set)+len(l.unset) >= maxVariables {
		return fmt.Errorf("the environment sets more than %d variables", maxVariables)
	}
	if d.kind == directiveUnsetEnv {
		l.unset[d.name] = true
	} else {
		l.set[d.name] = d.value
	}
	return nil
}

// variables is an ordered set of environment variables. Names differ in case on
// POSIX systems only.
type variables struct {
	names  []string
	values map[string]string
}

func newVariables(base []string) *variables {
	v := &variables{values: map[string]string{}}
	for _, entry := range base {
		// Windows keeps entries such as =C:=C:\dir, whose name begins with =.
		if i := strings.IndexByte(entry[min(1, len(entry)):], '='); i >= 0 {
			v.put(entry[:i+1], entry[i+2:])
		}
	}
	return v
}

func foldName(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

func (v *variables) put(name, value string) {
	key := foldName(name)
	if _, ok := v.values[key]; !ok {
		v.names = append(v.names, name)
	}
	v.values[key] = value
}

func (v *variables) get(name string) string { return v.values[foldName(name)] }

func (v *variables) apply(l *layer) {
	for name, value := range l.set {
		v.put(name, value)
	}
	for name := range l.unset {
		delete(v.values, foldName(name))
	}
}

// list gives NAME=value entries; those of the marks come first, where they are
// found fast.
func (v *variables) list(marks ...string) []string {
	out := append([]string(nil), marks...)
	done := map[string]bool{foldName(sessionVar): true, foldName(actionVar): true}
	for _, name := range v.names {
		key := foldName(name)
		if value, ok := v.values[key]; ok && !done[key] {
			done[key] = true
			out = append(out, name+"="+value)
		}
	}
	return out
}

// lookCommand finds a command as the variables of the session, not those of this
// program, tell it. A name with a separator is relative to dir.
func (v *variables) lookCommand(name, dir string) (string, error) {
	if name == "" {
		return "", errors.New("the command is empty")
	}
	if strings.ContainsRune(name, 0) {
		return "", errors.New("the command holds a NUL character")
	}
	extensions := v.extensions(name)
	if strings.ContainsRune(name, '/') || strings.ContainsRune(name, filepath.Separator) || filepath.VolumeName(name) != "" {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if path, ok := runnable(name, extensions); ok {
			return path, nil
		}
		return "", fmt.Errorf("command %q is not an executable file on this host", name)
	}
	for _, d := range filepath.SplitList(v.get("PATH")) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		if path, ok := runnable(filepath.Join(d, name), extensions); ok {
			return path, nil
		}
	}
	return "", fmt.Errorf("command %q was not found: install it on this host, or set PATH in an environment", name)
}

// extensions are the endings to try for a command: none but on Windows.
func (v *variables) extensions(name string) []string {
	if runtime.GOOS != "windows" {
		return []string{""}
	}
	list := v.get("PATHEXT")
	if list == "" {
		list = ".COM;.EXE;.BAT;.CMD"
	}
	var out []string
	if filepath.Ext(name) != "" {
		out = append(out, "")
	}
	for _, e := range strings.Split(list, ";") {
		if e != "" {
			out = append(out, e)
		}
	}
	return out
}

func runnable(path string, extensions []string) (string, bool) {
	for _, e := range extensions {
		info, err := os.Stat(path + e)
		if err != nil || info.IsDir() {
			continue
		}
		if runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0 {
			return path + e, true
		}
	}
	return "", false
}
