package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/api"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/blender"
	"drover.farm/internal/submit"
	"drover.farm/openjd"
)

type submitPage struct {
	Limit int64
}

func (v *visit) submitPage() error {
	v.page(http.StatusOK, "submit", "submit", "Submit", submitPage{v.UploadLimit})
	return nil
}

// submitForm is what is asked about something that was uploaded.
type submitForm struct {
	Files   []uploaded
	Main    string
	Mains   []string
	Error   string
	Scene   *sceneForm
	Groups  []fieldGroup // of a template
	About   string       // the template's description
	Plan    bool         // a scene that its template is filled in for
	Points  []string     // files of sensors that can be computed instead of views
	Missing []string
	Notes   []string
	// Testable says that the first frame can be rendered ahead of the rest.
	Testable bool
	// Versions are those of the renderer that the job can be pinned to.
	Versions []string
	Values   url.Values // as they were typed
}

// Value is what was typed into a field, else a default.
func (f submitForm) Value(name, other string) string {
	if v, ok := f.Values[name]; ok && len(v) > 0 {
		return v[0]
	}
	return other
}

// Is reports whether a box was checked.
func (f submitForm) Is(name string) bool { return f.Values.Get(name) != "" }

// sceneForm is what a .blend says of itself.
type sceneForm struct {
	Version  string
	Set      *blender.Settings
	Scenes   []string
	Cameras  []string
	Frames   string
	Size     blender.Size
	Formats  []string
	Engines  []string
	Files    int
	Warnings []string
}

type fieldGroup struct {
	Label  string
	Fields []field
}

// field is a parameter of a template with its hints.
type field struct {
	openjd.ParameterDefinition
	Value string
	Files []string // to choose from
}

// prepared is what was uploaded, laid out and read.
type prepared struct {
	dir  string
	main string // path of what is submitted
	form submitForm
}

// prepare reads the form's uploads. The caller removes p.dir.
func (v *visit) prepare() (p *prepared, err error) {
	if err := v.form(4 << 20); err != nil {
		return nil, err
	}
	p = &prepared{form: submitForm{Values: v.r.PostForm}}
	if p.form.Files, err = v.uploadedFiles(v.r.PostForm["file"]); err != nil {
		return nil, err
	}
	select {
	case v.reads <- struct{}{}:
		defer func() { <-v.reads }()
	case <-v.ctx().Done():
		return nil, v.ctx().Err()
	}
	if p.dir, err = v.layOut(p.form.Files); err != nil {
		return nil, err
	}
	if p.form.Mains, err = candidates(p.dir); err == nil && len(p.form.Mains) == 0 {
		err = farm.Errorf(farm.Invalid, "there is nothing in it that can be submitted: a scene (.blend), an OpenJD template (.yaml, .json), or an archive or bundle with one")
	}
	if err != nil {
		_ = os.RemoveAll(p.dir)
		return nil, err
	}
	p.form.Main = p.form.Mains[0]
	if m := v.r.PostForm.Get("main"); slices.Contains(p.form.Mains, m) {
		p.form.Main = m
	}
	p.main = filepath.Join(p.dir, filepath.FromSlash(p.form.Main))
	return p, nil
}

// readUpload shows the form for what was uploaded.
func (v *visit) readUpload() error {
	p, err := v.prepare()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(p.dir) }()
	return v.ask(http.StatusOK, p)
}

// ask shows the form, with the words of an error when there was one.
func (v *visit) ask(status int, p *prepared) error {
	var err error
	switch p.kind() {
	case ".blend":
		err = p.readScene(v.ctx())
	case ".vrscene", ".rif":
		err = p.readPlanned(v.ctx(), v.Farm)
	default:
		err = p.readTemplate(v.ctx(), v.Farm)
	}
	if p.form.Versions == nil {
		vs, listErr := v.Farm.Versions(v.ctx(), map[string]string{".blend": "blender", ".vrscene": "vray", ".rif": "radiance"}[p.kind()])
		if listErr != nil {
			return listErr
		}
		p.form.Versions = vs
	}
	if err != nil {
		p.form.Error, status = sentence(p.hide(messageOf(err))), http.StatusBadRequest
	}
	v.page(status, "submitform", "submit", "Submit "+path.Base(p.form.Main), p.form)
	return nil
}

