package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// TempPrefix begins the names of folders that are being unpacked, and of whatever
// else Sweep removes.
const TempPrefix = ".unpacking-"

// Unpack unpacks an archive into the folder name below parent. The folder
// appears whole, by one rename, or not at all; Sweep removes what a crash left.
// It fails with a *Refusal, with ErrPassword, or with fs.ErrExist when the
// folder is there. Files get mode 0644, or 0755 when executable.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, parent, name string, o Options) error {
	if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
		return fmt.Errorf("%q is no name of a folder", name)
	}
	final := filepath.Join(parent, name)
	if _, err := os.Lstat(final); err == nil {
		return fmt.Errorf("unpack to %s: %w", final, fs.ErrExist)
	}
	temp, err := os.MkdirTemp(parent, TempPrefix)
	if err != nil {
		return fmt.Errorf("make a folder to unpack in: %w", err)
	}
	if err := unpackInto(ctx, r, size, temp, o); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if o.Finish != nil {
		if err := o.Finish(temp); err != nil {
			return errors.Join(err, os.RemoveAll(temp))
		}
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if o.Lasting {
		if err := settle(temp); err != nil {
			return errors.Join(fmt.Errorf("write what was unpacked to the disk: %w", err), os.RemoveAll(temp))
		}
	}
	if err := os.Rename(temp, final); err != nil {
		return errors.Join(fmt.Errorf("put the unpacked folder in place: %w", err), os.RemoveAll(temp))
	}
	return nil
}

// Sweep removes what unpackings that were cut off left below parent. Call it
// when none is under way.
func Sweep(parent string) error {
	left, err := filepath.Glob(filepath.Join(parent, TempPrefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range left {
		errs = append(errs, os.RemoveAll(p))
	}
	return errors.Join(errs...)
}

func unpackInto(ctx context.Context, r io.ReaderAt, size int64, dir string, o Options) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the folder to unpack in: %w", err)
	}
	defer root.Close()
	var links []string
	err = Walk(ctx, r, size, o, func(e Entry, body io.Reader) error {
		if inside, err := e.within(o.Root); err != nil || !inside {
			return err
		}
		if at := strings.LastIndexByte(e.Name, '/'); at > 0 {
			if err := root.MkdirAll(filepath.FromSlash(e.Name[:at]), 0o755); err != nil {
				return fmt.Errorf("make the folder of %q: %w", clip(e.Name), err)
			}
		}
		if e.Kind == Symlink {
			links = append(links, e.Name)
		}
		return place(root, e, body)
	})
	if err != nil {
		return err
	}
	// Links that lead through other links are seen for what they are only once
	// all are there: a Root does not follow one out of itself.
	for _, name := range links {
		if _, err := root.Stat(filepath.FromSlash(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return refuse(name, "is a link that leads outside of the archive or in a circle")
		}
	}
	return nil
}

// within moves an entry up by the folder that alone is unpacked, and reports
// whether it lies below it.
func (e *Entry) within(root string) (bool, error) {
	if root == "" {
		return true, nil
	}
	name, inside := strings.CutPrefix(e.Name, root+"/")
	if !inside {
		return false, nil
	}
	if e.Kind == Hardlink {
		target, inside := strings.CutPrefix(e.Target, root+"/")
		if !inside {
			return false, refuse(e.Name, "is a hard link to %q, outside of the folder %q", clip(e.Target), clip(root))
		}
		e.Target = target
	}
	e.Name = name
	return true, nil
}

// place makes one entry.
func place(root *os.Root, e Entry, body io.Reader) error {
	name := filepath.FromSlash(e.Name)
	var err error
	switch e.Kind {
	case Folder:
		err = root.MkdirAll(name, 0o755)
	case Symlink:
		err = root.Symlink(filepath.FromSlash(e.Target), name)
	case Hardlink:
		err = root.Link(filepath.FromSlash(e.Target), name)
	default:
		return placeFile(root, name, e.Exec, body)
	}
	if err != nil {
		return fmt.Errorf("unpack %q: %w", clip(e.Name), err)
	}
	return nil
}

func placeFile(root *os.Root, name string, executable bool, body io.Reader) error {
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("unpack %q: %w", clip(name), err)
	}
	if _, err := io.Copy(f, body); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("unpack %q: %w", clip(name), err)
	}
	return nil
}
