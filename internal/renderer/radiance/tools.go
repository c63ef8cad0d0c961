package radiance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// EnvHome names the environment variable with the folder of Radiance.
const EnvHome = "RADIANCE_HOME"

// startFile is in Radiance's library and is read by all that trace rays.
const startFile = "rayinit.cal"

// Tools is a Radiance on this machine.
type Tools struct {
	Bin     string // folder of the programs
	RayPath string // where Radiance looks for its library
}

// Find finds Radiance in home (with bin and lib), else in the folder that
// RADIANCE_HOME names, else on PATH. A Radiance whose library cannot be found is
// an error: its programs would fail one by one.
func Find(home string) (Tools, error) {
	if home == "" {
		home = os.Getenv(EnvHome)
	}
	bin := filepath.Join(home, "bin")
	if home == "" {
		rpict, err := exec.LookPath("rpict")
		if err != nil {
			return Tools{}, errors.New("there is no Radiance on this machine: install it, or name its folder with RADIANCE_HOME")
		}
		if rpict, err = filepath.Abs(rpict); err != nil {
			return Tools{}, fmt.Errorf("find Radiance: %w", err)
		}
		bin = filepath.Dir(rpict)
	}
	if _, err := os.Stat(filepath.Join(bin, "rpict"+exe)); err != nil {
		return Tools{}, fmt.Errorf("there is no Radiance in %s: %w", bin, err)
	}
	places := []string{filepath.Join(filepath.Dir(bin), "lib")}
	if home == "" {
		places = append(filepath.SplitList(os.Getenv("RAYPATH")), places...)
		places = append(places, "/usr/local/lib/ray", "/usr/lib/radiance/lib", "/usr/share/radiance")
	}
	for _, dir := range places {
		if _, err := os.Stat(filepath.Join(dir, startFile)); err == nil && dir != "" {
			return Tools{Bin: bin, RayPath: strings.Join([]string{".", dir}, string(os.PathListSeparator))}, nil
		}
	}
	return Tools{}, fmt.Errorf("the library of the Radiance in %s was not found (%s, looked for in %s): name its folder with RAYPATH", bin, startFile, strings.Join(places, ", "))
}

// Command makes the command of one of Radiance's programs, with the environment
// that it needs. Programs that it starts itself are this Radiance's too.
func (t Tools) Command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(t.Bin, name+exe), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RAYPATH="+t.RayPath, "PATH="+t.Bin+string(os.PathListSeparator)+os.Getenv("PATH"), "PWD="+dir, "LC_ALL=C")
	return cmd
}

// Version asks rpict for its version, such as 5.4a.
func (t Tools) Version(ctx context.Context) (string, error) {
	out, err := t.Command(ctx, "", "rpict", "-version").Output()
	if err != nil {
		return "", fmt.Errorf("ask rpict for its version: %w", err)
	}
	words := strings.Fields(string(out))
	if len(words) < 2 || words[0] != "RADIANCE" {
		return "", fmt.Errorf("rpict -version says %.60q, not RADIANCE and a number", out)
	}
	return words[1], nil
}
