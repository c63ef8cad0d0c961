package flamenco

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/renderer/blender"
)

// stageFolder is the folder of a share in which jobs are laid out for workers.
const stageFolder = ".drover"

// stage lays a job's files out on storage that the worker sees, and returns the
// folder of the files and one for its pictures, as the worker names them. The
// worker's leases are kept meanwhile.
func (d *Door) stage(m *member, w *work) (in, out string, err error) {
	s, ok := d.shares.staging(m.sys)
	if !ok {
		return "", "", d.unstaged(target{sys: m.sys})
	}
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	d.spawn(func() { d.keepWhile(ctx, m) })
	job := path.Join(stageFolder, num(w.job.ID))
	root, err := os.OpenRoot(s[farmSys])
	if err != nil {
		return "", "", fmt.Errorf("open a share: %w", err)
	}
	defer root.Close()
	outDir := path.Join(job, "out", num(w.leases[0].ID))
	for _, dir := range []string{path.Join(job, "in"), outDir} {
		if err := root.MkdirAll(filepath.FromSlash(dir), 0o777); err != nil {
			return "", "", fmt.Errorf("make a folder on a share: %w", err)
		}
	}
	for _, f := range w.job.Spec.Files {
		if err := d.lay(ctx, root, path.Join(job, "in", f.Name), f); err != nil {
			return "", "", err
		}
	}
	return join(s[m.sys], job+"/in"), join(s[m.sys], outDir), nil
}

// keepWhile renews what the worker holds until ctx ends.
func (d *Door) keepWhile(ctx context.Context, m *member) {
	t := time.NewTicker(d.set.Lease / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := d.farm.Keep(ctx, d.by, m.id, nil); err != nil && ctx.Err() == nil {
				d.log.Warn("leases cannot be kept while files are laid out", "worker", m.id, "err", err)
			}
		}
	}
}

// lay puts one file in place, whole or not at all. One that is there has the right
// content: jobs never change, and it appeared by a rename.
func (d *Door) lay(ctx context.Context, root *os.Root, name string, f farm.File) error {
	name = filepath.FromSlash(name)
	if info, err := root.Stat(name); err == nil && info.Size() == f.Size {
		return nil
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return fmt.Errorf("make a folder on a share: %w", err)
	}
	temp := name + ".drover-part"
	out, err := root.Create(temp)
	if err != nil {
		return fmt.Errorf("write to a share: %w", err)
	}
	err = errors.Join(d.copyBlob(ctx, out, f), out.Close())
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return fmt.Errorf("write %s to a share: %w", f.Name, err)
	}
	return nil
}

// unstage removes what was laid out for a job.
func (d *Door) unstage(job int64) {
	for _, s := range d.shares {
		if s[farmSys] == "" {
			continue
		}
		root, err := os.OpenRoot(s[farmSys])
		if err != nil {
			continue
		}
		if err := root.RemoveAll(filepath.Join(stageFolder, num(job))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("what was laid out for a job cannot be removed", "job", job, "err", err)
		}
		root.Close()
	}
}

// portable says whether a plain Blender finds all files of a job that came
// another way, wherever they lie: when they are below one folder and the scene
// and its libraries name them from their own. A job is looked at once, in the
// background; until then it is not. The dispatcher calls it.
func (d *Door) portable(j *farm.Job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err, known := d.reach[j.ID]
	if !known && d.ctx.Err() == nil {
		err = &errReach{"whether its files can be found wherever they lie is being looked at", "wait"}
		d.reach[j.ID] = err
		spec, id := j.Spec, j.ID
		d.jobs.Go(func() { d.look(id, &spec) })
	}
	return err
}

func (d *Door) look(job int64, spec *farm.Spec) {
	why := d.unportable(d.ctx, spec)
	d.mu.Lock()
	d.reach[job] = nil
	if why != "" {
		d.reach[job] = &errReach{"workers of Flamenco get its files in one folder, and " + why, "save the scene with relative paths (File, External Data, Make Paths Relative) beside what it uses, and submit it anew"}
	}
	d.mu.Unlock()
	if why != "" {
		d.log.Info("Flamenco workers are not given a job", "job", job, "reason", why)
		return
	}
	d.wakeAll()
}

// unportable says why a plain Blender would not find the files of a job, "" when
// it would.
func (d *Door) unportable(ctx context.Context, spec *farm.Spec) string {
	if sceneName(&farm.Job{Spec: *spec}) == "" {
		return "its scene is not among its files"
	}
	for _, f := range spec.Files {
		if f.Root != spec.Files[0].Root {
			return "its files lie in several folders"
		}
		if !strings.HasSuffix(f.Name, ".blend") {
			continue
		}
		s, err := d.readScene(ctx, f)
		if err != nil {
			return fmt.Sprintf("%s cannot be read: %v", f.Name, err)
		}
		for _, ref := range s.Files {
			if !ref.Optional && !strings.HasPrefix(ref.Path, "//") {
				return fmt.Sprintf("%s names %s by a whole path", f.Name, clip(ref.Path, 200))
			}
		}
	}
	return ""
}

func (d *Door) readScene(ctx context.Context, f farm.File) (*blender.Scene, error) {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return nil, err
	}
	b, err := d.cfg.Blobs.Open(ctx, h)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return blender.ReadScene(ctx, b, b.Size())
}
