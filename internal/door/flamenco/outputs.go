package flamenco

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"drover.farm/internal/farm"
)

const maxOutputs = 10_000

// outputs finds what the work has written: in the archive that came with its end,
// or where the farm's own machine sees the folder. seen is false when the farm
// cannot see it; then the worker's word counts.
func (d *Door) outputs(w *work, file *upload) (out map[int64][]farm.File, seen bool, err error) {
	root := slices.IndexFunc(w.job.Spec.Roots, func(r farm.Root) bool { return r.Output })
	if root < 0 {
		return nil, false, nil
	}
	dir, name := d.outputDir(w)
	var files []farm.File
	switch {
	case d.kindOf(w.m) == pull && dir == "":
		if file == nil {
			return nil, w.post == nil || len(w.post.order.file) == 0, nil
		}
		if w.post != nil && len(w.post.order.file) > 0 {
			return nil, false, nil // it wrote to storage that only workers see
		}
		if files, err = d.unpack(d.ctx, file.blob, maxOutputs); err != nil {
			return nil, true, err
		}
	case dir != "":
		if files, err = d.gather(d.ctx, dir, name, w.frames); err != nil {
			return nil, true, err
		}
	default:
		return nil, false, nil
	}
	out = make(map[int64][]farm.File)
	for _, f := range files {
		f.Root = root
		frame, ok := frameOfFile(f.Name, name, w.frames)
		if !ok {
			frame = w.frames[0] // what else the scene writes
		}
		out[frame] = append(out[frame], f)
	}
	for frame, list := range out {
		if !slices.ContainsFunc(list, func(f farm.File) bool { _, ok := frameOfFile(f.Name, name, []int64{frame}); return ok }) {
			delete(out, frame) // nothing of the frame itself
		}
	}
	return out, true, nil
}

// outputDir is where the farm's own machine sees the pictures of the work, and
// their pattern; "" where it does not.
func (d *Door) outputDir(w *work) (dir, name string) {
	if w.post != nil && len(w.post.order.file) > 0 {
		sys, path := w.post.order.output.any()
		_, name = split(sys, path)
		if local := d.shares.local(w.post.order.output); local != "" {
			dir = filepath.Dir(local)
		}
		return dir, orText(name, "####")
	}
	if d.kindOf(w.m) == pull {
		return "", pattern(w.job)
	}
	if s, ok := d.shares.staging(w.m.sys); ok {
		dir = filepath.Join(s[farmSys], stageFolder, num(w.job.ID), "out", num(w.leases[0].ID))
	}
	return dir, pattern(w.job)
}

// frameOfFile finds the frame of a picture by its name: the frame's own, with an
// extension or a view's suffix behind it.
func frameOfFile(file, pattern string, frames []int64) (int64, bool) {
	base := file[strings.LastIndexByte(file, '/')+1:]
	for _, f := range frames {
		rest, ok := strings.CutPrefix(base, stem(pattern, f))
		if ok && rest != "" && (rest[0] < '0' || rest[0] > '9') {
			return f, true
		}
	}
	return 0, false
}

// gather puts the pictures of the frames that lie in a folder into the store.
func (d *Door) gather(ctx context.Context, dir, pattern string, frames []int64) ([]farm.File, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look for pictures: %w", err)
	}
	defer root.Close()
	list, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("look for pictures: %w", err)
	}
	var out []farm.File
	for _, e := range list {
		if _, ok := frameOfFile(e.Name(), pattern, frames); !ok || !e.Type().IsRegular() || len(out) == maxOutputs {
			continue
		}
		f, err := root.Open(e.Name())
		if err != nil {
			return nil, fmt.Errorf("open a picture: %w", err)
		}
		info, err := d.cfg.Blobs.Put(ctx, f, nil)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("keep a picture: %w", err)
		}
		out = append(out, farm.File{Name: e.Name(), SHA256: info.SHA256.String(), Size: info.Size})
	}
	return out, nil
}

// makeOutput makes the folder of a posted task's pictures where the farm's own
// machine sees it; workers do not.
func (d *Door) makeOutput(o *order) {
	local := d.shares.local(o.output)
	if local == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(local), 0o777); err != nil {
		d.log.Warn("an output folder cannot be made", "err", err)
	}
}
