package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"drover.farm/openjd"
	"drover.farm/openjd/session"
)

type openjdCmd struct {
	Check   openjdCheckCmd   `cmd:"" help:"Say everything that is wrong with a template."`
	Summary openjdSummaryCmd `cmd:"" help:"Show what a job of a template would be: parameters, steps, tasks."`
	Run     openjdRunCmd     `cmd:"" help:"Run a template on this machine, without a farm."`
}

type openjdCheckCmd struct {
	Shown
	File        string   `arg:"" help:"Job template or environment template (YAML or JSON)."`
	Environment []string `sep:"none" placeholder:"FILE" help:"Environment template that the job is to run in; may be given several times."`
}

func (c *openjdCheckCmd) Examples() string {
	return "  drover openjd check template.yaml --environment conda.yaml\n"
}

// checked is what check found, as JSON.
type checked struct {
	File   string         `json:"file"`
	Valid  bool           `json:"valid"`
	Errors []checkedFault `json:"errors"`
}

type checkedFault struct {
	Path   string `json:"path,omitempty"`
	Rule   string `json:"rule"`
	Hint   string `json:"hint,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (c *openjdCheckCmd) Run(a *App) error {
	err := c.check()
	var faults openjd.Errors
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	if !c.JSON {
		if err == nil {
			fmt.Fprintf(a.Out, "%s is valid\n", clean(c.File))
		}
		return err
	}
	out := checked{File: c.File, Valid: err == nil, Errors: []checkedFault{}}
	for _, f := range faults {
		out.Errors = append(out.Errors, checkedFault{f.Path, f.Rule, f.Hint, f.Line, f.Column})
	}
	if err := printJSON(a.Out, out); err != nil {
		return err
	}
	if !out.Valid {
		return errSilent
	}
	return nil
}

var environmentVersion = regexp.MustCompile(`(?m)["']?specificationVersion["']?\s*:\s*["']?environment-`)

func (c *openjdCheckCmd) check() error {
	text, err := readDocument(c.File)
	if err != nil {
		return err
	}
	envs, _, err := environments(c.Environment)
	if err != nil {
		return err
	}
	if environmentVersion.Match(text) {
		_, err := openjd.ParseEnvironmentTemplate(text)
		return refused(c.File, err)
	}
	t, err := openjd.ParseJobTemplate(text)
	if err == nil {
		_, err = openjd.MergeDefinitions(envs, t)
	}
	return refused(c.File, err)
}

func refused(file string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s is refused:\n%w", file, err)
}

// localJob is the flags that make a job of a template.
type localJob struct {
	File        string   `arg:"" help:"Job template (YAML or JSON)."`
	Param       []string `short:"p" name:"param" aliases:"parameter,job-param" sep:"none" placeholder:"NAME=VALUE" help:"Parameter: NAME=VALUE, NAME=@FILE for a value from a file, @FILE or file://FILE for a document of values, or a JSON object."`
	Environment []string `sep:"none" placeholder:"FILE" help:"Environment template to run the job in; may be given several times, outermost first."`
}

func (l *localJob) job() (*openjd.Job, error) {
	values, err := parameters(l.Param)
	if err != nil {
		return nil, err
	}
	text, err := readDocument(l.File)
	if err != nil {
		return nil, err
	}
	t, err := openjd.ParseJobTemplate(text)
	if err != nil {
		return nil, refused(l.File, err)
	}
	envs, _, err := environments(l.Environment)
	if err != nil {
		return nil, err
	}
	o, err := whereabouts(filepath.Dir(l.File), envs)
	if err != nil {
		return nil, err
	}
	job, err := t.Instantiate(values, o)
	return job, refused(l.File, err)
}

type openjdSummaryCmd struct {
	Shown
	localJob
}

// summary is what summary shows, as JSON.
type summary struct {
	Name         string             `json:"name"`
	Tasks        int64              `json:"tasks"`
	Parameters   []summaryParameter `json:"parameters"`
	Environments []string           `json:"environments"`
	Steps        []summaryStep      `json:"steps"`
}

type summaryParameter struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

type summaryStep struct {
	Name         string   `json:"name"`
	Tasks        int64    `json:"tasks"`
	Parameters   []string `json:"parameters"`
	DependsOn    []string `json:"depends_on"`
	Environments []string `json:"environments"`
}

func (c *openjdSummaryCmd) Run(a *App) error {
	job, err := c.job()
	if err != nil {
		return err
	}
	s := summarize(job)
	return a.show(c.Shown, s, func(w io.Writer) { printSummary(w, s) })
}

func summarize(job *openjd.Job) *summary {
	s := &summary{Name: job.Name, Parameters: []summaryParameter{}, Environments: names(job.Environments), Steps: []summaryStep{}}
	for _, p := range job.Parameters {
		s.Parameters = append(s.Parameters, summaryParameter{p.Name, string(p.Type), p.Value})
	}
	for _, i := range job.StepOrder() {
		step := job.Steps[i]
		var params []string
		for _, p := range step.Space.Parameters() {
			params = append(params, fmt.Sprintf("%s (%s)", p.Name, p.Type))
		}
		n := step.Space.Len()
		s.Tasks += n
		s.Steps = append(s.Steps, summaryStep{step.Name, n, list(params), list(step.DependsOn), names(step.Environments)})
	}
	return s
}

func names(envs []*openjd.Environment) []string {
	out := []string{}
	for _, e := range envs {
		out = append(out, e.Name)
	}
	return out
}

func printSummary(w io.Writer, s *summary) {
	pairs(w, "job", s.Name, "tasks", itoa(s.Tasks), "environments", strings.Join(s.Environments, ", "))
	if len(s.Parameters) > 0 {
		fmt.Fprintln(w)
		rows := make([][]string, len(s.Parameters))
		for i, p := range s.Parameters {
			rows[i] = []string{p.Name, p.Type, p.Value}
		}
		table(w, "PARAMETER TYPE VALUE", rows)
	}
	fmt.Fprintln(w)
	rows := make([][]string, len(s.Steps))
	for i, st := range s.Steps {
		rows[i] = []string{st.Name, itoa(st.Tasks), strings.Join(st.Parameters, ", "), strings.Join(st.DependsOn, ", "), strings.Join(st.Environments, ", ")}
	}
	table(w, "STEP TASKS PARAMETERS AFTER ENVIRONMENTS", rows)
}

type openjdRunCmd struct {
	localJob
	PathMappingRules string `placeholder:"FILE" help:"Path mapping rules (JSON, version pathmapping-1.0): a file, or the document itself."`
	Step             string `placeholder:"NAME" help:"Run this step alone."`
	Dependencies     bool   `name:"run-dependencies" help:"With --step, run the steps that it depends on before it."`
}

func (c *openjdRunCmd) Examples() string {
	return `  drover openjd run template.yaml -p Frames=1-3
  drover openjd run template.yaml --step Encode --run-dependencies
`
}

func (c *openjdRunCmd) Run(a *App) error {
	job, err := c.job()
	if err != nil {
		return err
	}
	o := session.RunOptions{Out: a.Out, Env: os.Environ(), Step: c.Step, Dependencies: c.Dependencies}
	if o.Rules, err = c.rules(); err != nil {
		return err
	}
	s, err := session.RunJob(a.ctx, job, o)
	fmt.Fprintln(a.Err, s)
	return err
}

func (c *openjdRunCmd) rules() ([]openjd.PathRule, error) {
	text := c.PathMappingRules
	if text == "" {
		return nil, nil
	}
	data := []byte(text)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		var err error
		if data, err = readFile(strings.TrimPrefix(text, "file://"), maxValue); err != nil {
			return nil, fmt.Errorf("read the path mapping rules: %w", err)
		}
	}
	rules, err := openjd.ParsePathRules(data)
	if err != nil {
		return nil, fmt.Errorf("the path mapping rules are refused:\n%w", err)
	}
	return rules, nil
}
