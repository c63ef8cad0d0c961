package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/internal/submit"
	"drover.farm/openjd"
)

// source is an OpenJD job as it lies on this machine.
type source struct {
	file string // the template
	dir  string // the folder that relative defaults lie under
	// given are the values of flags, stored those of a bundle, which come second.
	given, stored map[string]string
	refs          *submit.References
}

// openjd reads a template with the values of its parameters and finds the files
// that it needs. The job will run in the farm's environments, so that their
// parameters count too.
func (c *submitCmd) openjd(a *App, farm *client.Client, src *source) (*ready, error) {
	text, err := readDocument(src.file)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	t, err := openjd.ParseJobTemplate(text)
	if err != nil {
		return nil, refused(src.file, err)
	}
	own, texts, err := environments(c.Environment)
	if err != nil {
		return nil, err
	}
	envs, err := a.farmEnvironments(farm, c.Tag)
	if err != nil {
		return nil, err
	}
	o, err := whereabouts(src.dir, slices.Concat(envs, own))
	if err != nil {
		return nil, err
	}
	in := submit.New("")
	values, err := c.values(in, src, t, o.Environments)
	if err != nil {
		return nil, err
	}
	job, err := t.Instantiate(values, o)
	if err != nil {
		return nil, fmt.Errorf("%s is refused with these parameters:\n%w", src.file, err)
	}
	if err := submit.Gather(in, job, src.refs, c.Strict); err != nil {
		return nil, err
	}
	resolved := map[string]string{}
	for _, p := range job.Parameters {
		resolved[p.Name] = p.Value
	}
	return &ready{files: in, Submission: api.Submission{
		Name: c.Name, Template: string(text), Parameters: resolved, Environments: texts,
	}}, nil
}

// values are a job's values. Those that a bundle has for parameters of another
// farm's environments are passed over with a note.
func (c *submitCmd) values(in *submit.Inputs, src *source, t *openjd.JobTemplate, envs []*openjd.EnvironmentTemplate) (map[string]string, error) {
	defs, err := openjd.MergeDefinitions(envs, t)
	if err != nil {
		return nil, refused(src.file, err)
	}
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(src.stored)) {
		known := slices.ContainsFunc(defs, func(d openjd.ParameterDefinition) bool { return d.Name == name })
		if !known && !c.Strict {
			in.Notes = append(in.Notes, fmt.Sprintf("parameter_values: %q is passed over: neither the template nor an environment of this farm has that parameter", name))
			continue
		}
		out[name] = src.stored[name]
	}
	maps.Copy(out, src.given)
	return out, nil
}

// environments reads environment templates.
func environments(files []string) (envs []*openjd.EnvironmentTemplate, texts []string, err error) {
	for _, f := range files {
		text, err := readDocument(f)
		if err != nil {
			return nil, nil, fmt.Errorf("read the environment template: %w", err)
		}
		e, err := openjd.ParseEnvironmentTemplate(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s is refused:\n%w", f, err)
		}
		envs, texts = append(envs, e), append(texts, string(text))
	}
	return envs, texts, nil
}

// whereabouts are the folders that relative paths lie under.
func whereabouts(templateDir string, envs []*openjd.EnvironmentTemplate) (openjd.Options, error) {
	wd, err := os.Getwd()
	if err != nil {
		return openjd.Options{}, fmt.Errorf("find the current folder: %w", err)
	}
	dir, err := filepath.Abs(templateDir)
	if err != nil {
		return openjd.Options{}, fmt.Errorf("find the template's folder: %w", err)
	}
	return openjd.Options{Environments: envs, TemplateDir: dir, WorkingDir: wd}, nil
}
