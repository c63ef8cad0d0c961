package web

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/vray"
	"drover.farm/internal/submit"
	"drover.farm/openjd"
)

// kind is the extension of what is submitted, in lower case.
func (p *prepared) kind() string { return strings.ToLower(path.Ext(p.form.Main)) }

// planned reports whether what is submitted is a scene of V-Ray or Radiance: the
// form is made from the template that Drover has for it, and a plan of the scene
// fills that in.
func (p *prepared) planned() bool { return p.kind() == ".vrscene" || p.kind() == ".rif" }

// planScene plans a scene of V-Ray or Radiance with what was typed in.
func (p *prepared) planScene(ctx context.Context, f *farm.Farm, typed url.Values) (api.Submission, *submit.Inputs, error) {
	if p.kind() == ".rif" {
		return p.planRadiance(ctx, typed)
	}
	return p.planVRay(ctx, f, typed)
}

// picked are the values of a template's parameters that were typed in.
type picked url.Values

func (v picked) text(name string) string { return strings.TrimSpace(url.Values(v).Get("p." + name)) }

func (v picked) number(name string) (int, error) {
	s := v.text(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, farm.Errorf(farm.Invalid, "the value %s of %s is no whole number", quoted(s), name)
	}
	return n, nil
}

func (p *prepared) planVRay(ctx context.Context, f *farm.Farm, typed url.Values) (api.Submission, *submit.Inputs, error) {
	st, err := f.Status(ctx)
	if err != nil {
		return api.Submission{}, nil, err
	}
	v := picked(typed)
	o := vray.PlanOptions{
		JobName: strings.TrimSpace(typed.Get("name")), Frames: v.text("Frames"), OutputName: v.text("OutputName"), Format: v.text("Format"), Camera: v.text("Camera"), Engine: v.text("Engine"),
		Licence: slices.ContainsFunc(st.Limits, func(l farm.Limit) bool { return l.Name == vray.LicenceLimit }), Inside: p.dir,
	}
	if t := v.text("Tiles"); t != "1x1" {
		o.Tiles = t
	}
	if o.Width, err = v.number("Width"); err != nil {
		return api.Submission{}, nil, err
	}
	if o.Height, err = v.number("Height"); err != nil {
		return api.Submission{}, nil, err
	}
	if o.Frames != "" {
		if _, err := renderer.ParseFrames(o.Frames); err != nil {
			return api.Submission{}, nil, err
		}
	}
	plan, err := vray.NewPlan(ctx, p.main, o)
	if err != nil {
		return api.Submission{}, nil, err
	}
	for _, m := range plan.Missing {
		p.form.Missing = append(p.form.Missing, m.Kind+" "+p.hide(m.Path))
	}
	return submit.VRay(plan, p.dir, o.JobName, typed.Get("black") != "")
}

func (p *prepared) planRadiance(ctx context.Context, typed url.Values) (api.Submission, *submit.Inputs, error) {
	v := picked(typed)
	o := radiance.PlanOptions{JobName: strings.TrimSpace(typed.Get("name")), Tiles: v.text("Tiles"), OutputDir: strings.TrimSuffix(p.main, filepath.Ext(p.main)) + "_farm", Foreign: true}
	if file := typed.Get("points"); file != "" {
		if !slices.Contains(p.form.Points, file) {
			return api.Submission{}, nil, farm.Errorf(farm.Invalid, "there is no file %s with sensors among what was uploaded", quoted(file))
		}
		o.Points, o.Tiles = filepath.Join(p.dir, filepath.FromSlash(file)), ""
		o.Trace, o.HasTrace = v.text("Trace"), v.text("Trace") != ""
		var err error
		if o.Pieces, err = v.number("Pieces"); err != nil {
			return api.Submission{}, nil, err
		}
	}
	plan, err := radiance.NewPlan(ctx, p.main, o)
	if err != nil {
		return api.Submission{}, nil, err
	}
	p.form.Notes = append(p.form.Notes, plan.Notes...)
	return submit.Radiance(plan, p.dir, o.JobName)
}

// readPlanned shows what a planned scene can be asked: what its template has hints
// for, filled with what the plan says.
func (p *prepared) readPlanned(ctx context.Context, f *farm.Farm) error {
	if p.kind() == ".rif" {
		if err := p.findPoints(); err != nil {
			return err
		}
	}
	p.form.Plan = true
	job, in, err := p.planScene(ctx, f, p.form.Values)
	if err != nil {
		// What was typed is at fault, most likely: the form stays, with it.
		again := *p
		again.form.Missing, again.form.Notes = nil, nil
		var plain error
		if job, in, plain = again.planScene(ctx, f, url.Values{"points": p.form.Values["points"]}); plain != nil {
			return err
		}
		p.form.Missing, p.form.Notes = again.form.Missing, again.form.Notes
	}
	t, parseErr := openjd.ParseJobTemplate([]byte(job.Template))
	if parseErr != nil {
		return fmt.Errorf("the template for %s: %w", p.form.Main, parseErr)
	}
	defs, mergeErr := openjd.MergeDefinitions(nil, t)
	if mergeErr != nil {
		return mergeErr
	}
	files, _, listErr := in.List()
	if listErr != nil {
		return listErr
	}
	p.form.About = fmt.Sprintf("%s %s will be sent along.", t.Description(), count(len(files), "file"))
	_, p.form.Testable = job.Parameters["Frames"]
	defs = slices.DeleteFunc(defs, func(d openjd.ParameterDefinition) bool { return d.Type == openjd.TypePath || d.Name == "JobName" })
	p.fields(defs, job.Parameters, nil)
	return err
}

// findPoints lists the files that may hold sensors.
func (p *prepared) findPoints() error {
	files, err := allFiles(p.dir)
	for _, f := range files {
		if strings.EqualFold(path.Ext(f), ".pts") {
			p.form.Points = append(p.form.Points, f)
		}
	}
	return err
}

// fields groups parameters by their hints.
func (p *prepared) fields(defs []openjd.ParameterDefinition, values map[string]string, files []string) {
	for _, d := range defs {
		if d.UserInterface.Control == "HIDDEN" {
			continue
		}
		fl := field{ParameterDefinition: d, Value: d.Default}
		if v, ok := values[d.Name]; ok {
			fl.Value = v
		}
		fl.Value = p.form.Value("p."+d.Name, fl.Value)
		if d.Type == openjd.TypePath && d.UserInterface.Control == "CHOOSE_INPUT_FILE" {
			fl.Files = files
		}
		at := slices.IndexFunc(p.form.Groups, func(g fieldGroup) bool { return g.Label == d.UserInterface.GroupLabel })
		if at < 0 {
			at = len(p.form.Groups)
			p.form.Groups = append(p.form.Groups, fieldGroup{Label: d.UserInterface.GroupLabel})
		}
		p.form.Groups[at].Fields = append(p.form.Groups[at].Fields, fl)
	}
}

// Devices are what Cycles can be told to render with.
func (sceneForm) Devices() []string { return []string{"CPU", "GPU"} }
