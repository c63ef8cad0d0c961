package native

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/api"
)

// withOut adds a JSON answer to a handler that writes it itself.
func withOut[T any](h handler, status int) handler {
	h.out, h.status = bodyType[T](), status
	return h
}

// describe serves the OpenAPI document.
func (d *door) describe(c *call) error {
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(d.openapi)))
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(http.StatusOK)
	c.send(int64(len(d.openapi)), func() { _, _ = c.w.Write(d.openapi) })
	return nil
}

// object is a JSON object; encoding/json writes its members sorted.
type object = map[string]any

// document makes the OpenAPI 3.1 document of the routes.
func document(routes []route, version string) []byte {
	s := &schemas{all: make(object), requests: make(map[reflect.Type]bool)}
	for i := range routes {
		if in := routes[i].in; in != nil {
			s.mark(in)
		}
	}
	paths := make(map[string]object)
	for i := range routes {
		rt := &routes[i]
		p := strings.ReplaceAll(rt.path, "{$}", "")
		if paths[p] == nil {
			paths[p] = make(object)
		}
		paths[p][strings.ToLower(rt.method)] = s.operation(rt)
	}
	problem := s.ref(reflect.TypeFor[api.Problem]())
	if version == "" {
		version = "0"
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{"title": "Drover", "version": version,
			"description": "The native API of a Drover render farm. Errors are problem documents (RFC 9457) with a code."},
		"servers":  []object{{"url": Prefix}},
		"security": []object{{"token": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas":         s.all,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
			"responses": object{"problem": object{"description": "an error",
				"content": object{"application/problem+json": object{"schema": problem}}}},
		},
	}
	text, _ := json.MarshalIndent(doc, "", " ") // maps, strings and numbers: cannot fail
	return append(text, '\n')
}

var pathParam = regexp.MustCompile(`\{([a-z0-9]+)\}`)

// textParams are the parameters of paths that are not numbers.
var textParams = []string{"step", "sha256", "login", "name", "id"}

func (s *schemas) operation(rt *route) object {
	op := object{"summary": rt.summary, "operationId": operationID(rt), "x-access": string(rt.access), "responses": s.responses(rt)}
	text := "For " + string(rt.access) + "."
	switch rt.access {
	case public:
		text = "Takes no token."
		op["security"] = []object{}
	case renderer, submitter, operator, admin:
		text = "Takes the role " + string(rt.access) + "."
	}
	op["description"] = strings.TrimSpace(rt.help + " " + text)
	var params []object
	for _, m := range pathParam.FindAllStringSubmatch(rt.path, -1) {
		kind := "integer"
		if slices.Contains(textParams, m[1]) {
			kind = "string"
		}
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": kind}})
	}
	for _, q := range rt.query {
		params = append(params, object{"name": q.name, "in": "query", "description": q.help, "schema": object{"type": q.kind}})
	}
	if params != nil {
		op["parameters"] = params
	}
	if rt.in != nil {
		op["requestBody"] = object{"required": !rt.noBody, "content": object{"application/json": object{"schema": s.ref(rt.in)}}}
	}
	for _, c := range rt.content {
		if c.request {
			op["requestBody"] = object{"content": object{c.kind: object{}}}
		}
	}
	return op
}

// operationID names a call for generated clients: getJobsJobTasks.
func operationID(rt *route) string {
	id := strings.ToLower(rt.method)
	for _, word := range strings.FieldsFunc(rt.path, func(r rune) bool { return strings.ContainsRune("/{}.$", r) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func (s *schemas) responses(rt *route) object {
	out := object{"default": object{"$ref": "#/components/responses/problem"}}
	if rt.out != nil {
		out[strconv.Itoa(rt.status)] = object{"description": http.StatusText(rt.status),
			"content": object{"application/json": object{"schema": s.ref(rt.out)}}}
	} else if rt.status != 0 {
		out[strconv.Itoa(rt.status)] = object{"description": http.StatusText(rt.status)}
	}
	if rt.maybe {
		out["204"] = object{"description": "there is none"}
	}
	for _, c := range rt.content {
		if c.request {
			continue
		}
		r := object{"description": http.StatusText(c.status)}
		if c.kind != "" {
			r["content"] = object{c.kind: object{}}
		}
		out[strconv.Itoa(c.status)] = r
	}
	return out
}

// schemas are the types of package api as JSON schemas.
type schemas struct {
	all      object
	requests map[reflect.Type]bool // types that requests have: unknown fields are refused there
}

// mark notes that a type, and what it is made of, comes in requests.
func (s *schemas) mark(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		s.mark(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() || s.requests[t] {
			return
		}
		s.requests[t] = true
		for _, m := range members(t) {
			s.mark(m.kind)
		}
	}
}

// member is a field of a document.
type member struct {
	name     string
	optional bool
	kind     reflect.Type
}

// members are the fields of a document with their JSON names.
func members(t reflect.Type) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag[0] == "-" {
			continue
		}
		out = append(out, member{tag[0], slices.Contains(tag, "omitempty") || slices.Contains(tag, "omitzero"), f.Type})
	}
	return out
}

// ref is the schema of a type: a reference for documents.
func (s *schemas) ref(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return s.ref(t.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": s.ref(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.ref(t.Elem())}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return object{"type": "string", "format": "date-time"}
		}
		s.define(t)
		return object{"$ref": "#/components/schemas/" + t.Name()}
	}
	return object{}
}

// define adds the schema of a document.
func (s *schemas) define(t reflect.Type) {
	if s.all[t.Name()] != nil {
		return
	}
	def := object{"type": "object"}
	s.all[t.Name()] = def
	props := make(object)
	var required []string
	for _, m := range members(t) {
		schema := s.ref(m.kind)
		if !m.optional {
			required = append(required, m.name)
			if m.kind.Kind() == reflect.Pointer {
				schema = object{"anyOf": []object{schema, {"type": "null"}}}
			}
		}
		props[m.name] = schema
	}
	def["properties"] = props
	if s.requests[t] {
		// What is left out of a request is empty; what is needed, the verb says.
		def["additionalProperties"] = false
		return
	}
	if len(required) > 0 {
		slices.Sort(required)
		def["required"] = required
	}
}
