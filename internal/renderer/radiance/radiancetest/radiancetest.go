// Package radiancetest gives tests a Radiance: the real one that RADIANCE_HOME
// names, else a stand-in that has Radiance's file formats, options, exit codes,
// messages and traps, and computes pictures that mean nothing. A real one takes
// the same tests by `make radiance`.
package radiancetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var programs = []string{"oconv", "rpict", "rtrace", "mkillum", "pfilt", "pcompos", "rad"}

var built struct {
	once sync.Once
	home string
	err  error
}

// Real reports whether tests run against a real Radiance.
func Real() bool { return os.Getenv("RADIANCE_HOME") != "" }

// Home is the folder of a Radiance, with bin and lib, for all tests of the
// process. Main removes it.
func Home(tb testing.TB) string {
	tb.Helper()
	if home := os.Getenv("RADIANCE_HOME"); home != "" {
		return home
	}
	built.once.Do(func() { built.home, built.err = build() })
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return built.home
}

// Clean removes what Home has built.
func Clean() {
	if built.home != "" {
		os.RemoveAll(built.home)
	}
}

func build() (string, error) {
	home, err := os.MkdirTemp("", "drover-radiance-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(home, 0o755); err != nil {
		return "", err
	}
	for _, dir := range []string{"bin", "lib"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o755); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(home, "lib", "rayinit.cal"), []byte("{ stand-in }\n"), 0o644); err != nil {
		return "", err
	}
	all := filepath.Join(home, "bin", "standin")
	cmd := exec.Command("go", "build", "-o", all, "drover.farm/internal/renderer/radiance/radiancetest/standin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the stand-in for Radiance: %w\n%s", err, out)
	}
	for _, p := range programs {
		if err := os.Symlink("standin", filepath.Join(home, "bin", p)); err != nil {
			return "", err
		}
	}
	return home, nil
}

// Scene are the files of a small variation: a room with a lamp, two views, and a
// measuring field of 96 sensors.
type Scene struct {
	// Hold is a file that the stand-in waits for in the midst of a picture or a
	// measuring field. It must not be there before; "" for none.
	Hold string
	// Size is the longer side of the pictures; 0 for 64.
	Size int
	// Render are the options of the variable render; by default such that
	// pictures are exact under any split.
	Render string
	// Extra are further lines of the variable file.
	Extra string
}

// Exact are options with which no random number counts. Those of pixels stand in
// the variable rpict: rad puts its own behind those of render.
const (
	Exact       = ExactLight + " " + ExactPixels
	ExactLight  = "-ab 0 -dj 0 -u-"
	ExactPixels = "-pj 0 -ps 1"
)

// Write writes the files of the variation room into a project's folder.
func (s Scene) Write(tb testing.TB, dir string) {
	tb.Helper()
	if s.Size == 0 {
		s.Size = 64
	}
	if s.Render == "" {
		s.Render = ExactLight
	}
	hold := ""
	if s.Hold != "" {
		hold = "# stand-in: hold " + s.Hold + "\n"
	}
	grid := ""
	for y := range 12 {
		for x := range 8 {
			grid += fmt.Sprintf("%g %g 0.8 0 0 1\n", .25+.5*float64(x), .25+.5*float64(y))
		}
	}
	for name, text := range map[string]string{
		"room.mat": "void plastic white\n0\n0\n5 .7 .7 .7 0 0\nvoid light bright\n0\n0\n3 100 100 100\n",
		"room.rad": hold + `white polygon floor
0
0
12 0 0 0 4 0 0 4 6 0 0 6 0
white polygon wall
0
0
12 0 6 0 4 6 0 4 6 3 0 6 3
white polygon left
0
0
12 0 0 0 0 6 0 0 6 3 0 0 3
bright polygon lamp
0
0
12 1.5 2.5 2.9 1.5 3.5 2.9 2.5 3.5 2.9 2.5 2.5 2.9
`,
		"room.rif": fmt.Sprintf(`# a room
ZONE= I 0 4 0 6 0 3
QUALITY= L
materials= room.mat
scene= room.rad
view= v1 -vp 2 .5 1.5 -vd 0 1 -.1 -vh 60 -vv 46.3972
view= v2 -vp 2 1.5 1.5 -vd -.3 1 -.1 -vh 60 -vv 46.3972
RESOLUTION= %d %d
EXPOSURE= 2
render= %s
rpict= %s
%s`, s.Size, s.Size, s.Render, ExactPixels, s.Extra),
		"numeric/desk.pts": grid,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o775); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o664); err != nil {
			tb.Fatal(err)
		}
	}
}
