package native

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"drover.farm/internal/farm"
)

// route is one call of the API: a row of the table from which the server and
// the OpenAPI document are made.
type route struct {
	method, path string // path without Prefix, in the patterns of http.ServeMux
	access       access
	summary      string
	help         string
	query        []param
	handler
	maxBody int64 // of a JSON body; 0: smallBody
	noBody  bool  // the JSON body may be absent
	maybe   bool  // the answer may be 204: nothing
	holds   bool  // may be held open for long; counts against MaxHeld
	own     bool  // the handler checks what the client sends itself
}

// param is a parameter in the query of a route.
type param struct {
	name, kind string // kind is a JSON type
	help       string
}

// handler is what answers a route.
type handler struct {
	in, out reflect.Type // JSON bodies; nil: none
	status  int
	content []content // other bodies
	run     func(c *call) error
}

// content is a body that is not JSON.
type content struct {
	request bool
	status  int
	kind    string // media type
}

const (
	smallBody = 64 << 10
	largeBody = 16 << 20
	jobBody   = 64 << 20
)

// nothing is the answer of a call that has none.
type nothing struct{}

// call is one request on its way through a route.
type call struct {
	w  http.ResponseWriter
	r  *http.Request
	d  *door
	rt *route
	by farm.Principal
}

func (c *call) ctx() context.Context { return c.r.Context() }

// give answers with a document.
func give[Out any](status int, fn func(ctx context.Context, c *call) (Out, error)) handler {
	return handler{out: bodyType[Out](), status: status, run: func(c *call) error {
		v, err := fn(c.ctx(), c)
		if err != nil {
			return err
		}
		return c.reply(status, v)
	}}
}

// take reads a document and answers with another.
func take[In, Out any](status int, fn func(ctx context.Context, c *call, in In) (Out, error)) handler {
	h := handler{in: bodyType[In](), out: bodyType[Out](), status: status}
	h.run = func(c *call) error {
		var in In
		if err := c.read(&in); err != nil {
			return err
		}
		v, err := fn(c.ctx(), c, in)
		if err != nil {
			return err
		}
		return c.reply(status, v)
	}
	return h
}

// raw is a route whose bodies are not JSON.
func raw(run func(c *call) error, cs ...content) handler { return handler{run: run, content: cs} }

// bodyType is the type of a document, nil for nothing.
func bodyType[T any]() reflect.Type {
	t := reflect.TypeFor[T]()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[nothing]() {
		return nil
	}
	return t
}

// mount puts the routes into the mux, and answers for whatever is no route.
func (d *door) mount() {
	methods := make(map[string]map[string]bool)
	for i := range d.routes {
		rt := &d.routes[i]
		d.mux.Handle(rt.method+" "+Prefix+rt.path, d.serve(rt))
		if methods[rt.path] == nil {
			methods[rt.path] = make(map[string]bool)
		}
		methods[rt.path][rt.method] = true
		if rt.method == http.MethodGet {
			methods[rt.path][http.MethodHead] = true
		}
	}
	for path, ms := range methods {
		allow := strings.Join(slices.Sorted(maps.Keys(ms)), ", ")
		refuse := func(w http.ResponseWriter, r *http.Request) {
			d.fail(w, r, &fault{status: http.StatusMethodNotAllowed, code: farm.Invalid, allow: allow,
				detail: fmt.Sprintf("this address takes %s, not %s", allow, r.Method)})
		}
		for _, m := range []string{get, post, put, pat, del, http.MethodOptions} {
			if !ms[m] {
				d.mux.HandleFunc(m+" "+Prefix+path, refuse)
			}
		}
	}
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, farm.Errorf(farm.NotFound, "there is nothing at this address; %s/openapi.json lists what there is", Prefix))
	})
}

// serve is what every request goes through: who asks, whether they may, what
// was asked, the answer.
func (d *door) serve(rt *route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, d: d, rt: rt}
		if err := c.admit(); err != nil {
			d.fail(w, r, err)
			return
		}
		if rt.holds {
			if d.held.Add(1) > int64(d.MaxHeld) {
				d.held.Add(-1)
				d.fail(w, r, farm.Errorf(farm.Unavailable, "the farm holds too many requests open; try again in a few seconds"))
				return
			}
			defer d.held.Add(-1)
		}
		if err := rt.run(c); err != nil {
			d.fail(w, r, err)
		}
	}
}

// admit checks who asks and the query.
func (c *call) admit() error {
	if c.rt.access != public {
		p, err := c.d.authenticate(c.r)
		if err != nil {
			return err
		}
		if !c.rt.access.allows(p) {
			return farm.Errorf(farm.Forbidden, "this takes the role %s; the account %s has %s", c.rt.access, p.Login, roleNames(p.Roles))
		}
		c.by = p
	}
	if c.rt.own || c.r.URL.RawQuery == "" {
		return nil
	}
	for name := range c.r.URL.Query() {
		if !slices.ContainsFunc(c.rt.query, func(p param) bool { return p.name == name }) {
			return farm.Errorf(farm.Invalid, "the parameter %q is not known here; there are %s", clip(name, 50), names(c.rt.query))
		}
	}
	return nil
}

func names(ps []param) string {
	if len(ps) == 0 {
		return "none"
	}
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.name
	}
	return strings.Join(out, ", ")
}

func roleNames(rs []farm.Role) string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = string(r)
	}
	return strings.Join(out, ", ")
}

// clip shortens foreign text for a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
