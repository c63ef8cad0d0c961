package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/api"
)

// maxHashed is the size up to which a file that lay in an output root before is
// compared by content when its time has changed.
const maxHashed = 4 << 20

// maxSeen bounds how many files of output roots are looked at.
const maxSeen = 1_000_000

// seen is a file as it lay in an output root.
type seen struct {
	info fs.FileInfo
	hash string // of small ones
}

// output is a file that a task made: file.Name beneath root file.Root, its
// content at path until the task is delivered.
type output struct {
	file api.File
	path string
}

// baseline is what lies in the output roots of a stage and is not an output.
type baseline struct {
	s     *stage
	files map[string]seen // by path relative to the stage
}

// newBaseline looks at the output roots: whatever lies there now, no task made.
func newBaseline(ctx context.Context, s *stage) (*baseline, error) {
	b := &baseline{s: s, files: make(map[string]seen)}
	err := b.walk(func(name string, info fs.FileInfo) error {
		f, err := b.look(ctx, name, info)
		b.files[name] = f
		return err
	})
	return b, err
}

func (b *baseline) look(ctx context.Context, name string, info fs.FileInfo) (seen, error) {
	f := seen{info: info}
	if info.Size() > maxHashed {
		return f, nil
	}
	var err error
	f.hash, err = hashFile(ctx, filepath.Join(b.s.dir, name))
	return f, err
}

// walk calls fn for each regular file of the output roots. Links and devices are
// no outputs.
func (b *baseline) walk(fn func(name string, info fs.FileInfo) error) error {
	n := 0
	for i, r := range b.s.roots {
		if !r.Output {
			continue
		}
		top := filepath.Join(b.s.dir, strconv.Itoa(i))
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				// A file that goes away meanwhile was not meant to stay.
				if errors.Is(err, fs.ErrNotExist) && path != top {
					return nil
				}
				return err
			}
			if !d.Type().IsRegular() {
				return nil
			}
			if n++; n > maxSeen {
				return jobFault(fmt.Errorf("more than %d files lie in the output folders", maxSeen))
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return err
			}
			name, err := filepath.Rel(b.s.dir, path)
			if err != nil {
				return err
			}
			return fn(name, info)
		})
		if err != nil {
			return fmt.Errorf("look for outputs: %w", err)
		}
	}
	return nil
}

// collect takes the files that are new or changed since the last call out of the
// output roots and into the folder to, sorted by name. New ones are moved, so
// that the next task, which may use the same names, neither changes them nor fills
// the disk; changed ones are copied, for others may still need them.
func (b *baseline) collect(ctx context.Context, to string, most int) ([]output, error) {
	type find struct {
		name string
		info fs.FileInfo
		old  bool
	}
	var finds []find
	err := b.walk(func(name string, info fs.FileInfo) error {
		f, old := b.files[name]
		if old {
			same, err := b.unchanged(ctx, name, f, info)
			if same || err != nil {
				return err
			}
		}
		if len(finds) == most {
			return jobFault(fmt.Errorf("the task put out more than %d files", most))
		}
		finds = append(finds, find{name, info, old})
		return nil
	})
	if err != nil || len(finds) == 0 {
		return nil, err
	}
	slices.SortFunc(finds, func(a, b find) int { return strings.Compare(a.name, b.name) })
	if err := os.MkdirAll(to, 0o700); err != nil {
		return nil, err
	}
	outputs := make([]output, 0, len(finds))
	for i, f := range finds {
		o, err := b.take(ctx, f.name, f.info, f.old, filepath.Join(to, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, o)
	}
	return outputs, nil
}

// unchanged reports whether a file is what it was. A rewritten small file with
// the content it had is; of a large one the time decides.
func (b *baseline) unchanged(ctx context.Context, name string, was seen, now fs.FileInfo) (bool, error) {
	if was.info.Size() != now.Size() {
		return false, nil
	}
	if os.SameFile(was.info, now) && was.info.ModTime().Equal(now.ModTime()) {
		return true, nil
	}
	if was.hash == "" {
		return false, nil
	}
	hash, err := hashFile(ctx, filepath.Join(b.s.dir, name))
	return hash == was.hash, err
}

// take moves or copies one output.
func (b *baseline) take(ctx context.Context, name string, info fs.FileInfo, old bool, to string) (output, error) {
	rel := filepath.ToSlash(name)
	number, rel, _ := strings.Cut(rel, "/")
	if err := checkName(rel); err != nil {
		return output{}, jobFault(fmt.Errorf("the task wrote a file that cannot be kept: %w", err))
	}
	from := filepath.Join(b.s.dir, name)
	if old {
		f, err := b.look(ctx, name, info)
		if err != nil {
			return output{}, err
		}
		b.files[name] = f
		if err := copyFile(from, to, 0o600); err != nil {
			return output{}, fmt.Errorf("keep output %s: %w", quote(rel), err)
		}
	} else if err := os.Rename(from, to); err != nil {
		return output{}, fmt.Errorf("keep output %s: %w", quote(rel), err)
	}
	if err := os.Chmod(to, 0o600); err != nil {
		return output{}, fmt.Errorf("keep output %s: %w", quote(rel), err)
	}
	o := output{path: to, file: api.File{Name: rel, Size: info.Size(), Mode: int(info.Mode() & 0o111)}}
	o.file.Root, _ = strconv.Atoi(number)
	return o, nil
}