// messageOf is what of an error a submitter may read: those of scenes and
// templates speak of what was uploaded.
func messageOf(err error) string {
	var e *farm.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// hide takes the name of the folder on the farm's machine out of a message.
func (p *prepared) hide(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, p.dir+string(filepath.Separator), ""), p.dir, "")
}

func (p *prepared) readScene(ctx context.Context) error {
	plan, err := blender.NewPlan(ctx, p.main, blender.PlanOptions{Inside: p.dir})
	if err != nil {
		return err
	}
	_, in, err := submit.Scene(plan, p.dir, "", false)
	if err != nil {
		return err
	}
	files, _, err := in.List()
	if err != nil {
		return err
	}
	s := &sceneForm{Version: plan.Scene.VersionText(), Set: plan.Scene.ActiveScene(), Cameras: plan.Scene.Cameras, Frames: plan.Frames.String(), Size: plan.Size,
		Formats: []string{"PNG", "JPEG", "OPEN_EXR", "TIFF", "TARGA", "BMP", "HDR"}, Engines: []string{"CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"}, Files: len(files), Warnings: plan.Warnings}
	for _, set := range plan.Scene.Scenes {
		s.Scenes = append(s.Scenes, set.Name)
	}
	for _, m := range plan.Missing {
		p.form.Missing = append(p.form.Missing, strings.TrimSpace(string(m.Kind)+" "+p.hide(cmp.Or(m.Path, m.Name))))
	}
	p.form.Scene, p.form.Testable = s, true
	return nil
}

func (p *prepared) readTemplate(ctx context.Context, f *farm.Farm) error {
	t, _, defs, stored, err := p.template(ctx, f)
	if err != nil {
		return err
	}
	p.form.About = t.Description()
	files, err := allFiles(p.dir)
	if err != nil {
		return err
	}
	p.fields(defs, stored, files)
	for _, d := range defs {
		if d.Name == "Frames" && p.form.Value("p.Frames", cmp.Or(stored["Frames"], d.Default)) != "" {
			_, err := renderer.ParseFrames(p.form.Value("p.Frames", cmp.Or(stored["Frames"], d.Default)))
			p.form.Testable = err == nil
		}
	}
	return nil
}

// template reads the template with the farm's environments and the bundle around
// it.
func (p *prepared) template(ctx context.Context, f *farm.Farm) (*openjd.JobTemplate, *submit.Bundle, []openjd.ParameterDefinition, map[string]string, error) {
	text, err := os.ReadFile(p.main)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	t, err := openjd.ParseJobTemplate(text)
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("the template is refused:\n%w", err)
	}
	envs, err := environments(ctx, f)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defs, err := openjd.MergeDefinitions(envs, t)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	b := &submit.Bundle{}
	if strings.HasPrefix(filepath.Base(p.main), "template.") {
		if b, err = submit.ReadBundle(filepath.Dir(p.main)); err != nil {
			return nil, nil, nil, nil, err
		}
	}
	return t, b, defs, b.Values, nil
}

// environments are those that the farm runs every job in.
func environments(ctx context.Context, f *farm.Farm) ([]*openjd.EnvironmentTemplate, error) {
	list, err := f.Environments(ctx)
	if err != nil {
		return nil, err
	}
	var out []*openjd.EnvironmentTemplate
	for _, e := range list {
		if e.Tag != "" {
			continue
		}
		t, err := openjd.ParseEnvironmentTemplate([]byte(e.Template))
		if err != nil {
			return nil, fmt.Errorf("the farm's environment %s: %w", e.Name, err)
		}
		out = append(out, t)
	}
	return out, nil
}

