package flamenco

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Job types say to workers of 2016 which program "==command==" is. They are the
// blender_path settings under another name.
const settingTypes = "job_type_" // and the name: what somebody set for one type

// jobType is what is known of a type.
func (d *Door) jobType(name string) map[string]any {
	var out map[string]any
	if text := d.setting(settingTypes + name); text != "" && json.Unmarshal([]byte(text), &out) == nil {
		return out
	}
	program := func(s system) string { return d.program(target{sys: s}) }
	return map[string]any{"commands": map[string]any{"default": map[string]string{
		"Linux": program(linux), "Darwin": program(osx), "Windows": program(win),
	}}}
}

func (d *Door) listJobTypes(w http.ResponseWriter, _ *http.Request) error {
	items := make([]map[string]any, 0, len(types))
	for i, name := range types {
		t := d.jobType(name)
		t["id"], t["name"] = i+1, name
		items = append(items, t)
	}
	send(w, http.StatusOK, map[string]any{"items": items})
	return nil
}

// getJobType answers null for a type that is not known, as the original did.
func (d *Door) getJobType(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if !slices.Contains(types, name) {
		send(w, http.StatusOK, nil)
		return nil
	}
	send(w, http.StatusOK, d.jobType(name))
	return nil
}

func (d *Door) patchJobType(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if !slices.Contains(types, name) {
		return &fault{http.StatusNotFound, "there is no job type of this name; there are " + strings.Join(types, ", ")}
	}
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	text, ok := a.text("properties")
	if !ok {
		return wrong("properties", missing)
	}
	var v struct {
		Commands map[string]map[string]string `json:"commands"`
	}
	if len(text) > maxSettings || json.Unmarshal([]byte(text), &v) != nil || len(v.Commands) == 0 {
		return wrong("properties", `they are not the text of a JSON object with "commands"`)
	}
	if err := d.setAll(r.Context(), map[string]string{settingTypes + name: text}); err != nil {
		return err
	}
	send(w, http.StatusOK, map[string]string{"properties": text})
	return nil
}
