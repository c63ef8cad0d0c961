package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

type settingsPage struct {
	Status    *farm.FarmStatus
	Public    bool
	Retention int
	Doors     []Door
	Usage     *Usage
	Farm      farm.Settings
	Deeds     []farm.Deed
	Older     string // of the audit list
	Groups    []settingGroup
	All       []Setting
}

// settingGroup are settings that answer one question.
type settingGroup struct {
	Title, Text string
	Set         []Setting
}

// shownGroups are the settings that operators look for.
var shownGroups = []struct {
	title, text string
	keys        []string
}{
	{"How long things are kept", "Ended jobs, with their frames and logs, go by the switch Ended jobs, or when somebody removes them: Remove on the job's page, or drover job rm. What nothing refers to any more goes by itself. The audit list and the ledger are kept for good.",
		[]string{"files.log_kept", "files.upload_kept", "files.spare", "files.sweep", "farm.events_kept", "web.session", "web.undo", "sheepit.key_lifetime"}},
	{"How much is let in", "", []string{"files.quota", "files.min_free", "files.upload_limit", "farm.max_tasks", "farm.max_files", "farm.allowance", "farm.tries", "farm.worker_tries", "http.fail_burst", "http.fail_every"}},
}

func (s *site) settingGroups() []settingGroup {
	var out []settingGroup
	for _, g := range shownGroups {
		group := settingGroup{Title: g.title, Text: g.text}
		for _, key := range g.keys {
			if at := slices.IndexFunc(s.Set, func(x Setting) bool { return x.Key == key }); at >= 0 {
				group.Set = append(group.Set, s.Set[at])
			}
		}
		if len(group.Set) > 0 {
			out = append(out, group)
		}
	}
	return out
}

func (v *visit) settings() error {
	st, err := v.Farm.Status(v.ctx())
	if err != nil {
		return err
	}
	p := settingsPage{Status: st, Public: v.opened(), Retention: v.Farm.Retention(), Doors: v.Doors, Farm: v.Farm.Settings(), Groups: v.settingGroups(), All: v.Set}
	if v.Usage != nil {
		if u, err := v.Usage(v.ctx()); err == nil {
			p.Usage = &u
		}
	}
	after := v.r.URL.Query().Get("after")
	if after != "" && !strings.HasPrefix(after, "audit/") {
		return farm.Errorf(farm.Invalid, "%q is no place in the audit list", clip(after, 30))
	}
	if p.Deeds, p.Older, err = v.Farm.Audit(v.ctx(), v.by, after, 50); err != nil {
		return err
	}
	v.page(http.StatusOK, "settings", "settings", "Settings", p)
	return nil
}

// changeSettings switches what operators may switch while the farm runs.
func (v *visit) changeSettings() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	f, on := v.r.PostForm, v.r.PostForm.Get("on") == "1"
	var err error
	switch f.Get("what") {
	case "maintenance":
		err = v.Farm.SetMaintenance(v.ctx(), v.by, on)
	case "retention":
		days, convErr := strconv.Atoi(f.Get("days"))
		if convErr != nil {
			return farm.Errorf(farm.Invalid, "jobs are kept for a number of days; 0 keeps them until somebody removes them")
		}
		err = v.Farm.SetRetention(v.ctx(), v.by, days)
	case "public":
		err = v.Farm.SetPublic(v.ctx(), v.by, on)
	case "limit":
		var n float64
		if n, err = strconv.ParseFloat(f.Get("total"), 64); err != nil {
			return farm.Errorf(farm.Invalid, "the size of a limit is a number; a negative one removes it")
		}
		err = v.Farm.SetLimit(v.ctx(), v.by, strings.TrimSpace(f.Get("name")), n)
	default:
		return farm.Errorf(farm.Invalid, "there is no setting %q", clip(f.Get("what"), 30))
	}
	if err != nil {
		return err
	}
	v.back("/ui/settings", "saved")
	return nil
}
