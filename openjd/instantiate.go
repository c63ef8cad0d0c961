package openjd

import (
	"maps"
	"slices"
	"strings"
	"time"

	"drover.farm/openjd/expr"
)

// Options are the circumstances of a submission.
type Options struct {
	// Environments come before the job template when definitions are merged, and
	// before its environments in a session.
	Environments []*EnvironmentTemplate
	// TemplateDir is what relative defaults of PATH parameters are joined to, and
	// may not leave; empty keeps them as written. It is an absolute path of POSIX
	// or of Windows, which decides how the defaults are read.
	TemplateDir string
	// WorkingDir is what relative PATH values are joined to, in the same way;
	// empty keeps them as written.
	WorkingDir string
}

// Default times of actions (sections 4.3 and 5.3.2).
const (
	exitTimeout    = 5 * time.Minute
	runNotifyTime  = 120 * time.Second
	elseNotifyTime = 30 * time.Second
)

// Instantiate binds values to the parameters and makes the job. Values are in the
// text form of the parameter's type; see ParameterValues for JSON. The error is
// Errors when the values or the combination of templates are at fault. The job
// shares what does not change with the template.
func (t *JobTemplate) Instantiate(values map[string]string, o Options) (*Job, error) {
	defs, err := MergeDefinitions(o.Environments, t)
	if err != nil {
		return nil, err
	}
	m := maker{c: newChecker(), budget: expr.NewBudget()}
	m.c.expr = slices.Contains(t.extensions, ExtensionExpr)
	m.c.bundle1 = slices.Contains(t.extensions, ExtensionFeatureBundle1)
	params := m.c.bind(defs, values, o)
	if err := m.c.err(); err != nil {
		return nil, err
	}
	m.symbols = submissionSymbols(params)
	j := &Job{Description: t.description, Extensions: t.Extensions(), Parameters: params}
	j.Name = m.jobName(t)
	m.symbols[SymbolJobName] = j.Name
	for _, e := range o.Environments {
		j.Environments = append(j.Environments, m.environment(e.env))
	}
	j.Environments = append(j.Environments, m.environments(t.envs)...)
	for i, s := range t.steps {
		j.Steps = append(j.Steps, m.makeStep(s, (*place)(nil).field("steps").item(i)))
	}
	if err := m.c.err(); err != nil {
		return nil, err
	}
	return j, nil
}

// submissionSymbols are what is known when a job is made.
func submissionSymbols(params []JobParameter) Symbols {
	s := make(Symbols, 2*len(params))
	for _, p := range params {
		s[PrefixRawParam+p.Name] = p.Value
		if p.Type != TypePath {
			s[PrefixParam+p.Name] = p.Value
		}
	}
	return s
}

// maker makes a job from a template.
type maker struct {
	c       *checker
	symbols Symbols
	// budget is what all expressions of the job together may take.
	budget *expr.Budget
	// step holds what the let of the step that is being made has bound.
	step Bindings
}

// maxSubmitted bounds, in bytes, what resolves when a job is made: ranges are the
// longest of it.
const maxSubmitted = maxRangeText

// resolve resolves f, or tells why not.
func (m *maker) resolve(f FormatString, at *place) (string, bool) {
	s, err := f.resolveWith(m.symbols, maxSubmitted, m.budget)
	if err != nil {
		m.c.fail(nil, at, err.Error(), "use job parameters that the template defines, with values that fit")
		return "", false
	}
	return s, true
}

// resolveItem resolves an item of a list, which may stand for several.
func (m *maker) resolveItem(f FormatString, at *place) []string {
	all, err := f.resolveAll(m.symbols, maxSubmitted, m.budget)
	if err != nil {
		m.c.fail(nil, at, err.Error(), "use job parameters that the template defines, with values that fit")
	}
	return all
}

// given reports whether an optional number is there: one that gives null is not.
func (m *maker) given(t *numberTemplate) bool {
	if t == nil || !t.text.whole() {
		return t != nil
	}
	v, err := t.text.parts[0].value(m.symbols, m.budget)
	return err != nil || !v.IsNull()
}

