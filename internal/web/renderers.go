package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/library"
)

// renderersPage is the library of renderers, and what workers have besides.
type renderersPage struct {
	Builds    []buildRow
	Installed []installed
	Files     []library.File // in the import folder
	May, Add  bool           // the viewer changes builds, adds some or offers them
	Offers    bool
	Sees      bool // all workers
	Form      buildForm
}

// topics implements the page's being live: for those who may see all workers.
func (p renderersPage) topics() string {
	if !p.Sees {
		return ""
	}
	return "builds"
}

// buildForm is what is said of a build that is being added.
type buildForm struct {
	Error   string
	File    string // field of the upload, kept while something is asked
	Name    string
	Product string
	Version string
	OS      string
	Arch    string
	Program string
}

// buildRow is a build and how far it has come.
type buildRow struct {
	farm.Build
	Newest bool // new jobs begin with it on its system
	Jobs   int  // that have not ended and are rendered with it
	Have   []holder
	Fits   int // workers that can have it
}

// holder is a worker and what it has of a build.
type holder struct {
	ID   int64
	Name string
	Note string
}

// installed is a version that workers have on their machines.
type installed struct {
	Product, Version, OS, Arch string
	Workers                    []holder
}

func (v *visit) renderers() error { return v.showRenderers(http.StatusOK, buildForm{}) }

func (v *visit) showRenderers(status int, form buildForm) error {
	rows, err := v.buildRows(v.ctx())
	if err != nil {
		return err
	}
	p := renderersPage{Builds: rows, Form: form, May: v.by.Is(farm.RoleOperator), Offers: v.by.Is(farm.RoleRenderer) && !v.by.Is(farm.RoleOperator)}
	p.Add, p.Sees = p.May || p.Offers, v.by.Is(farm.RoleSubmitter)
	if v.Imports != nil {
		p.Files = v.Imports()
	}
	ws, err := v.Farm.Farmhands(v.ctx())
	if err != nil {
		return err
	}
	mine := map[int64]bool{}
	ws = slices.DeleteFunc(ws, func(w *farm.Worker) bool { mine[w.ID] = v.sees(w); return !mine[w.ID] })
	for i := range rows {
		rows[i].Have = slices.DeleteFunc(rows[i].Have, func(h holder) bool { return !mine[h.ID] })
	}
	p.Installed = onMachines(ws)
	v.page(status, "renderers", "renderers", "Renderers", p)
	return nil
}

// buildRows lists the builds with who has them.
func (s *site) buildRows(ctx context.Context) ([]buildRow, error) {
	bs, err := s.Farm.BuildList(ctx, "") // newest version first
	if err != nil {
		return nil, err
	}
	ws, err := s.Farm.Farmhands(ctx)
	if err != nil {
		return nil, err
	}
	js, err := s.Farm.Jobs(ctx, farm.JobQuery{States: []farm.JobState{farm.JobWaiting, farm.JobRunning, farm.JobPaused}})
	if err != nil {
		return nil, err
	}
	rows := make([]buildRow, len(bs))
	first := map[string]bool{}
	for i := range bs {
		r := &rows[i]
		r.Build = bs[i]
		key := r.Product + " " + r.OS + " " + r.Arch
		r.Newest = r.State == farm.BuildUsable && r.Trial == 0 && !first[key]
		first[key] = first[key] || r.Newest
		for _, j := range js {
			if j.Spec.Renderer == r.Product && j.Build == r.Version {
				r.Jobs++
			}
		}
		r.held(ws)
	}
	return rows, nil
}

// held finds who has the build.
func (r *buildRow) held(ws []*farm.Worker) {
	for _, w := range ws {
		m := &w.Machine
		if (r.OS != m.OS && r.OS != farm.Any) || (r.Arch != m.Arch && r.Arch != farm.Any) {
			continue
		}
		fetches := slices.Contains(m.Fetches, r.Product) || slices.Contains(m.Fetches, farm.Any)
		held := slices.Contains(m.Held, r.SHA256)
		tries, proved := slices.Contains(r.TrialWorkers, w.ID), slices.Contains(r.Proved, w.ID)
		if fetches && (r.Trial == 0 || tries) {
			r.Fits++
		}
		note := ""
		switch {
		case proved:
			note = "has done a task with it"
		case tries && held:
			note = "tries it"
		case tries:
			note = "is to try it; not fetched yet"
		case held:
			note = "has fetched it"
		default:
			continue
		}
		r.Have = append(r.Have, holder{w.ID, w.Name, note})
	}
}

