package flamenco

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/blender"
)

// hashes remembers the content of files on shares, so that the hundred tasks of
// one scene read it once.
type hashes struct {
	mu    sync.Mutex
	known map[string]hashed
}

type hashed struct {
	size  int64
	mtime time.Time
	info  blob.Info
}

const maxHashes = 10_000

// ingest takes the files of a scene on a share into the farm, where its own
// machine sees them, so that workers of every door can render it. Where it does
// not, or files are missing, workers of Flamenco find them by themselves.
func (d *Door) ingest(ctx context.Context, s *farm.Spec, o *order) error {
	scene, output := d.shares.local(o.file), d.shares.local(o.output)
	_, known := d.presets[o.script]
	if scene == "" || output == "" || o.command != "" || o.script != "" && !known {
		return nil
	}
	name := filepath.Base(output)
	if renderer.CheckPattern(name) != nil {
		return nil
	}
	p, err := blender.NewPlan(ctx, scene, blender.PlanOptions{Frames: o.frames.String(), OutputDir: filepath.Dir(output), OutputName: name,
		Format: s.Parameters["Format"], Autoexec: true})
	if err != nil || len(p.Missing) > 0 || o.format != "" && s.Parameters["Format"] == "" {
		d.log.Info("a scene on a share stays with Flamenco workers", "scene", scene, "missing", lenMissing(p), "err", err)
		return nil
	}
	for _, in := range p.Inputs {
		if !d.shares.holds(in.Path) {
			d.log.Warn("a scene on a share stays with Flamenco workers: it names a file that is not on a share", "scene", scene, "file", in.Path)
			return nil
		}
	}
	roots := make(map[string]int)
	spec := *s
	spec.Roots, spec.Files = nil, nil
	for _, r := range p.Roots {
		roots[r] = len(spec.Roots)
		spec.Roots = append(spec.Roots, farm.Root{Path: r, Format: "POSIX"})
	}
	for _, in := range p.Inputs {
		f, err := d.take1(ctx, in.Path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(in.Root, in.Path)
		if err != nil {
			return err
		}
		f.Name, f.Root = filepath.ToSlash(rel), roots[in.Root]
		spec.Files = append(spec.Files, f)
	}
	out, ok := roots[filepath.Dir(output)]
	if !ok {
		out = len(spec.Roots)
		spec.Roots = append(spec.Roots, farm.Root{Path: filepath.Dir(output), Format: "POSIX"})
	}
	spec.Roots[out].Output = true
	spec.Doors, spec.Parameters = nil, p.Parameters
	if preset := d.presets[o.script]; known {
		spec.Parameters["Width"], spec.Parameters["Height"] = num(int64(preset.width)), num(int64(preset.height))
	}
	delete(spec.Parameters, "JobName")
	spec.Check = &farm.Check{AllowBlack: true}
	*s = spec
	return nil
}

func lenMissing(p *blender.Plan) int {
	if p == nil {
		return 0
	}
	return len(p.Missing)
}

// take1 puts a file into the store, unless it is there and has not changed.
func (d *Door) take1(ctx context.Context, path string) (farm.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return farm.File{}, farm.Errorf(farm.Invalid, "a file of the scene cannot be read: %s", filepath.Base(path))
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return farm.File{}, fmt.Errorf("look at a file of a scene: %w", err)
	}
	d.hashes.mu.Lock()
	h, ok := d.hashes.known[path]
	d.hashes.mu.Unlock()
	if ok && h.size == st.Size() && h.mtime.Equal(st.ModTime()) {
		if _, err := d.cfg.Blobs.Stat(ctx, h.info.SHA256); err == nil {
			return farm.File{SHA256: h.info.SHA256.String(), Size: h.size}, nil
		}
	}
	info, err := d.cfg.Blobs.Put(ctx, f, nil)
	if err != nil {
		return farm.File{}, blob.AsFull(err)
	}
	d.hashes.mu.Lock()
	defer d.hashes.mu.Unlock()
	if len(d.hashes.known) >= maxHashes || d.hashes.known == nil {
		d.hashes.known = make(map[string]hashed)
	}
	d.hashes.known[path] = hashed{st.Size(), st.ModTime(), info}
	return farm.File{SHA256: info.SHA256.String(), Size: info.Size}, nil
}
