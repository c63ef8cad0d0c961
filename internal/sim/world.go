package sim

import (
	"fmt"
	"strings"
	"time"

	"drover.farm/internal/farm"
)

// What there is in the simulated world: people, kinds of jobs, classes of
// machines, and which fit which, written down by hand.

var (
	admin  = farm.Principal{Login: "admin", Roles: []farm.Role{farm.RoleAdmin}}
	owners = []farm.Principal{
		{Login: "ann", Roles: []farm.Role{farm.RoleSubmitter}},
		{Login: "bob", Roles: []farm.Role{farm.RoleSubmitter}},
		{Login: "eve", Roles: []farm.Role{farm.RoleSubmitter}},
	}
	lenders = []farm.Principal{
		{Login: "lena", Roles: []farm.Role{farm.RoleRenderer}},
		{Login: "luis", Roles: []farm.Role{farm.RoleRenderer}},
	}
)

// licence is the name of the farm's limit.
const licence = "amount.licence.nuke"

// kind is a kind of job: what its tasks take.
type kind struct {
	name     string
	cores    int
	licences int
	needs    string // the step's hostRequirements
	tags     []string
	doors    []string
}

var kinds = []kind{
	{name: "plain"},
	{name: "cores", cores: 4, needs: "{amounts: [{name: amount.worker.vcpu, min: 4}, {name: amount.worker.memory, min: 1024}]}"},
	{name: "licence", licences: 1, needs: "{amounts: [{name: " + licence + ", min: 1}]}"},
	{name: "gpu", tags: []string{"gpu"}},
	{name: "linux", doors: []string{"native"}, needs: "{attributes: [{name: attr.worker.os.family, anyOf: [linux]}]}"},
}

// class is a class of machines.
type class struct {
	name  string
	door  string
	os    string
	cores int
	slots int
	tags  []string
	fits  []string // kinds
}

var classes = []class{
	{"small", "native", "linux", 4, 1, nil, []string{"plain", "cores", "licence", "linux"}},
	{"large", "native", "linux", 16, 5, nil, []string{"plain", "cores", "licence", "linux"}},
	{"gpu", "native", "windows", 8, 2, []string{"gpu"}, []string{"plain", "cores", "licence", "gpu"}},
	{"sheep", "sheepit", "linux", 2, 1, nil, []string{"plain", "licence"}},
}

func (c *class) machine(host string) farm.Machine {
	return farm.Machine{Hostname: host, OS: c.os, Arch: "x86_64", Cores: c.cores, Memory: 64 << 30}
}

// template is a job of a kind with steps one after another.
// With a chunk, tasks have that many frames at first, and aim at the time that so
// many take.
func (k *kind) template(steps int, frames int64, chunk int, frame time.Duration) string {
	text := "specificationVersion: jobtemplate-2023-09\nextensions: [TASK_CHUNKING]\nname: " + k.name + "\nsteps:\n"
	of := "type: INT"
	if chunk > 0 {
		of = fmt.Sprintf("type: \"CHUNK[INT]\", chunks: {defaultTaskCount: %d, targetRuntimeSeconds: %d, rangeConstraint: CONTIGUOUS}", chunk, chunk*int(frame/time.Second))
	}
	for i := range steps {
		text += fmt.Sprintf("- name: s%d\n", i)
		if i > 0 {
			text += fmt.Sprintf("  dependencies: [{dependsOn: s%d}]\n", i-1)
		}
		if k.needs != "" {
			text += "  hostRequirements: " + k.needs + "\n"
		}
		text += fmt.Sprintf("  parameterSpace: {taskParameterDefinitions: [{name: Frame, range: \"1-%d\", %s}]}\n", frames, of)
		text += "  script: {actions: {onRun: {command: \"true\"}}}\n"
	}
	return text
}

// framesIn is how many frames each step of such a template has.
func framesIn(template string) (n int64) {
	_, text, _ := strings.Cut(template, "range: \"1-")
	_, _ = fmt.Sscanf(text, "%d", &n)
	return n
}

func kindOf(name string) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	return nil
}
