package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// historyPart is what a worker did lately.
type historyPart struct {
	Jobs   bool      // who looks may look at jobs
	Rows   []pastRow // newest first
	Causes []causeCount
	Bars   []dayBar // load by hour of the last day
	Label  string
}

type pastRow struct {
	farm.Past
	Href, Class, Whose string
}

type causeCount struct {
	Text string
	N    int64
}

// causeTexts say whose fault a failed attempt was.
var causeTexts = map[string]string{
	string(farm.CauseJob): "by the job's fault", string(farm.CauseWorker): "by its own fault", string(farm.OutcomeLost): "because it fell silent", string(farm.CauseNone): "by nobody's fault",
}

func (s *site) historyOf(w *farm.Worker, h *farm.History, jobs bool) historyPart {
	p := historyPart{Jobs: jobs}
	for _, x := range slices.Backward(h.Recent) {
		r := pastRow{Past: x, Href: fmt.Sprintf("%s?attempt=%d", taskLink(x.TaskKey), x.Number), Class: string(farm.TaskCanceled)}
		switch x.Outcome {
		case farm.OutcomeDone:
			r.Class = string(farm.TaskDone)
		case farm.OutcomeFailed, farm.OutcomeLost:
			r.Class, r.Whose = string(farm.TaskFailed), causeTexts[string(x.Cause)]
		}
		p.Rows = append(p.Rows, r)
	}
	for cause, n := range h.Causes {
		p.Causes = append(p.Causes, causeCount{cmp.Or(causeTexts[cause], "by nobody's fault"), n})
	}
	slices.SortFunc(p.Causes, func(a, b causeCount) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Text, b.Text)) })
	p.load(h.Hours, max(w.Slots, 1), s.Farm.Now())
	return p
}

// load draws how busy the worker was in each of the last 24 hours: all of a bar's
// height is all of its slots all of the time, the red part of it the share of
// attempts that failed.
func (p *historyPart) load(hours []farm.Hour, slots int, now time.Time) {
	first := now.UTC().Truncate(time.Hour).Add(-23 * time.Hour)
	busy, done, failed := 0.0, int64(0), int64(0)
	for _, h := range hours {
		at := int(h.Start.Sub(first) / time.Hour)
		if at < 0 || at > 23 {
			continue
		}
		busy, done, failed = busy+h.Busy, done+h.Done, failed+h.Failed
		share := min(1, h.Busy/3600/float64(slots))
		bad := 0.0
		if n := h.Done + h.Failed; n > 0 {
			bad = share * float64(h.Failed) / float64(n)
		}
		p.Bars = append(p.Bars, dayBar{
			Title: fmt.Sprintf("%s UTC: busy %s %%, %d done, %d failed", h.Start.Format("15:04"), percent(int64(share*1000), 1000), h.Done, h.Failed),
			X:     fmt.Sprint(at), Y: px(60 - 60*(share-bad)), H: px(60 * (share - bad)), FY: px(60 - 60*share), FH: px(60 * bad),
		})
	}
	p.Label = fmt.Sprintf("In 24 hours: busy for %s, %s done, %s failed", duration(busy), thousands(done), thousands(failed))
}

// heldBuilds names the builds of the library that the worker has fetched.
func (s *site) heldBuilds(ctx context.Context, w *farm.Worker) ([]string, error) {
	if len(w.Machine.Held) == 0 {
		return nil, nil
	}
	bs, err := s.Farm.BuildList(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range bs {
		if b := &bs[i]; slices.Contains(w.Machine.Held, b.SHA256) {
			text := b.Product + " " + b.Version
			if b.State != farm.BuildUsable {
				text += ", " + workerWord(farm.WorkerState(b.State))
			}
			out = append(out, text)
		}
	}
	if n := len(w.Machine.Held) - len(out); n > 0 {
		out = append(out, count(n, "build")+" no longer in the library")
	}
	return out, nil
}
