package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"drover.farm/internal/farm"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages: each is the layout with a body of its own, and the
// parts that several share.
type templates struct {
	pages map[string]*template.Template
	parts *template.Template
}

// loadTemplates parses all templates. They are part of the program, so a fault
// in one ends it, in every test.
func loadTemplates(s *site) *templates {
	t := &templates{pages: map[string]*template.Template{}}
	files := template.New("").Funcs(funcs(s))
	t.parts = template.Must(files.ParseFS(templateFiles, "templates/layout.html", "templates/part_*.html"))
	names, _ := fs.Glob(templateFiles, "templates/page_*.html")
	for _, name := range names {
		text, _ := templateFiles.ReadFile(name)
		short := strings.TrimSuffix(strings.TrimPrefix(name, "templates/page_"), ".html")
		t.pages[short] = template.Must(template.Must(t.parts.Clone()).Parse(string(text)))
	}
	return t
}

// sheet is what the layout draws around a page.
type sheet struct {
	Title, Section string
	Here           string // this address
	Live           string // the topics that the page follows, "" for none
	Theme          string
	Login          string
	Anonymous      bool
	Opened         bool
	Roles          map[string]bool // that the viewer has, by name, and those they include
	Maintenance    bool
	Flash          *flash
	Data           any
}

// flash is a line that says what came of an action.
type flash struct {
	Bad  bool
	Text string
	Undo string // where to post to take it back
}

func (v *visit) sheet(section, title string, data any) *sheet {
	f := &sheet{
		Title: title, Section: section, Here: v.r.URL.RequestURI(), Theme: theme(v.r), Login: v.by.Login, Anonymous: v.anonymous,
		Opened: v.opened(), Roles: map[string]bool{}, Maintenance: v.Farm.Value(farm.ValueMaintenance) == "on", Data: data,
	}
	for _, r := range farm.Roles {
		f.Roles[string(r)] = v.by.Is(r)
	}
	if l, ok := data.(interface{ topics() string }); ok {
		f.Live = l.topics()
	}
	if text := v.r.URL.Query().Get("said"); text != "" {
		f.Flash = said(text)
	}
	return f
}

// page answers with a page.
func (v *visit) page(status int, name, section, title string, data any) {
	t := v.pages().pages[name]
	v.write(status, t, "layout", v.sheet(section, title, data))
}

// render answers with a part of a page.
func (v *visit) render(status int, part string, data any) {
	v.write(status, v.pages().parts, part, data)
}

func (v *visit) write(status int, t *template.Template, name string, data any) {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		// Nothing was sent yet, so this can still be said.
		v.Log.Error("a page cannot be drawn", "page", name, "path", v.r.URL.Path, "err", err)
		http.Error(v.w, farm.MessageOf(nil), http.StatusInternalServerError)
		return
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Cookie, HX-Request")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(b.Bytes())
}

// draw makes a part of a page, for streams.
func (s *site) draw(part string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := s.pages().parts.ExecuteTemplate(&b, part, data); err != nil {
		return nil, fmt.Errorf("draw %s: %w", part, err)
	}
	return b.Bytes(), nil
}

func funcs(s *site) template.FuncMap {
	return template.FuncMap{
		"asset": s.assets.url, "ago": func(t any) template.HTML { return ago(s.Farm.Now(), t) }, "bytes": size, "dur": duration,
		"count": count, "thousands": thousands, "points": pointsText, "pct": percent, "mark": mark, "version": func() string { return s.Version },
		"bar": bar, "legend": func() []string { return legend }, "join": strings.Join, "sentence": sentence, "plain": plain, "dict": dict,
		"has": func(list []string, s string) bool {
			for _, l := range list {
				if l == s {
					return true
				}
			}
			return false
		},
	}
}

// dict gathers values for a part that takes several.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict takes pairs")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		k, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict takes names, not %T", pairs[i])
		}
		m[k] = pairs[i+1]
	}
	return m, nil
}
