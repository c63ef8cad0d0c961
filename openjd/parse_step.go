package openjd

import (
	"container/heap"
	"fmt"
	"sort"
	"strings"
)

// interpreters are the keys of a simple action (section 8), with the extension of
// its file and the arguments before it.
var interpreters = map[string]struct {
	suffix string
	before []string
}{
	"bash":       {suffix: ".sh"},
	"cmd":        {suffix: ".bat", before: []string{"/C"}},
	"node":       {suffix: ".js"},
	"powershell": {suffix: ".ps1", before: []string{"-File"}},
	"python":     {suffix: ".py"},
}

var interpreterKeys = []string{"bash", "cmd", "node", "powershell", "python"}

// steps reads the steps. The names of job environments in envs must not come
// again.
func (o object) steps(s scope, envs map[string]*place) []stepTemplate {
	n := o.need("steps")
	if n == nil {
		return nil
	}
	at := o.at.field("steps")
	items := o.c.list(n, at, 1, 0)
	steps := make([]stepTemplate, len(items))
	seen := map[string]*place{}
	for i, item := range items {
		steps[i] = o.c.step(item, at.item(i), s, envs)
		o.c.unique(seen, item, at.item(i).field("name"), steps[i].name, "the step name")
	}
	o.c.dependencies(items, at, steps)
	return steps
}

func (c *checker) step(n *node, at *place, s scope, jobEnvs map[string]*place) (t stepTemplate) {
	keys := append([]string{"name", "description", "let", "dependencies", "stepEnvironments", "hostRequirements", "parameterSpace", "script"}, interpreterKeys...)
	o, ok := c.object(n, at, keys...)
	if !ok {
		return t
	}
	if n := o.need("name"); n != nil {
		t.name = c.name(n, at.field("name"), c.lim.stepName)
	}
	t.expr, t.description = c.expr, o.description()
	s.stepName, s.binding = c.expr, true
	t.lets, s = o.lets(s)
	s.binding = false
	if n := o.get("dependencies"); n != nil {
		t.dependsOn = c.dependsOn(n, at.field("dependencies"))
	}
	t.environments = o.environments("stepEnvironments", s, jobEnvs)
	if n := o.get("hostRequirements"); n != nil {
		t.host = c.host(n, at.field("hostRequirements"), s)
	}
	task := s
	task.task = map[string]ParamType{}
	if n := o.get("parameterSpace"); n != nil {
		t.space = c.space(n, at.field("parameterSpace"), s)
		if t.space != nil {
			for _, p := range t.space.params {
				task.task[p.name] = p.typ
			}
		}
	}
	t.script = o.script(s, task)
	return t
}

// script reads the script, or the simple action that stands for one.
func (o object) script(outer, task scope) *stepScript {
	script := o.get("script")
	var simple []string
	for _, key := range interpreterKeys {
		if n := o.get(key); n != nil {
			simple = append(simple, key)
			if !o.c.bundle1 {
				o.c.fail(n, o.at.field(key), "belongs to the extension FEATURE_BUNDLE_1", "add FEATURE_BUNDLE_1 to extensions, or write a script")
			}
		}
	}
	switch {
	case script == nil && len(simple) == 0:
		o.c.fail(o.n, o.at, "has no script", "add the key script")
	case len(simple) > 1 || script != nil && len(simple) > 0:
		o.c.fail(o.n, o.at, "has more than one of script, "+strings.Join(interpreterKeys, ", "), "keep one")
	case script != nil:
		return o.c.stepScript(script, o.at.field("script"), outer, task)
	default:
		return o.c.simpleAction(o.get(simple[0]), o.at.field(simple[0]), simple[0], outer, task)
	}
	return nil
}

func (c *checker) stepScript(n *node, at *place, outer, task scope) *stepScript {
	o, ok := c.object(n, at, "let", "actions", "embeddedFiles")
	if !ok {
		return nil
	}
	script := &stepScript{files: o.embeddedFiles()}
	host := task.onHost(PrefixTaskFile, script.files)
	script.lets, host = o.lets(host)
	o.data(script.files, host)
	n = o.need("actions")
	if n == nil {
		return script
	}
	at = at.field("actions")
	a, ok := c.object(n, at, "onRun")
	if !ok {
		return script
	}
	if n := a.need("onRun"); n != nil {
		script.onRun = c.action(n, at.field("onRun"), outer, host)
	}
	return script
}

