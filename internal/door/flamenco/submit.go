package flamenco

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/renderer/blender"
)

//go:embed print.yaml
var printTemplate string

//go:embed tile.yaml
var tileTemplate string

// Obstacle says why this door's workers cannot do a job, "" when they can: they
// do what it can make commands of. It is for farm.Config.Obstacles.
func Obstacle(s *farm.Spec) string {
	if isBlender(s) || s.Template == printTemplate || s.Template == tileTemplate {
		return ""
	}
	return "it can make commands for Flamenco workers only of Drover's own jobs for Blender"
}

// submit makes a job of a posted task. With an archive, or where the farm sees
// the storage that the task names, its files become the farm's, and any worker
// can render it; else only workers of Flamenco, who find them by themselves.
func (d *Door) submit(ctx context.Context, p *post, zip *upload) (*farm.Job, error) {
	o, err := p.want()
	if err != nil {
		return nil, err
	}
	spec := farm.Spec{Doors: []string{Name}}
	files := false
	switch {
	case p.Type == typePrint:
		spec.Doors, spec.Template = nil, printTemplate
		spec.Parameters = map[string]string{"Text": o.text}
	case zip != nil || o.filepath != "" && p.JobID != 0 && len(o.file) == 0:
		if err := d.archiveSpec(ctx, &spec, p, o, zip); err != nil {
			return nil, err
		}
		files = p.JobID != 0
	case len(o.file) == 0 || len(o.output) == 0:
		return nil, wrong("settings", "they name no file_path and output_path for any system, and there is no archive of the job")
	case !stageable(p):
		_, scene := o.file.any()
		_, output := o.output.any()
		tileSpec(&spec, p.Type, o, scene, strings.TrimRight(output, `/\`))
	default:
		if err := d.sharedSpec(ctx, &spec, o); err != nil {
			return nil, err
		}
	}
	spec.Name = jobName(p, o)
	if spec.Parameters["JobName"] == "" {
		spec.Parameters["JobName"] = clipRunes(spec.Name, 128)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	number := int64(0)
	j, err := d.farm.Submit(ctx, farm.Submission{By: d.by, Priority: p.Priority, Spec: spec, Notes: func(job int64) []farm.Note {
		// Before anybody is offered the job: fits goes by it.
		d.mu.Lock()
		d.posts[job], number = p, job
		d.mu.Unlock()
		notes := []farm.Note{{Key: noteTask(p.ID)}, {Key: notePost(job), Text: string(text)}, {Key: noteOpen(job)}}
		if p.Child != 0 {
			notes = append(notes, farm.Note{Key: noteChild(p.Child, p.ID)})
		}
		if files {
			notes = append(notes, farm.Note{Key: noteFiles(p.JobID)})
		}
		return notes
	}})
	if err != nil {
		d.mu.Lock()
		delete(d.posts, number)
		d.mu.Unlock()
		return nil, err
	}
	return j, nil
}

// blenderSpec fills in the job of Drover's own template.
func (d *Door) blenderSpec(s *farm.Spec, o *order, scene, output, name string) {
	s.Template, s.Renderer = blender.Template, "blender"
	s.Parameters = map[string]string{"Scene": scene, "Frames": o.frames.String(), "OutputDir": output, "OutputName": name, "Autoexec": "true"}
	if _, ok := blenderFormats[o.format]; ok {
		s.Parameters["Format"] = o.format
	}
	p, known := d.presets[o.script]
	if known {
		s.Parameters["Width"], s.Parameters["Height"] = num(int64(p.width)), num(int64(p.height))
	}
	s.Check = &farm.Check{AllowBlack: true}
	if (o.script == "" || known) && o.command == "" {
		s.Doors = nil // every worker can do that
	}
}

// blenderFormats are those that the template knows.
var blenderFormats = map[string]struct{}{"PNG": {}, "JPEG": {}, "OPEN_EXR": {}, "OPEN_EXR_MULTILAYER": {}, "TIFF": {}, "TARGA": {}, "BMP": {}, "HDR": {}, "WEBP": {}}

// sharedSpec is the job of a scene on storage that workers share.
func (d *Door) sharedSpec(ctx context.Context, s *farm.Spec, o *order) error {
	sys, scene := o.file.any()
	outSys, output := o.output.any()
	dir, name := split(outSys, output)
	d.blenderSpec(s, o, scene, dir, orText(name, "#####"))
	s.Doors, s.Check = []string{Name}, nil
	sceneDir, _ := split(sys, scene)
	s.Roots = []farm.Root{{Path: sceneDir, Format: formatOf(sys)}, {Path: dir, Format: formatOf(outSys), Output: true}}
	return d.ingest(ctx, s, o)
}

// archiveSpec is the job of a scene whose files come as an archive.
func (d *Door) archiveSpec(ctx context.Context, s *farm.Spec, p *post, o *order, zip *upload) error {
	var err error
	if s.Files, err = d.jobFiles(ctx, p, zip); err != nil {
		return err
	}
	if !slices.ContainsFunc(s.Files, func(f farm.File) bool { return f.Name == o.filepath }) {
		return wrong("settings", fmt.Sprintf("filepath: the archive of the job has no file %q", clip(o.filepath, 200)))
	}
	root := fmt.Sprintf("/flamenco/%d", p.JobID)
	s.Roots = []farm.Root{{Path: root, Format: "POSIX"}, {Path: root + "/output", Format: "POSIX", Output: true}}
	if stageable(p) {
		d.blenderSpec(s, o, path.Join(root, o.filepath), root+"/output", "#####")
	} else {
		tileSpec(s, p.Type, o, path.Join(root, o.filepath), root+"/output")
	}
	return nil
}

func tileSpec(s *farm.Spec, kind string, o *order, scene, output string) {
	first, _ := o.ends()
	s.Template, s.Renderer = tileTemplate, "blender"
	s.Parameters = map[string]string{"Scene": scene, "Output": output, "Frames": o.frames.String()}
	if kind == typeTile {
		s.Parameters["Prefix"], s.Parameters["Script"] = fmt.Sprintf("tiled_%d_", o.tile), tileScript(o.tile, o.tiles)
		return
	}
	from := outputFolder
	if len(s.Files) > 0 {
		from = jobFolder
	}
	s.Parameters["Script"], s.Parameters["Format"] = mixScript(o.tiles, first, from), orText(o.format, "PNG")
}

// any is a path for some system.
func (p paths) any() (system, string) {
	for _, s := range systems {
		if p[s] != "" {
			return s, p[s]
		}
	}
	return linux, ""
}

func formatOf(s system) string {
	if s == win {
		return "WINDOWS"
	}
	return "POSIX"
}

// split cuts a path into its folder and the name in it.
func split(s system, p string) (dir, name string) {
	at := strings.LastIndexByte(p, '/')
	if s == win {
		at = strings.LastIndexAny(p, `/\`)
	}
	if at < 0 {
		return ".", p
	}
	return orText(p[:at], "/"), p[at+1:]
}

// jobName is what people see.
func jobName(p *post, o *order) string {
	what := o.text
	if p.Type != typePrint {
		_, file := o.file.any()
		what = orText(o.filepath, file)
		what = what[strings.LastIndexAny(what, `/\`)+1:] + " " + o.frames.String()
	}
	what = strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, what)
	return clipRunes(fmt.Sprintf("Flamenco task %d: %s", p.ID, what), 250)
}

func clipRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

const maxJobFiles = 20_000

// jobFiles are the files of a poster's job: of the archive that came, or of the
// last task of the same job_id.
func (d *Door) jobFiles(ctx context.Context, p *post, zip *upload) ([]farm.File, error) {
	if zip != nil {
		return d.unpack(ctx, zip.blob, maxJobFiles)
	}
	j, err := d.filesJob(ctx, p.JobID)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, wrong("jobfile", fmt.Sprintf("the files of job %d are not here; send them with a task as jobfile (a zip)", p.JobID))
	}
	return j.Spec.Files, nil
}

// filesJob is the job of the farm that has the files of a poster's job, or nil.
func (d *Door) filesJob(ctx context.Context, id int64) (*farm.Job, error) {
	n, err := d.farm.Note(ctx, noteFiles(id))
	if err == nil {
		var j *farm.Job
		if j, err = d.farm.Job(ctx, n.Job); err == nil {
			return j, nil
		}
	}
	if farm.CodeOf(err) == farm.NotFound {
		return nil, nil
	}
	return nil, err
}

// unpack puts the files of an archive into the store, one by one.
func (d *Door) unpack(ctx context.Context, zip blob.Info, most int) ([]farm.File, error) {
	f, err := d.cfg.Blobs.Open(ctx, zip.SHA256)
	if err != nil {
		return nil, fmt.Errorf("open an archive: %w", err)
	}
	defer f.Close()
	var out []farm.File
	err = archive.Walk(ctx, f, f.Size(), archive.Options{Limits: archive.Limits{Entries: most, Bytes: int64(d.set.Upload) << 20}}, func(e archive.Entry, body io.Reader) error {
		switch e.Kind {
		case archive.Folder:
			return nil
		case archive.File:
		default:
			return &archive.Refusal{Entry: e.Name, Why: "is a link"}
		}
		info, err := d.cfg.Blobs.Put(ctx, body, nil)
		if err != nil {
			return err
		}
		file := farm.File{Name: e.Name, SHA256: info.SHA256.String(), Size: info.Size}
		if e.Exec {
			file.Mode = 0o755
		}
		out = append(out, file)
		return nil
	})
	var refusal *archive.Refusal
	switch {
	case errors.As(err, &refusal):
		return nil, farm.Errorf(farm.Invalid, "%s", refusal.Error())
	case errors.Is(err, blob.ErrFull):
		return nil, farm.Errorf(farm.Full, "the farm has no room for files")
	}
	return out, err
}
