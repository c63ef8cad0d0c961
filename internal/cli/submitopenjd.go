package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"drover.farm/internal/api"
	"drover.farm/openjd"
)

// openjd reads a template with the values of its parameters and finds the files
// that it needs. dir is the folder that relative defaults lie under.
func (c *submitCmd) openjd(a *App, file, dir string, values map[string]string, refs *assetReferences) (*ready, error) {
	text, err := readDocument(file)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	t, err := openjd.ParseJobTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("%s is refused:\n%w", file, err)
	}
	envs, texts, err := environments(c.Environment)
	if err != nil {
		return nil, err
	}
	o, err := whereabouts(dir, envs)
	if err != nil {
		return nil, err
	}
	job, err := t.Instantiate(values, o)
	if err != nil {
		return nil, fmt.Errorf("%s is refused with these parameters:\n%w", file, err)
	}
	in := newInputs()
	if err := c.gather(in, job, refs); err != nil {
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

// gather finds the files and folders that a job's PATH parameters and a
// bundle's references name.
func (c *submitCmd) gather(in *inputs, job *openjd.Job, refs *assetReferences) error {
	for _, p := range job.Parameters {
		if p.Type == openjd.TypePath && p.Value != "" && p.DataFlow != "NONE" {
			in.root(folderOf(p), p.DataFlow != "IN")
		}
	}
	refs.roots(in)
	for _, r := range in.roots {
		if r.Output {
			in.pruned[r.Path] = true
		}
	}
	for _, p := range job.Parameters {
		if p.Type != openjd.TypePath || p.Value == "" || p.DataFlow != "IN" && p.DataFlow != "INOUT" {
			continue
		}
		delete(in.pruned, p.Value)
		add := in.file
		if p.ObjectType == "DIRECTORY" {
			add = in.folder
		}
		if err := add(p.Value); err != nil {
			if p.DataFlow == "INOUT" && errors.Is(err, fs.ErrNotExist) {
				continue // it will be made
			}
			return fmt.Errorf("parameter %s: %w", p.Name, err)
		}
	}
	return refs.files(in, c.Strict)
}

// folderOf is the folder of a PATH parameter: itself, or that of a file.
func folderOf(p openjd.JobParameter) string {
	if p.ObjectType == "DIRECTORY" {
		return p.Value
	}
	return filepath.Dir(p.Value)
}
