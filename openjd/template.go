package openjd

// JobTemplate is a valid job template.
type JobTemplate struct {
	name        FormatString
	description string
	extensions  []string
	params      []ParameterDefinition
}

// EnvironmentTemplate is a valid environment template.
type EnvironmentTemplate struct {
	params []ParameterDefinition
}

// ParseJobTemplate reads a job template in YAML 1.2 or JSON. The error is Errors,
// with everything that is wrong.
func ParseJobTemplate(data []byte) (*JobTemplate, error) { return nil, nil }

// ParseEnvironmentTemplate reads an environment template in YAML 1.2 or JSON. The
// error is Errors, with everything that is wrong.
func ParseEnvironmentTemplate(data []byte) (*EnvironmentTemplate, error) { return nil, nil }

// Name is the job's name as the template has it, unresolved.
func (t *JobTemplate) Name() FormatString { return t.name }

// Description is the template's description, empty without one.
func (t *JobTemplate) Description() string { return t.description }

// Extensions are the extensions that the template names, in its order.
func (t *JobTemplate) Extensions() []string { return t.extensions }

// ParameterDefinitions are the template's own definitions; see MergeDefinitions
// for those of a submission with environment templates.
func (t *JobTemplate) ParameterDefinitions() []ParameterDefinition { return t.params }

// ParameterDefinitions are the template's own definitions.
func (t *EnvironmentTemplate) ParameterDefinitions() []ParameterDefinition { return t.params }

// MergeDefinitions merges the definitions of environment templates, in their
// order, and of the job template (section 1.2.1). The error is Errors.
func MergeDefinitions(envs []*EnvironmentTemplate, job *JobTemplate) ([]ParameterDefinition, error) {
	return nil, nil
}

// Options are the circumstances of a submission.
type Options struct {
	// Environments come before the job template when definitions are merged, and
	// before its environments in a session.
	Environments []*EnvironmentTemplate
	// TemplateDir is what relative defaults of PATH parameters are joined to, and
	// may not leave; empty keeps them as written.
	TemplateDir string
	// WorkingDir is what relative PATH values are joined to; empty keeps them as
	// written.
	WorkingDir string
}

// Instantiate binds values to the parameters and makes the job. Values are in the
// text form of the parameter's type; see ParameterValues for JSON. The error is
// Errors when the values or the combination of templates are at fault.
func (t *JobTemplate) Instantiate(values map[string]string, o Options) (*Job, error) {
	return nil, nil
}

// ParameterValues reads a JSON or YAML object of parameter values by name, with
// strings, numbers and booleans, into the text form that Instantiate takes.
func ParameterValues(data []byte) (map[string]string, error) { return nil, nil }

// StepOrder lists the indices of the job's steps so that each comes after those
// it depends on, and otherwise in the template's order.
func (j *Job) StepOrder() []int { return nil }
