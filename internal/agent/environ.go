package agent

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/api"
)

// envOwn begins the names of Drover's own environment variables.
const envOwn = "DROVER_"

// envSessionPID names the process with whose end the programs of a session end:
// renderers that stay loaded watch it, lest they outlive a worker that is killed.
const envSessionPID = envOwn + "SESSION_PID"

// baseEnv is the environment that all actions begin with: this program's with a
// folder where the command drover is found, and without Drover's own variables,
// for the token may be one. Only those about a renderer of the machine, such as
// DROVER_BLENDER_DEVICE, are passed on.
func baseEnv(env []string, bin string, renderers []api.Renderer) []string {
	out, path := make([]string, 0, len(env)+2), bin
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		switch {
		case strings.HasPrefix(name, envOwn) && !aboutRenderer(name, renderers):
		case name == "PATH":
			path = bin + string(filepath.ListSeparator) + value
		default:
			out = append(out, e)
		}
	}
	return append(out, "PATH="+path, envSessionPID+"="+strconv.Itoa(os.Getpid()))
}

func aboutRenderer(name string, renderers []api.Renderer) bool {
	return slices.ContainsFunc(renderers, func(r api.Renderer) bool {
		v := rendererVariable(r.Product)
		return v != "" && (name == v || strings.HasPrefix(name, v+"_"))
	})
}

// rendererVariable is the variable that names the program of a product:
// DROVER_BLENDER; "" for a product whose name is no part of a variable's.
func rendererVariable(product string) string {
	if product == "" || strings.Trim(strings.ToLower(product), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return envOwn + strings.ToUpper(product)
}

// sessionEnv adds what the job is to be rendered with: the program of the build
// that the farm has pinned the job to (DROVER_BLENDER), and how many threads it
// may use (DROVER_BLENDER_THREADS) when tasks share the machine. A build of the
// library, which lies in root, is on PATH as well, and DROVER_BLENDER_ROOT names
// its folder.
func (a *agent) sessionEnv(w *api.Work, root string) []string {
	env := slices.Clone(a.env)
	name := rendererVariable(w.Renderer)
	if name == "" {
		return env
	}
	if root != "" {
		program := filepath.Join(root, filepath.FromSlash(w.Fetch.Program))
		env = append(env, name+"="+program, name+"_ROOT="+root)
		for i, e := range env {
			if path, ok := strings.CutPrefix(e, "PATH="); ok {
				own, rest, _ := strings.Cut(path, string(filepath.ListSeparator))
				env[i] = "PATH=" + strings.Join([]string{own, filepath.Dir(program), rest}, string(filepath.ListSeparator))
			}
		}
	}
	for _, r := range a.renderers() {
		if root == "" && r.Product == w.Renderer && r.Version == w.Build && r.Path != "" {
			env = append(env, name+"="+r.Path)
			break
		}
	}
	threads := name + "_THREADS="
	given := slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, threads) })
	if n := a.share(); n < a.machine.Cores && !given {
		env = append(env, threads+strconv.Itoa(n))
	}
	return env
}

// share is how many cores a slot may use.
func (a *agent) share() int {
	return max((a.machine.Cores-max(a.cfg.Rules.LeaveFree, 0))/a.cfg.Slots, 1)
}
