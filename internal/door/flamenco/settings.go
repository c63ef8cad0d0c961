package flamenco

import (
	"context"
	"net/http"
	"os"
	"strings"

	"drover.farm/internal/farm"
)

// settingNames are the documented settings, for each system.
var settingNames = []string{
	"blender_path_linux", "blender_path_win", "blender_path_osx",
	"render_settings_path_linux", "render_settings_path_win", "render_settings_path_osx",
}

const (
	noteSetting = Name + "/setting/"
	maxValue    = 4096
	maxSet      = 1000 // settings
)

func (d *Door) loadSettings(ctx context.Context) error {
	ns, err := d.farm.Notes(ctx, farm.NoteQuery{Prefix: noteSetting})
	for _, n := range ns {
		d.settings[strings.TrimPrefix(n.Key, noteSetting)] = n.Text
	}
	return err
}

func (d *Door) setting(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings[name]
}

// set keeps settings: first in the farm, then here.
func (d *Door) setAll(ctx context.Context, values map[string]string) error {
	d.mu.Lock()
	n := len(d.settings) + len(values)
	d.mu.Unlock()
	if n > maxSet {
		return &fault{http.StatusBadRequest, "there are too many settings already"}
	}
	var notes []farm.Note
	for k, v := range values {
		notes = append(notes, farm.Note{Key: noteSetting + k, Text: v})
	}
	if err := d.farm.PutNotes(ctx, notes); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, v := range values {
		d.settings[k] = v
	}
	return nil
}

// checkSetting accepts what may be a setting. A path that begins with - would be
// taken for an option.
func checkSetting(name, value string) error {
	switch {
	case name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return notFound()
	case len(value) > maxValue || strings.ContainsFunc(value, isControl) || strings.HasPrefix(value, "-"):
		return wrong("value", "a setting is at most 4096 bytes long, has no control characters and does not begin with -")
	}
	return nil
}

func (d *Door) listSettings(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	switch group, _ := a.text("group"); group {
	case "":
	case "render":
		send(w, http.StatusOK, map[string]any{"settings_files": d.settingsFiles()})
		return nil
	default:
		return wrong("group", "there is no group of settings but render")
	}
	out := make(map[string]any)
	for _, n := range settingNames {
		out[n] = nil
	}
	d.mu.Lock()
	for k, v := range d.settings {
		out[k] = v
	}
	d.mu.Unlock()
	send(w, http.StatusOK, out)
	return nil
}

// settingsFiles lists the folder of render settings, where the farm's own machine
// sees it as part of a share; no other folder is ever looked at.
func (d *Door) settingsFiles() []string {
	names := []string{}
	p := make(paths)
	for _, s := range systems {
		if v := d.setting("render_settings_path_" + string(s)); v != "" {
			p[s] = v
		}
	}
	dir := d.shares.local(p)
	if dir == "" {
		return names
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.log.Warn("the folder of render settings cannot be read", "err", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names
}

func (d *Door) postSettings(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	values := make(map[string]string)
	for _, name := range settingNames {
		v, ok := a.text(name)
		if !ok {
			continue // what is not named stays
		}
		if err := checkSetting(name, v); err != nil {
			return wrong(name, "a path is at most 4096 bytes long, has no control characters and does not begin with -")
		}
		values[name] = v
	}
	if len(values) == 0 {
		return wrong("blender_path_linux", missing+": none of the settings is there")
	}
	if err := d.setAll(r.Context(), values); err != nil {
		return err
	}
	d.wakeAll() // what could not be done may be now
	send(w, http.StatusNoContent, nil)
	return nil
}

func (d *Door) getSetting(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	d.mu.Lock()
	v, ok := d.settings[name]
	d.mu.Unlock()
	var value any = v
	if !ok {
		value = nil
		known := false
		for _, n := range settingNames {
			known = known || n == name
		}
		if !known {
			return &fault{http.StatusNotFound, "there is no setting of this name"}
		}
	}
	send(w, http.StatusOK, map[string]any{"name": name, "value": value})
	return nil
}

func (d *Door) patchSetting(w http.ResponseWriter, r *http.Request) error {
	a, err := d.read(w, r, smallBody)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	v, ok := a.text("value")
	if !ok {
		return wrong("value", missing)
	}
	if err := checkSetting(name, v); err != nil {
		return err
	}
	if err := d.setAll(r.Context(), map[string]string{name: v}); err != nil {
		return err
	}
	d.wakeAll()
	send(w, http.StatusOK, map[string]string{"value": v})
	return nil
}