// number resolves a number and checks it, nil when it is wrong.
func (m *maker) number(t *numberTemplate, check func(string) string) (string, bool) {
	s, ok := m.resolve(t.text, t.at)
	if !ok {
		return "", false
	}
	s = strings.TrimSpace(s)
	if rule := check(s); rule != "" {
		m.c.fail(nil, t.at, rule+", with the parameter values given", "give other values")
		return "", false
	}
	return s, true
}

func (m *maker) jobName(t *JobTemplate) string {
	at := (*place)(nil).field("name")
	s, ok := m.resolve(t.name, at)
	if ok && m.c.sized(nil, at, s, 1, t.lim.jobName) {
		m.c.printable(nil, at, s, "")
	}
	return s
}

func (m *maker) environments(envs []envTemplate) []*Environment {
	out := make([]*Environment, len(envs))
	for i, e := range envs {
		out[i] = m.environment(e)
	}
	return out
}

func (m *maker) environment(e envTemplate) *Environment {
	out := &Environment{Name: e.name, Description: e.description, Variables: e.variables}
	if e.expr {
		out.Let = m.step
		out.Let.used = true
	}
	if e.script != nil {
		out.Let.lets = slices.Concat(m.step.lets, e.script.lets)
		out.Script = &EnvironmentScript{
			OnEnter:       m.action(e.script.onEnter, 0, elseNotifyTime),
			OnExit:        m.action(e.script.onExit, exitTimeout, elseNotifyTime),
			EmbeddedFiles: e.script.files,
		}
	}
	return out
}

func (m *maker) action(a *actionTemplate, timeout, notify time.Duration) *Action {
	if a == nil {
		return nil
	}
	out := &Action{Command: a.command, Args: a.args, Timeout: timeout, Cancelation: Cancelation{Mode: a.mode}}
	if m.given(a.timeout) {
		out.Timeout = m.seconds(a.timeout, maxTimeout)
	}
	if a.mode == CancelNotifyThenTerminate {
		out.Cancelation.NotifyPeriod = notify
		if m.given(a.notify) {
			out.Cancelation.NotifyPeriod = m.seconds(a.notify, maxNotify)
		}
	}
	return out
}

func (m *maker) seconds(t *numberTemplate, most int64) time.Duration {
	s, ok := m.number(t, func(s string) string { return checkInt(s, 1, most) })
	if !ok {
		return 0
	}
	i, _ := parseInt(s)
	return time.Duration(i) * time.Second
}

func (m *maker) makeStep(s stepTemplate, at *place) *Step {
	outer := m.symbols
	defer func() { m.symbols, m.step = outer, Bindings{} }()
	m.symbols = maps.Clone(outer)
	m.symbols[SymbolStepName] = s.name
	later, err := bind(s.lets, m.symbols, m.budget)
	if err != nil {
		m.c.fail(nil, at.field("let"), err.Error(), "give other values, or mend the expression")
	}
	if s.expr {
		m.step = Bindings{used: true, known: Symbols{SymbolStepName: s.name}, lets: later}
	}
	for _, b := range s.lets {
		if v, ok := m.symbols[b.name]; ok {
			m.step.known[b.name] = v
		}
	}
	out := &Step{
		Name: s.name, Description: s.description, DependsOn: s.dependsOn,
		Environments: m.environments(s.environments),
		Script:       &Script{OnRun: m.action(s.script.onRun, 0, runNotifyTime), EmbeddedFiles: s.script.files},
		Let:          Bindings{used: s.expr, known: m.step.known, lets: slices.Concat(m.step.lets, s.script.lets)},
	}
	if s.host != nil {
		out.Host = m.host(s.host)
	}
	if s.space != nil {
		out.Space = m.space(s.space)
	}
	return out
}

// StepOrder lists the indices of the job's steps so that each comes after those
// it depends on, and otherwise in the template's order.
func (j *Job) StepOrder() []int {
	index := make(map[string]int, len(j.Steps))
	for i, s := range j.Steps {
		index[s.Name] = i
	}
	waits, after := make([]int, len(j.Steps)), make([][]int, len(j.Steps))
	for i, s := range j.Steps {
		for _, name := range s.DependsOn {
			if on, ok := index[name]; ok {
				waits[i]++
				after[on] = append(after[on], i)
			}
		}
	}
	return topological(waits, after)
}
