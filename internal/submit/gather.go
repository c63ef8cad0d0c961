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
		if p.Type == openjd.TypePath && p.Value != "" && p.DataFlow != "NONE" {
			in.Root(folderOf(p), p.DataFlow != "IN")
		}
	}
	refs.roots(in)
	for _, r := range in.Roots {
		if r.Output {
			in.pruned[r.Path] = true
		}
	}
	for _, p := range job.Parameters {
		if p.Type != openjd.TypePath || p.Value == "" || p.DataFlow != "IN" && p.DataFlow != "INOUT" {
			continue
		}
		delete(in.pruned, p.Value)
		add := in.File
		if p.ObjectType == "DIRECTORY" {
			add = in.Folder
		}
		if err := add(p.Value); err != nil {
			if p.DataFlow == "INOUT" && errors.Is(err, fs.ErrNotExist) {
				continue // it will be made
			}
			return fmt.Errorf("parameter %s: %w", p.Name, err)
		}
	}
	return refs.files(in, strict)
}

// folderOf is the folder of a PATH parameter: itself, or that of a file.
func folderOf(p openjd.JobParameter) string {
	if p.ObjectType == "DIRECTORY" {
		return p.Value
	}
	return filepath.Dir(p.Value)
}