// simpleFile names the embedded file that a simple action implies. Nothing else
// can use the name: a simple action has no other files.
const simpleFile = "Script"

// simpleAction reads an action of FEATURE_BUNDLE_1 and writes it out in full.
func (c *checker) simpleAction(n *node, at *place, key string, outer, task scope) *stepScript {
	o, ok := c.object(n, at, "let", "script", "args", "timeout", "cancelation")
	if !ok {
		return nil
	}
	kind := interpreters[key]
	host := task.onHost(PrefixTaskFile, nil)
	lets, host := o.lets(host)
	file := EmbeddedFile{Name: simpleFile, Filename: strings.ToLower(simpleFile) + kind.suffix, EndOfLine: EndOfLineAuto}
	if n := o.need("script"); n != nil {
		if f, ok := c.format(n, at.field("script"), host); ok && c.sized(n, at.field("script"), f.raw, 1, 0) {
			file.Data = f
		}
	}
	a := &actionTemplate{command: FormatString{raw: key}, mode: CancelTerminate}
	for _, arg := range kind.before {
		a.args = append(a.args, FormatString{raw: arg})
	}
	name := PrefixTaskFile + simpleFile
	a.args = append(a.args, FormatString{raw: "{{" + name + "}}", parts: []part{{name: name}}})
	a.args = append(a.args, o.args(host)...)
	o.times(a, outer)
	return &stepScript{lets: lets, onRun: a, files: []EmbeddedFile{file}}
}

func (c *checker) dependsOn(n *node, at *place) []string {
	var names []string
	seen := map[string]*place{}
	for i, item := range c.list(n, at, 1, 0) {
		at := at.item(i)
		o, ok := c.object(item, at, "dependsOn")
		if !ok {
			continue
		}
		if n := o.need("dependsOn"); n != nil {
			if name := c.name(n, at.field("dependsOn"), c.lim.stepName); name != "" {
				c.unique(seen, n, at.field("dependsOn"), name, "the dependency")
				names = append(names, name)
			}
		}
	}
	return names
}

// dependencies checks that dependencies name other steps and go in no circle.
func (c *checker) dependencies(items []*node, at *place, steps []stepTemplate) {
	index := make(map[string]int, len(steps))
	for i, s := range steps {
		index[s.name] = i
	}
	waits := make([]int, len(steps))
	after := make([][]int, len(steps))
	for i, s := range steps {
		for _, name := range s.dependsOn {
			at := at.item(i).field("dependencies")
			switch on, ok := index[name]; {
			case !ok:
				c.fail(items[i], at, fmt.Sprintf("%q is no step of this template", clip(name)), "name one of its steps")
			case name == s.name:
				c.fail(items[i], at, fmt.Sprintf("%q depends on itself", clip(name)), "remove the dependency")
			default:
				waits[i]++
				after[on] = append(after[on], i)
			}
		}
	}
	if len(topological(waits, after)) < len(steps) {
		var names []string
		for i, w := range waits {
			if w > 0 {
				names = append(names, steps[i].name)
			}
		}
		c.fail(nil, at, "has steps that depend on one another in a circle: "+clip(strings.Join(names, ", ")), "remove one of their dependencies")
	}
}

// topological orders the nodes of a graph; nodes without an order between them
// stay in theirs. Those in or behind a circle are left out, with their waits above
// zero.
func topological(waits []int, after [][]int) []int {
	ready := &intHeap{}
	for i, w := range waits {
		if w == 0 {
			ready.IntSlice = append(ready.IntSlice, i)
		}
	}
	order := make([]int, 0, len(waits))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		order = append(order, i)
		for _, k := range after[i] {
			if waits[k]--; waits[k] == 0 {
				heap.Push(ready, k)
			}
		}
	}
	return order
}

// intHeap gives its least integer first.
type intHeap struct{ sort.IntSlice }

func (h *intHeap) Push(v any) { h.IntSlice = append(h.IntSlice, v.(int)) }

func (h *intHeap) Pop() any {
	last := len(h.IntSlice) - 1
	v := h.IntSlice[last]
	h.IntSlice = h.IntSlice[:last]
	return v
}
