package submit

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// framePattern is how programs write the number of a frame in a file name: as
// printf has it (%04d) or in signs (####).
var framePattern = regexp.MustCompile(`%0?\d*d|#+`)

// sequence adds the files of a sequence of pictures whose name has a pattern for
// the number, as in beauty.%04d.exr.
func (in *Inputs) sequence(pattern string) error {
	dir, name := filepath.Split(pattern)
	at := framePattern.FindStringIndex(name)
	if at == nil {
		return fs.ErrNotExist
	}
	want, err := regexp.Compile("^" + regexp.QuoteMeta(name[:at[0]]) + `-?\d+` + regexp.QuoteMeta(name[at[1]:]) + "$")
	if err != nil {
		return err
	}
	if !in.may(dir) {
		return fs.ErrNotExist
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := 0
	for _, e := range entries {
		if e.Type().IsRegular() && want.MatchString(e.Name()) {
			if err := in.File(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
			found++
		}
	}
	if found == 0 {
		return fmt.Errorf("no file fits %s", pattern)
	}
	return nil
}
