package agent

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

func TestBaseEnv(t *testing.T) {
	t.Parallel()
	list := string(filepath.ListSeparator)
	got := baseEnv([]string{
		"HOME=/home/ann", "PATH=/usr/bin", "DROVER_TOKEN=x", "DROVER_TOKEN_FILE=y", "DROVER_BLENDER=/old/blender", "DROVER_BLENDER_DEVICE=CPU",
		"DROVER_BLENDERS=no", "DROVER_VRAY_THREADS=2", "EMPTY=", "ODD",
	}, "/bin/of/ours", []api.Renderer{{Product: "blender"}, {Product: "../odd"}, {}})
	want := []string{"HOME=/home/ann", "DROVER_BLENDER=/old/blender", "DROVER_BLENDER_DEVICE=CPU", "EMPTY=", "ODD",
		"PATH=/bin/of/ours" + list + "/usr/bin", "DROVER_SESSION_PID=" + strconv.Itoa(os.Getpid())}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSessionEnv(t *testing.T) {
	t.Parallel()
	machine := api.Machine{Cores: 8, Renderers: []api.Renderer{
		{Product: "blender", Version: "4.2.0", Path: "/opt/new"}, {Product: "blender", Version: "3.4.1", Path: "/opt/old"},
	}}
	for name, c := range map[string]struct {
		work  api.Work
		slots int
		free  int
		env   []string
		want  []string
	}{
		"none":         {api.Work{}, 1, 0, nil, nil},
		"pinned":       {api.Work{Renderer: "blender", Build: "3.4.1"}, 1, 0, nil, []string{"DROVER_BLENDER=/opt/old"}},
		"unknown":      {api.Work{Renderer: "blender", Build: "2.9"}, 1, 0, nil, nil},
		"odd":          {api.Work{Renderer: "a=b", Build: "1"}, 1, 0, nil, nil},
		"slots":        {api.Work{Renderer: "blender", Build: "4.2.0"}, 3, 0, nil, []string{"DROVER_BLENDER=/opt/new", "DROVER_BLENDER_THREADS=2"}},
		"leave free":   {api.Work{Renderer: "blender", Build: "4.2.0"}, 1, 3, nil, []string{"DROVER_BLENDER=/opt/new", "DROVER_BLENDER_THREADS=5"}},
		"all left":     {api.Work{Renderer: "blender"}, 1, 9, nil, []string{"DROVER_BLENDER_THREADS=1"}},
		"by the owner": {api.Work{Renderer: "blender"}, 2, 0, []string{"DROVER_BLENDER_THREADS=7"}, []string{"DROVER_BLENDER_THREADS=7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &agent{machine: machine, env: c.env, cfg: Config{Slots: c.slots, Rules: api.Rules{LeaveFree: c.free}}}
			if diff := cmp.Diff(c.want, a.sessionEnv(&c.work, "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
