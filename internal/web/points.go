package web

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

// pointsPage is the ledger of an account, or of all.
type pointsPage struct {
	Login   string // "" for all
	Balance farm.Points
	Lines   []farm.LedgerLine
	Older   string
}

// ledgerPage is how many lines one page has.
const ledgerPage = 100

// ownPoints shows one's own lines of the ledger.
func (v *visit) ownPoints() error { return v.showPoints(v.by.Login, "/ui/account/points") }

// points shows those of one account, or with none of all.
func (v *visit) points() error {
	login := v.r.URL.Query().Get("account")
	return v.showPoints(login, "/ui/users/points?account="+url.QueryEscape(login))
}

func (v *visit) showPoints(login, here string) error {
	p := pointsPage{Login: login}
	var next string
	var err error
	if p.Lines, next, err = v.Farm.LedgerPage(v.ctx(), v.by, login, v.r.URL.Query().Get("after"), ledgerPage); err != nil {
		return err
	}
	if login != "" {
		if p.Balance, err = v.Farm.Balance(v.ctx(), login); err != nil {
			return err
		}
	}
	if next != "" {
		sep := "?"
		if strings.Contains(here, "?") {
			sep = "&"
		}
		p.Older = here + sep + "after=" + url.QueryEscape(next)
	}
	title := "Points of " + login
	if login == "" {
		title = "All points"
	}
	v.page(http.StatusOK, "points", "users", title, p)
	return nil
}

// changePoints grants an account points, or takes some.
func (v *visit) changePoints() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(v.r.PostForm.Get("points")), 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > 1e9 || n == 0 {
		return farm.Errorf(farm.Invalid, "%s is no number of points; a negative one takes points away", quoted(v.r.PostForm.Get("points")))
	}
	if err := v.Farm.Grant(v.ctx(), v.by, v.r.PathValue("login"), farm.Points(math.Round(n*float64(farm.OnePoint)))); err != nil {
		return err
	}
	v.back("/ui/users", "granted")
	return nil
}

// setWeight sets an account's share of the farm.
func (v *visit) setWeight() error {
	if err := v.form(64 << 10); err != nil {
		return err
	}
	w, err := strconv.ParseFloat(strings.TrimSpace(v.r.PostForm.Get("weight")), 64)
	if err != nil || !(w > 0) || w > 1e6 {
		return farm.Errorf(farm.Invalid, "the share %s is no number above 0; 1 is the usual one", quoted(v.r.PostForm.Get("weight")))
	}
	if err := v.Farm.ChangeUser(v.ctx(), v.by, v.r.PathValue("login"), farm.UserChange{Weight: &w}); err != nil {
		return err
	}
	v.back("/ui/users", "saved")
	return nil
}

// pointsText writes points with at most two decimals.
func pointsText(p farm.Points) string {
	neg := p < 0
	if neg {
		p = -p
	}
	text := thousands(p.Whole())
	if cents := (p % farm.OnePoint) / 10; cents != 0 {
		text += "." + strings.TrimRight(itoa(int64(cents) + 100)[1:], "0")
	}
	if neg {
		text = "−" + text
	}
	return text
}
