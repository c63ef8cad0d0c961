package sim

import (
	"fmt"
	"slices"
	"strings"

	"drover.farm/internal/farm"
)

// The accounts of a simulated farm.
var (
	admin  = farm.Principal{Login: "admin", Roles: []farm.Role{farm.RoleAdmin}}
	owners = []farm.Principal{submitter("ann"), submitter("bob"), submitter("cat"), submitter("dan")}
	rigs   = []farm.Principal{renderer("rig1"), renderer("rig2")}
)

func submitter(login string) farm.Principal {
	return farm.Principal{Login: login, Roles: []farm.Role{farm.RoleSubmitter}}
}

func renderer(login string) farm.Principal {
	return farm.Principal{Login: login, Roles: []farm.Role{farm.RoleRenderer}}
}

// class is a kind of machine.
type class struct {
	os, door string
	cores    int
	memory   int64 // GiB
	slots    int
	tags     []string
	blender  []string
}

var classes = []class{
	{"linux", "native", 8, 16, 1, nil, []string{"4.2.0"}},
	{"linux", "native", 16, 32, 1, []string{"fast"}, []string{"4.2.0", "4.5.0"}},
	{"linux", "native", 32, 64, 2, []string{"fast"}, []string{"4.5.0"}},
	{"linux", "native", 64, 128, 4, nil, []string{"4.2.0", "4.5.0"}},
	{"linux", "native", 16, 64, 3, []string{"gpu"}, nil},
	{"windows", "native", 8, 16, 1, nil, []string{"4.2.0"}},
	{"windows", "native", 16, 32, 2, []string{"gpu", "fast"}, []string{"4.5.0"}},
	{"windows", "sheepit", 8, 8, 1, nil, []string{"4.2.0", "4.5.0"}},
	{"linux", "sheepit", 4, 8, 1, nil, []string{"4.5.0"}},
	{"macos", "sheepit", 8, 16, 1, []string{"gpu"}, []string{"4.5.0"}},
	{"linux", "flamenco", 8, 16, 1, nil, []string{"4.2.0"}},
	{"macos", "native", 8, 32, 2, nil, nil},
}

func (c *class) machine(host string) farm.Machine {
	m := farm.Machine{Hostname: host, OS: c.os, Arch: "x86_64", Cores: c.cores, Memory: c.memory << 30}
	for _, v := range c.blender {
		m.Renderers = append(m.Renderers, farm.Renderer{Product: "blender", Version: v})
	}
	return m
}

// licences are the farm's limits and how much of each there is, in thousandths.
var licences = map[string]int64{"amount.licence.nuke": 20_000, "amount.licence.tenth": 1_000}

// amount is a demand for a quantity in thousandths, so that the model adds up
// exactly.
type amount struct {
	name  string
	milli int64
}

// need is what a step asks of a worker, as the model sees it.
type need struct {
	os       string
	tags     []string
	doors    []string
	renderer string
	amounts  []amount
}

// shape is a job as its submitter thinks of it.
type shape struct {
	name     string
	owner    farm.Principal
	priority int
	paused   bool
	order    farm.Order
	renderer string
	tags     []string
	doors    []string
	steps    []shapeStep
}

type shapeStep struct {
	tasks int64
	deps  []int
	need  need
}

// newShape draws a job that at least one class of workers can render.
func newShape(d *dice, n int64, tasks int64) *shape {
	c := &classes[d.IntN(len(classes))]
	s := &shape{name: fmt.Sprint("film ", n), owner: owners[d.IntN(len(owners))], priority: []int{10, 50, 50, 50, 80}[d.IntN(5)],
		order: farm.OrderLinear, paused: d.hit(300)}
	if d.hit(2500) {
		s.order = farm.OrderPreview
	}
	if len(c.blender) > 0 && d.hit(3000) {
		s.renderer = "blender"
	}
	if len(c.tags) > 0 && d.hit(3000) {
		s.tags = []string{c.tags[d.IntN(len(c.tags))]}
	}
	if d.hit(2000) {
		s.doors = []string{c.door, "native"}
	}
	steps := 1 + d.IntN(4)*d.IntN(2)
	for i := range steps {
		s.steps = append(s.steps, newStep(d, s, c, i, max(1, tasks/int64(steps))))
	}
	return s
}

func newStep(d *dice, s *shape, c *class, i int, tasks int64) shapeStep {
	st := shapeStep{tasks: 1 + d.Int64N(2*tasks), need: need{tags: s.tags, doors: s.doors, renderer: s.renderer}}
	for dep := range i {
		if d.hit(6000) {
			st.deps = append(st.deps, dep)
		}
	}
	if d.hit(3000) {
		st.need.os = c.os
	}
	if d.hit(5000) {
		cores := []int{1, c.cores / 2, c.cores}[d.IntN(3)]
		st.need.amounts = append(st.need.amounts, amount{"amount.worker.vcpu", int64(cores) * 1000})
	}
	if d.hit(2000) {
		st.need.amounts = append(st.need.amounts, amount{"amount.worker.memory", c.memory << 10 * 1000 / int64(1+d.IntN(3))})
	}
	switch {
	case d.hit(1000):
		st.need.amounts = append(st.need.amounts, amount{"amount.licence.nuke", 1000})
	case d.hit(1000):
		st.need.amounts = append(st.need.amounts, amount{"amount.licence.tenth", 100 * int64(1+d.IntN(3))})
	}
	return st
}

// total is how many tasks the job has.
func (s *shape) total() int64 {
	var n int64
	for i := range s.steps {
		n += s.steps[i].tasks
	}
	return n
}

// submission is the job in the farm's words.
func (s *shape) submission() farm.Submission {
	var sb strings.Builder
	sb.WriteString("specificationVersion: jobtemplate-2023-09\nname: film\nsteps:\n")
	for i := range s.steps {
		s.steps[i].write(&sb, i)
	}
	return farm.Submission{By: s.owner, Priority: s.priority, Paused: s.paused, Spec: farm.Spec{Name: s.name, Template: sb.String(),
		Renderer: s.renderer, Doors: slices.Clone(s.doors), Tags: slices.Clone(s.tags), Order: s.order}}
}

func (st *shapeStep) write(sb *strings.Builder, i int) {
	fmt.Fprintf(sb, "- name: S%d\n", i)
	if len(st.deps) > 0 {
		sb.WriteString("  dependencies:\n")
		for _, d := range st.deps {
			fmt.Fprintf(sb, "  - dependsOn: S%d\n", d)
		}
	}
	if st.need.os != "" || len(st.need.amounts) > 0 {
		sb.WriteString("  hostRequirements:\n")
	}
	if len(st.need.amounts) > 0 {
		sb.WriteString("    amounts:\n")
		for _, a := range st.need.amounts {
			fmt.Fprintf(sb, "    - {name: %s, min: %d.%03d}\n", a.name, a.milli/1000, a.milli%1000)
		}
	}
	if st.need.os != "" {
		fmt.Fprintf(sb, "    attributes:\n    - {name: attr.worker.os.family, anyOf: [%s]}\n", st.need.os)
	}
	fmt.Fprintf(sb, "  parameterSpace: {taskParameterDefinitions: [{name: Frame, type: INT, range: \"1-%d\"}]}\n", st.tasks)
	sb.WriteString("  script: {actions: {onRun: {command: render, args: [\"{{Task.Param.Frame}}\"]}}}\n")
}
