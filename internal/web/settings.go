package web

import (
	"net/http"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

type settingsPage struct {
	Status *farm.FarmStatus
	Public bool
	Doors  []Door
	Usage  *Usage
	Farm   farm.Settings
	Deeds  []farm.Deed
	Older  string // of the audit list
}

func (v *visit) settings() error {
	st, err := v.Farm.Status(v.ctx())
	if err != nil {
		return err
	}
	p := settingsPage{Status: st, Public: v.opened(), Doors: v.Doors, Farm: v.Farm.Settings()}
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
