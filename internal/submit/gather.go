package submit

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"drover.farm/openjd"
)

// Gather finds the files and folders that a job's PATH parameters and a
// bundle's references name. Files of references that are missing are an error
// only when strict, else a note.
func Gather(in *Inputs, job *openjd.Job, refs *References, strict bool) error {
	for _, p := range job.Parameters {
		for _, path := range p.Paths() {
			if path != "" && p.DataFlow != "NONE" {
				in.Root(folderOf(p, path), p.DataFlow != "IN")
			}
		}
	}
	refs.roots(in)
	for _, r := range in.Roots {
		if r.Output {
			in.pruned[r.Path] = true
		}
	}
	for _, p := range job.Parameters {
		for _, path := range p.Paths() {
			if err := in.parameter(p, path); err != nil {
				return fmt.Errorf("parameter %s: %w", p.Name, err)
			}
		}
	}
	return refs.files(in, strict)
}

// parameter adds what a path of a parameter names, if it is an input. A FILE that
// is not there may name a sequence of pictures by a pattern.
func (in *Inputs) parameter(p openjd.JobParameter, path string) error {
	if path == "" || p.DataFlow != "IN" && p.DataFlow != "INOUT" {
		return nil
	}
	delete(in.pruned, path)
	add := in.File
	if p.ObjectType == "DIRECTORY" {
		add = in.Folder
	}
	err := add(path)
	if errors.Is(err, fs.ErrNotExist) && p.ObjectType == "FILE" && framePattern.MatchString(filepath.Base(path)) {
		err = in.sequence(path)
	}
	if p.DataFlow == "INOUT" && errors.Is(err, fs.ErrNotExist) {
		return nil // it will be made
	}
	return err
}

// folderOf is the folder of a path: itself, or that of a file.
func folderOf(p openjd.JobParameter, path string) string {
	if p.ObjectType == "DIRECTORY" {
		return path
	}
	return filepath.Dir(path)
}
