package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
)

// jobRow is a job in a list.
type jobRow struct {
	*farm.Job
	Counts farm.Counts
	ETA    string
	Thumb  string // address of the picture of one of its frames, "" for none
}

type jobsPage struct {
	Rows               []jobRow
	State, Owner, Text string
	States             []farm.JobState
	Older              string // address of the next page, "" at the end
	Filtered           bool
}

func (jobsPage) topics() string { return "jobs" }

var jobStates = []farm.JobState{farm.JobRunning, farm.JobWaiting, farm.JobPaused, farm.JobDone, farm.JobFailed, farm.JobCanceled}

// jobsAPage is how many jobs a page lists.
const jobsAPage = 50

func (v *visit) jobs() error {
	q := v.r.URL.Query()
	p := jobsPage{State: q.Get("state"), Owner: q.Get("owner"), Text: strings.TrimSpace(q.Get("q")), States: jobStates}
	p.Filtered = p.State+p.Owner+p.Text != ""
	if id, err := parseNumber(p.Text); err == nil {
		if _, err := v.Farm.Job(v.ctx(), id); err == nil {
			v.redirect("/ui/jobs/" + p.Text)
			return nil
		}
	}
	query := farm.JobQuery{Owner: p.Owner, Limit: jobsAPage + 1}
	if p.State != "" {
		if !slices.Contains(jobStates, farm.JobState(p.State)) {
			return farm.Errorf(farm.Invalid, "there is no job state %q", clip(p.State, 30))
		}
		query.States = []farm.JobState{farm.JobState(p.State)}
	}
	if b := q.Get("before"); b != "" {
		var err error
		if query.Before, err = parseNumber(b); err != nil {
			return farm.Errorf(farm.Invalid, "%q is no job", clip(b, 30))
		}
	}
	js, last, err := v.search(query, p.Text)
	if err != nil {
		return err
	}
	if last > 0 {
		q.Set("before", strconv.FormatInt(last, 10))
		p.Older = "/ui/jobs?" + q.Encode()
	}
	if p.Rows, err = v.rows(v.ctx(), js); err != nil {
		return err
	}
	v.page(http.StatusOK, "jobs", "jobs", "Jobs", p)
	return nil
}

// maxSearched is how many jobs one page of a search looks at.
const maxSearched = 5000

// search lists a page of jobs, those with the text in their name or owner if
// there is one. last is where the next page goes on, 0 at the end.
func (v *visit) search(q farm.JobQuery, text string) (out []*farm.Job, last int64, err error) {
	text = strings.ToLower(text)
	for seen := 0; seen < maxSearched; {
		js, err := v.Farm.Jobs(v.ctx(), q)
		if err != nil {
			return nil, 0, err
		}
		for _, j := range js {
			if len(out) == jobsAPage {
				return out, out[len(out)-1].ID, nil
			}
			if text == "" || strings.Contains(strings.ToLower(j.Spec.Name), text) || strings.Contains(strings.ToLower(j.Owner), text) {
				out = append(out, j)
			}
			q.Before = j.ID
		}
		if len(js) < q.Limit {
			return out, 0, nil
		}
		seen += len(js)
	}
	return out, q.Before, nil
}

// rows makes jobs rows of a list.
func (s *site) rows(ctx context.Context, js []*farm.Job) ([]jobRow, error) {
	out := make([]jobRow, 0, len(js))
	for _, j := range js {
		r, err := s.row(ctx, j)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (s *site) row(ctx context.Context, j *farm.Job) (jobRow, error) {
	r := jobRow{Job: j, Counts: j.Counts()}
	if j.State == farm.JobRunning {
		e, err := s.Farm.Estimate(ctx, j.ID)
		if err != nil {
			return r, err
		}
		r.ETA = etaText(e)
	}
	if r.Counts.Done > 0 && j.Spec.Check != nil { // its outputs are pictures
		r.Thumb = "/ui/jobs/" + strconv.FormatInt(j.ID, 10) + "/thumb"
	}
	return r, nil
}
