package openjd

import (
	"fmt"
	"slices"
)

// The versions of the two kinds of documents.
const (
	jobTemplateVersion = "jobtemplate-2023-09"
	envTemplateVersion = "environment-2023-09"
)

// The supported extensions of revision 2023-09.
const (
	ExtensionTaskChunking    = "TASK_CHUNKING"
	ExtensionRedactedEnvVars = "REDACTED_ENV_VARS"
	ExtensionFeatureBundle1  = "FEATURE_BUNDLE_1"
	ExtensionExpr            = "EXPR"
)

// JobTemplate is a valid job template.
type JobTemplate struct {
	name        FormatString
	description string
	extensions  []string
	params      []ParameterDefinition
	envs        []envTemplate
	steps       []stepTemplate
	lim         limits
}

// EnvironmentTemplate is a valid environment template.
type EnvironmentTemplate struct {
	extensions []string
	params     []ParameterDefinition
	env        envTemplate
}

// ParseJobTemplate reads a job template in YAML 1.2 or JSON. The error is Errors,
// with everything that is wrong. Documents of more than 300,000 bytes, 50,000
// values or 64 levels are refused, so that none takes more than some 100 ms and
// 64 MiB.
func ParseJobTemplate(data []byte) (*JobTemplate, error) {
	n, err := parseDocument(data)
	if err != nil {
		return nil, asErrors(err)
	}
	c := newChecker()
	t := c.jobTemplate(n)
	if err := c.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// ParseEnvironmentTemplate reads an environment template in YAML 1.2 or JSON. The
// error is Errors, with everything that is wrong; the limits are those of
// ParseJobTemplate.
func ParseEnvironmentTemplate(data []byte) (*EnvironmentTemplate, error) {
	n, err := parseDocument(data)
	if err != nil {
		return nil, asErrors(err)
	}
	c := newChecker()
	t := c.envDocument(n)
	if err := c.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// asErrors drops the mark of a syntax error.
func asErrors(err error) error {
	if s, ok := err.(syntaxError); ok {
		return s.Errors
	}
	return err
}

// Name is the job's name as the template has it, unresolved.
func (t *JobTemplate) Name() FormatString { return t.name }

// Description is the template's description, empty without one.
func (t *JobTemplate) Description() string { return t.description }

// Extensions are the extensions that the template names, in its order.
func (t *JobTemplate) Extensions() []string { return slices.Clone(t.extensions) }

// ParameterDefinitions are the template's own definitions; see MergeDefinitions
// for those of a submission with environment templates.
func (t *JobTemplate) ParameterDefinitions() []ParameterDefinition { return slices.Clone(t.params) }

// StepNames are the names of the steps, in the template's order.
func (t *JobTemplate) StepNames() []string {
	names := make([]string, len(t.steps))
	for i, s := range t.steps {
		names[i] = s.name
	}
	return names
}

// Name is the environment's name.
func (t *EnvironmentTemplate) Name() string { return t.env.name }

// Description is the environment's description, empty without one.
func (t *EnvironmentTemplate) Description() string { return t.env.description }

// Extensions are the extensions that the template names, in its order.
func (t *EnvironmentTemplate) Extensions() []string { return slices.Clone(t.extensions) }

// ParameterDefinitions are the template's own definitions.
func (t *EnvironmentTemplate) ParameterDefinitions() []ParameterDefinition {
	return slices.Clone(t.params)
}

// version checks that the document says it is of the kind that was asked for.
func (o object) version(want string) {
	n := o.need("specificationVersion")
	if n == nil {
		return
	}
	at := o.at.field("specificationVersion")
	s, ok := o.c.text(n, at)
	switch {
	case !ok || s == want:
	case s == jobTemplateVersion:
		o.c.fail(n, at, "says that this is a job template, and an environment template is needed", "give it as the job template")
	case s == envTemplateVersion:
		o.c.fail(n, at, "says that this is an environment template, and a job template is needed", "give it as an environment")
	default:
		o.c.fail(n, at, fmt.Sprintf("%q is not a known version", clip(s)), "write "+want)
	}
}

// extensions reads the optional key of that name and switches on what it names.
func (o object) extensions() []string {
	n, at := o.get("extensions"), o.at.field("extensions")
	if n == nil {
		return nil
	}
	var names []string
	seen := map[string]*place{}
	for i, item := range o.c.list(n, at, 1, 50) {
		s, ok := o.c.text(item, at.item(i))
		if !ok {
			continue
		}
		o.c.unique(seen, item, at.item(i), s, "the extension")
		names = append(names, s)
		o.c.extension(item, at.item(i), s)
	}
	return names
}

func (c *checker) extension(n *node, at *place, name string) {
	const hint = "supported are TASK_CHUNKING, REDACTED_ENV_VARS, FEATURE_BUNDLE_1 and EXPR"
	switch name {
	case ExtensionTaskChunking:
		c.chunking = true
	case ExtensionRedactedEnvVars:
	case ExtensionFeatureBundle1:
		c.bundle1 = true
		c.lim = limits{identifier: 512, jobName: 512, stepName: 512, envName: 512, parameters: 200, filename: 256}
	case ExtensionExpr:
		c.expr = true
	case "WRAP_ACTIONS":
		c.fail(n, at, "the extension "+name+" is not supported yet", hint)
	default:
		c.fail(n, at, fmt.Sprintf("the extension %q is not known", clip(name)), hint)
	}
}

func (c *checker) envDocument(n *node) *EnvironmentTemplate {
	o, ok := c.object(n, nil, "specificationVersion", "$schema", "extensions", "parameterDefinitions", "environment")
	if !ok {
		return nil
	}
	o.version(envTemplateVersion)
	t := &EnvironmentTemplate{extensions: o.extensions()}
	t.params = o.parameters()
	if n := o.need("environment"); n != nil {
		s := paramScope(t.params)
		s.jobName = c.expr
		t.env = c.environment(n, o.at.field("environment"), s)
	}
	return t
}

func (c *checker) jobTemplate(n *node) *JobTemplate {
	o, ok := c.object(n, nil, "specificationVersion", "$schema", "extensions", "name", "description",
		"parameterDefinitions", "jobEnvironments", "steps")
	if !ok {
		return nil
	}
	o.version(jobTemplateVersion)
	t := &JobTemplate{extensions: o.extensions(), lim: c.lim}
	t.description = o.description()
	t.params = o.parameters()
	t.lim = c.lim
	s := paramScope(t.params)
	if n := o.need("name"); n != nil {
		t.name = c.jobName(n, o.at.field("name"), s)
	}
	seen := map[string]*place{}
	s.jobName = c.expr
	t.envs = o.environments("jobEnvironments", s, seen)
	t.steps = o.steps(s, seen)
	return t
}

// jobName reads the name; its length is that of the resolved text.
func (c *checker) jobName(n *node, at *place, s scope) FormatString {
	f, ok := c.format(n, at, s)
	if !ok {
		return f
	}
	c.printable(n, at, f.raw, "")
	if f.literal() {
		c.sized(n, at, f.raw, 1, c.lim.jobName)
	}
	return f
}
