package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// schemaDoc is the OpenAPI document as tests read it.
type schemaDoc struct {
	OpenAPI    string
	Paths      map[string]map[string]operationDoc
	Components struct {
		Schemas map[string]schemaNode
	}
}

type operationDoc struct {
	OperationID string                 `json:"operationId"`
	Summary     string                 `json:"summary"`
	Access      string                 `json:"x-access"`
	Responses   map[string]responseDoc `json:"responses"`
	RequestBody *struct {
		Content map[string]struct{ Schema *schemaNode }
	}
	Parameters []struct{ Name, In string }
}

type responseDoc struct {
	Ref     string `json:"$ref"`
	Content map[string]struct{ Schema *schemaNode }
}

type schemaNode struct {
	Ref        string                `json:"$ref"`
	Type       string                `json:"type"`
	Items      *schemaNode           `json:"items"`
	Properties map[string]schemaNode `json:"properties"`
	Required   []string              `json:"required"`
	AnyOf      []schemaNode          `json:"anyOf"`
	More       json.RawMessage       `json:"additionalProperties"`
}

func parseDocument(t testing.TB, text []byte) *schemaDoc {
	t.Helper()
	d := new(schemaDoc)
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// verify holds one answer to the document.
func (d *schemaDoc) verify(r *http.Request, a *recorder) error {
	if _, _, ok := strings.Cut(r.Pattern, " "); !ok && a.status != http.StatusNotFound {
		return fmt.Errorf("what is no route was answered with %d", a.status)
	}
	kind, _, _ := mime.ParseMediaType(a.Header().Get("Content-Type"))
	if kind == "application/problem+json" {
		if a.status < 400 {
			return fmt.Errorf("a problem with the status %d", a.status)
		}
		return d.fits(schemaNode{Ref: "#/components/schemas/Problem"}, a.body.Bytes(), r)
	}
	method, path, _ := strings.Cut(r.Pattern, " "+Prefix)
	op, ok := d.Paths[strings.ReplaceAll(path, "{$}", "")][strings.ToLower(method)]
	if !ok {
		return fmt.Errorf("the route %q is not in the document", r.Pattern)
	}
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	res, ok := op.Responses[strconv.Itoa(status)]
	if !ok {
		if strings.HasPrefix(path, "/uploads/") && status >= 400 {
			return nil // HEAD has no body to tell by
		}
		return fmt.Errorf("the status %d is not in the document", status)
	}
	if len(res.Content) == 0 || r.Method == http.MethodHead {
		return nil
	}
	content, ok := res.Content[kind]
	if !ok {
		return fmt.Errorf("the type %q of a %d is not in the document", kind, status)
	}
	if content.Schema == nil || r.Context().Err() != nil {
		return nil
	}
	return d.fits(*content.Schema, a.body.Bytes(), r)
}

func (d *schemaDoc) fits(s schemaNode, body []byte, r *http.Request) error {
	if r.Method == http.MethodHead || len(body) >= 1<<20 {
		return nil
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return d.match(s, v, "")
}

// match is as much of JSON Schema as the document uses.
func (d *schemaDoc) match(s schemaNode, v any, at string) error {
	if s.Ref != "" {
		def, ok := d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
		if !ok {
			return fmt.Errorf("%s: there is no schema %s", at, s.Ref)
		}
		return d.match(def, v, at)
	}
	if len(s.AnyOf) > 0 {
		var errs []error
		for _, o := range s.AnyOf {
			err := d.match(o, v, at)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	ok := false
	switch x := v.(type) {
	case nil:
		ok = s.Type == "null" || s.Type == "array" || (s.Type == "object" && len(s.More) > 0)
	case bool:
		ok = s.Type == "boolean"
	case string:
		ok = s.Type == "string"
	case float64:
		ok = s.Type == "number" || s.Type == "integer"
	case []any:
		for i, e := range x {
			if err := d.match(*s.Items, e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		ok = s.Type == "array"
	case map[string]any:
		if err := d.matchObject(s, x, at); err != nil {
			return err
		}
		ok = s.Type == "object"
	}
	if !ok {
		return fmt.Errorf("%s: %v (%T) is not of the type %s", at, v, v, s.Type)
	}
	return nil
}

func (d *schemaDoc) matchObject(s schemaNode, v map[string]any, at string) error {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			return fmt.Errorf("%s: %s is missing", at, name)
		}
	}
	for name, e := range v {
		p, ok := s.Properties[name]
		if !ok {
			var more schemaNode
			if len(s.More) == 0 || string(s.More) == "false" || json.Unmarshal(s.More, &more) != nil {
				return fmt.Errorf("%s: %s is not in the schema", at, name)
			}
			p = more
		}
		if err := d.match(p, e, at+"."+name); err != nil {
			return err
		}
	}
	return nil
}

// TestDocumentIsComplete ties the table, the document and the accesses to one
// another. The accesses are written out once more here: who may do what is not
// to change by an oversight.
func TestDocumentIsComplete(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	a := b.send("", get, "/openapi.json", nil)
	if a.status != 200 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	doc := parseDocument(t, a.body)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	ids := make(map[string]bool)
	listed := make(map[string]bool)
	for i := range b.door.routes {
		rt := &b.door.routes[i]
		name := rt.method + " " + strings.ReplaceAll(rt.path, "{$}", "")
		listed[name] = true
		op, ok := doc.Paths[strings.ReplaceAll(rt.path, "{$}", "")][strings.ToLower(rt.method)]
		if !ok {
			t.Errorf("%s is not in the document", name)
			continue
		}
		if want := wantAccess[name]; op.Access != want || string(rt.access) != want {
			t.Errorf("%s is for %q, in the document for %q; it should be for %q", name, rt.access, op.Access, want)
		}
		if op.Summary == "" || op.OperationID == "" || ids[op.OperationID] {
			t.Errorf("%s: summary %q, id %q", name, op.Summary, op.OperationID)
		}
		ids[op.OperationID] = true
		good := 0
		for status := range op.Responses {
			if status < "400" {
				good++
			}
		}
		if good == 0 || op.Responses["default"].Ref == "" {
			t.Errorf("%s: answers %v", name, op.Responses)
		}
		if (rt.method == post || rt.method == pat || rt.method == put) && op.RequestBody == nil && !strings.HasSuffix(rt.path, "/signoff") {
			t.Errorf("%s has no body", name)
		}
		for _, seg := range pathParam.FindAllStringSubmatch(rt.path, -1) {
			if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == seg[1] && p.In == "path" }) {
				t.Errorf("%s: the parameter %s is not in the document", name, seg[1])
			}
		}
	}
	for name := range wantAccess {
		if !listed[name] {
			t.Errorf("%s is not in the table", name)
		}
	}
	for path, ops := range doc.Paths {
		for method := range ops {
			if !listed[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s is in the document alone", method, path)
			}
		}
	}
	doc.references(t, a.body)
}

// references makes sure that every reference in the document leads somewhere.
func (d *schemaDoc) references(t *testing.T, text []byte) {
	t.Helper()
	for part := range strings.SplitSeq(string(text), `"$ref": "#/components/schemas/`) {
		name, _, _ := strings.Cut(part, `"`)
		if _, ok := d.Components.Schemas[name]; !ok && !strings.HasPrefix(part, "{\n") {
			t.Errorf("there is no schema %q", name)
		}
	}
}

var wantAccess = map[string]string{
	"GET /builds":                              "any account",
	"POST /builds":                             "any account",
	"GET /builds/{build}":                      "any account",
	"PATCH /builds/{build}":                    "operator",
	"DELETE /builds/{build}":                   "operator",
	"POST /jobs":                               "submitter",
	"GET /jobs":                                "submitter",
	"GET /jobs/{job}":                          "submitter",
	"PATCH /jobs/{job}":                        "submitter",
	"DELETE /jobs/{job}":                       "submitter",
	"POST /jobs/{job}/cancel":                  "submitter",
	"POST /jobs/{job}/pause":                   "submitter",
	"POST /jobs/{job}/resume":                  "submitter",
	"POST /jobs/{job}/retry":                   "submitter",
	"GET /jobs/{job}/why":                      "submitter",
	"GET /jobs/{job}/ledger":                   "submitter",
	"GET /workers/{worker}/history":            "any account",
	"GET /users/{login}/ledger":                "any account",
	"POST /users/{login}/grants":               "admin",
	"GET /jobs/{job}/tasks":                    "submitter",
	"GET /jobs/{job}/tasks/{step}/{index}":     "submitter",
	"GET /jobs/{job}/tasks/{step}/{index}/log": "submitter",
	"GET /jobs/{job}/outputs":                  "submitter",
	"GET /jobs/{job}/outputs.zip":              "submitter",
	"POST /workers":                            "renderer",
	"GET /workers":                             "any account",
	"GET /workers/{worker}":                    "any account",
	"PATCH /workers/{worker}":                  "any account",
	"DELETE /workers/{worker}":                 "any account",
	"POST /workers/{worker}/claim":             "renderer",
	"POST /workers/{worker}/heartbeat":         "renderer",
	"POST /workers/{worker}/return":            "renderer",
	"POST /workers/{worker}/signoff":           "renderer",
	"GET /leases/{lease}/work":                 "renderer",
	"GET /leases/{lease}/inputs":               "renderer",
	"POST /leases/{lease}/complete":            "renderer",
	"POST /leases/{lease}/fail":                "renderer",
	"PUT /leases/{lease}/log":                  "renderer",
	"POST /blobs/missing":                      "any account",
	"GET /blobs/{sha256}":                      "any account",
	"PUT /blobs/{sha256}":                      "any account",
	"OPTIONS /uploads/":                        "any account",
	"POST /uploads/":                           "any account",
	"HEAD /uploads/{id}":                       "any account",
	"PATCH /uploads/{id}":                      "any account",
	"DELETE /uploads/{id}":                     "any account",
	"GET /account":                             "any account",
	"GET /users":                               "admin",
	"POST /users":                              "admin",
	"GET /users/{login}":                       "any account",
	"PATCH /users/{login}":                     "any account",
	"DELETE /users/{login}":                    "admin",
	"POST /users/{login}/tokens":               "any account",
	"DELETE /users/{login}/tokens":             "any account",
	"GET /farm":                                "any account",
	"PUT /maintenance":                         "operator",
	"PUT /retention":                           "operator",
	"GET /limits":                              "any account",
	"PUT /limits/{name}":                       "operator",
	"DELETE /limits/{name}":                    "operator",
	"GET /environments":                        "submitter",
	"POST /environments":                       "operator",
	"DELETE /environments/{name}":              "operator",
	"GET /events":                              "submitter",
	"POST /join":                               "public",
	"GET /openapi.json":                        "public",
}