func allFiles(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && len(out) < 1000 {
			rel, _ := filepath.Rel(dir, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	return out, err
}

// submit hands the job in.
func (v *visit) submit() error {
	p, err := v.prepare()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(p.dir) }()
	job, in, err := v.plan(p)
	if err == nil {
		var id int64
		if id, err = v.handIn(p, job, in); err == nil {
			v.back(fmt.Sprintf("/ui/jobs/%d", id), "submitted")
			return nil
		}
	}
	if code := farm.CodeOf(err); code == farm.Forbidden || code == farm.Unavailable || code == farm.Full {
		return err
	}
	first := sentence(p.hide(messageOf(err)))
	if err := v.ask(http.StatusBadRequest, &prepared{dir: p.dir, main: p.main, form: submitForm{Files: p.form.Files, Main: p.form.Main, Mains: p.form.Mains, Values: p.form.Values, Error: first}}); err != nil {
		return err
	}
	return nil
}

func (v *visit) plan(p *prepared) (api.Submission, *submit.Inputs, error) {
	f := v.r.PostForm
	text := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	switch {
	case p.planned():
		if err := p.findPoints(); err != nil {
			return api.Submission{}, nil, err
		}
		return p.planScene(v.ctx(), v.Farm, f)
	case p.kind() != ".blend":
		return p.planTemplate(v.ctx(), v.Farm, f)
	}
	var ns [3]int
	for i, name := range []string{"width", "height", "samples"} {
		if s := text(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 {
				return api.Submission{}, nil, farm.Errorf(farm.Invalid, "the %s %s is no whole number", name, quoted(s))
			}
			ns[i] = n
		}
	}
	if s := text("frames"); s != "" {
		if _, err := renderer.ParseFrames(s); err != nil {
			return api.Submission{}, nil, err
		}
	}
	device := text("device")
	if device != "" && device != "CPU" && device != "GPU" {
		return api.Submission{}, nil, farm.Errorf(farm.Invalid, "Cycles renders with the CPU or the GPU, not with %s", quoted(device))
	}
	plan, err := blender.NewPlan(v.ctx(), p.main, blender.PlanOptions{
		JobName: text("name"), Frames: text("frames"), Format: text("format"), Width: ns[0], Height: ns[1], Samples: ns[2],
		Inside: p.dir, Engine: text("engine"), SceneName: text("scene"), Camera: text("camera"), OutputName: text("output"), Device: device,
	})
	if err != nil {
		return api.Submission{}, nil, err
	}
	return submit.Scene(plan, p.dir, text("name"), f.Get("black") != "")
}

func (p *prepared) planTemplate(ctx context.Context, fm *farm.Farm, f url.Values) (api.Submission, *submit.Inputs, error) {
	t, b, defs, stored, err := p.template(ctx, fm)
	if err != nil {
		return api.Submission{}, nil, err
	}
	values := map[string]string{}
	for _, d := range defs {
		if s, ok := f["p."+d.Name]; ok && (s[0] != "" || d.Type == openjd.TypeString) {
			values[d.Name] = s[len(s)-1]
		} else if s, ok := stored[d.Name]; ok {
			values[d.Name] = s
		}
	}
	envs, err := environments(ctx, fm)
	if err != nil {
		return api.Submission{}, nil, err
	}
	dir := filepath.Dir(p.main)
	job, err := t.Instantiate(values, openjd.Options{Environments: envs, TemplateDir: dir, WorkingDir: p.dir})
	if err != nil {
		return api.Submission{}, nil, fmt.Errorf("the template is refused with these values:\n%w", err)
	}
	in := submit.New(p.dir)
	if err := submit.Gather(in, job, b.Refs, false); err != nil {
		return api.Submission{}, nil, err
	}
	text, err := os.ReadFile(p.main)
	if err != nil {
		return api.Submission{}, nil, err
	}
	resolved := map[string]string{}
	for _, q := range job.Parameters {
		resolved[q.Name] = q.Value
	}
	return api.Submission{Name: strings.TrimSpace(f.Get("name")), Template: string(text), Parameters: resolved}, in, nil
}

// shown is the folder under which submitted files lie, as the job names it.
const shown = "/submitted"

// handIn keeps the job's files and submits it. Paths of this machine become ones
// below shown.
func (v *visit) handIn(p *prepared, job api.Submission, in *submit.Inputs) (int64, error) {
	files, paths, err := in.List()
	if err != nil {
		return 0, err
	}
	priority := farm.DefaultPriority
	if s := v.r.PostForm.Get("priority"); s != "" {
		if priority, err = strconv.Atoi(s); err != nil {
			return 0, farm.Errorf(farm.Invalid, "the priority %s is no whole number", quoted(s))
		}
	}
	tags := strings.FieldsFunc(v.r.PostForm.Get("tags"), func(r rune) bool { return r == ',' || r == ' ' })
	s := farm.Submission{By: v.by, Priority: priority, Build: strings.TrimSpace(v.r.PostForm.Get("version")), Paused: v.r.PostForm.Get("paused") != "", Spec: farm.Spec{
		Name: job.Name, Template: job.Template, Parameters: map[string]string{}, Renderer: job.Renderer, Order: farm.Order(v.r.PostForm.Get("order")), Tags: tags,
	}}
	for name, value := range job.Parameters {
		if value == p.dir || strings.HasPrefix(value, p.dir+string(filepath.Separator)) {
			value = shown + filepath.ToSlash(value[len(p.dir):])
		}
		s.Spec.Parameters[name] = value
	}
	for _, r := range in.Roots {
		if r.Path == p.dir || strings.HasPrefix(r.Path, p.dir+string(filepath.Separator)) {
			r.Path, r.Format = shown+filepath.ToSlash(r.Path[len(p.dir):]), "POSIX"
		}
		s.Spec.Roots = append(s.Spec.Roots, farm.Root(r))
	}
	if job.Check != nil {
		c := farm.Check(*job.Check)
		s.Spec.Check = &c
	}
	for i, f := range files {
		if f.SHA256, err = v.keep(paths[i], f.Size); err != nil {
			return 0, err
		}
		s.Spec.Files = append(s.Spec.Files, farm.File(f))
	}
	if v.r.PostForm.Get("test") != "" && s.Spec.Parameters["Frames"] != "" {
		return v.testFirst(s)
	}
	j, err := v.Farm.Submit(v.ctx(), s)
	if err != nil {
		return 0, err
	}
	return j.ID, nil
}

// testFirst submits the first frame as a job of its own, ahead of the rest,
// which waits until somebody resumes it.
func (v *visit) testFirst(s farm.Submission) (int64, error) {
	fr, err := renderer.ParseFrames(s.Spec.Parameters["Frames"])
	if err != nil {
		return 0, err
	}
	test := s
	test.Spec.Parameters = map[string]string{}
	for k, v := range s.Spec.Parameters {
		test.Spec.Parameters[k] = v
	}
	test.Spec.Parameters["Frames"] = strconv.FormatInt(fr.Runs()[0].Start, 10)
	test.Spec.Name = clip(cmp.Or(s.Spec.Name, s.Spec.Parameters["JobName"], "job"), 100) + " (test frame)"
	test.Priority = min(100, s.Priority+10)
	test.Paused = false
	s.Paused = true
	if _, err := v.Farm.Submit(v.ctx(), s); err != nil {
		return 0, err
	}
	j, err := v.Farm.Submit(v.ctx(), test)
	if err != nil {
		return 0, err
	}
	return j.ID, nil
}

// keep puts a file into the store and returns its hash.
func (v *visit) keep(path string, size int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	i, err := v.Blobs.Put(v.ctx(), blob.WithSize(f, size), nil)
	return i.SHA256.String(), err
}