// onMachines lists the renderers that workers brought themselves.
func onMachines(ws []*farm.Worker) []installed {
	var out []installed
	for _, w := range ws {
		for _, x := range w.Machine.Renderers {
			key := installed{Product: x.Product, Version: x.Version, OS: w.Machine.OS, Arch: w.Machine.Arch}
			at := slices.IndexFunc(out, func(o installed) bool {
				return o.Product == key.Product && o.Version == key.Version && o.OS == key.OS && o.Arch == key.Arch
			})
			if at < 0 {
				at, out = len(out), append(out, key)
			}
			out[at].Workers = append(out[at].Workers, holder{ID: w.ID, Name: w.Name})
		}
	}
	slices.SortFunc(out, func(a, b installed) int {
		return strings.Compare(a.Product+"\x00"+a.Version+"\x00"+a.OS, b.Product+"\x00"+b.Version+"\x00"+b.OS)
	})
	return out
}

// addBuild puts an archive that was uploaded into the library. When it cannot be
// told what it is, that is asked for; the upload is kept meanwhile.
func (v *visit) addBuild() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	text := func(name string) string { return clip(strings.TrimSpace(v.r.PostForm.Get(name)), 200) }
	form := buildForm{File: text("file"), Product: strings.ToLower(text("product")), Version: text("version"), OS: text("os"), Arch: text("arch"), Program: text("program")}
	files, err := v.uploadedFiles(v.r.PostForm["file"])
	if err != nil {
		return err
	}
	if len(files) > 1 {
		return farm.Errorf(farm.Invalid, "one build is added at a time; drop one archive")
	}
	form.Name = files[0].Name
	b, fresh, err := v.Library.Add(v.ctx(), v.by, files[0].info.SHA256, form.Name, library.Description{
		Product: form.Product, Version: form.Version, OS: form.OS, Arch: form.Arch, Program: form.Program,
	})
	switch code := farm.CodeOf(err); {
	case code == farm.Invalid || code == farm.Conflict:
		form.Error = sentence(farm.MessageOf(err))
		return v.showRenderers(statuses[code], form)
	case err != nil:
		return err
	case b.State == farm.BuildAside:
		v.back("/ui/renderers", "offered")
	case !fresh:
		v.back("/ui/renderers", "known")
	default:
		v.back("/ui/renderers", "published")
	}
	return nil
}

// changeBuild does to a build what "drover renderer" does.
func (v *visit) changeBuild() error {
	id, err := v.number("build")
	if err != nil {
		return err
	}
	if err := v.form(64 << 10); err != nil {
		return err
	}
	f, said := v.r.PostForm, "saved"
	reason := clip(strings.TrimSpace(f.Get("reason")), 500)
	switch do := f.Get("do"); do {
	case "use":
		if _, err = v.Farm.SetBuildState(v.ctx(), v.by, id, farm.BuildUsable, ""); err == nil {
			_, err = v.Farm.TryBuild(v.ctx(), v.by, id, 0)
		}
	case "try":
		n, bad := strconv.Atoi(f.Get("workers"))
		if bad != nil || n < 1 {
			return farm.Errorf(farm.Invalid, "at least one worker tries a build; %s is no number of workers", quoted(f.Get("workers")))
		}
		_, err = v.Farm.TryBuild(v.ctx(), v.by, id, n)
	case "retire":
		_, err = v.Farm.RetireBuild(v.ctx(), v.by, id)
	case "aside":
		if reason == "" {
			return farm.Errorf(farm.Invalid, "say why the build is set aside, for those whose jobs wait for it")
		}
		_, err = v.Farm.SetBuildState(v.ctx(), v.by, id, farm.BuildAside, reason)
	case "remove":
		err, said = v.Farm.RemoveBuild(v.ctx(), v.by, id), "removed"
	default:
		return farm.Errorf(farm.Invalid, "a build cannot be told to %s", quoted(do))
	}
	if err != nil {
		return err
	}
	v.back("/ui/renderers", said)
	return nil
}

// Systems are what a build can be said to run on.
func (renderersPage) Systems() []string { return []string{"linux", "windows", "macos", farm.Any} }

// Archs are the processors that it can be said to run on.
func (renderersPage) Archs() []string { return []string{"x86_64", "arm64", farm.Any} }
