package cli

import (
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"drover.farm/internal/api"
)

// progress shows how far a job is: a bar on a terminal, now and then a line
// elsewhere. It is used by one goroutine.
type progress struct {
	app  *App
	tty  bool
	bars *mpb.Progress
	bar  *mpb.Bar
	job  *api.Job
	tail string // what stands behind the bar

	printed time.Time
	state   string
	done    int64
}

func newProgress(a *App) *progress { return &progress{app: a, tty: a.Terminal(a.Err)} }

// lineEvery is how often a line is printed at most, where there is no bar.
const lineEvery = 5 * time.Second

func (p *progress) update(j *api.Job, now time.Time) {
	p.job = j
	p.tail = pace(j, now)
	if p.tty {
		p.draw(j)
		return
	}
	changed := j.State != p.state || j.Tasks.Done != p.done
	if changed && (ended(j) || j.State != p.state || now.Sub(p.printed) >= lineEvery) {
		p.printed, p.state, p.done = now, j.State, j.Tasks.Done
		p.app.say("job %d %s: %d/%d tasks done%s", j.ID, j.State, j.Tasks.Done, j.Tasks.Total, p.tail)
	}
}

func (p *progress) draw(j *api.Job) {
	if p.bars == nil {
		p.bars = mpb.New(mpb.WithOutput(p.app.Err), mpb.WithWidth(40), mpb.WithAutoRefresh())
		p.bar = p.bars.AddBar(j.Tasks.Total,
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprintf("job %d %-8s", j.ID, p.job.State) })),
			mpb.AppendDecorators(decor.CountersNoUnit("%d/%d"), decor.Any(func(decor.Statistics) string { return p.tail })))
	}
	p.bar.SetCurrent(j.Tasks.Done)
}

// note prints a line without spoiling the bar.
func (p *progress) note(text string) {
	if p.bars == nil {
		p.app.say("%s", text)
		return
	}
	fmt.Fprintln(p.bars, cleanLines(text))
}

// stop leaves the bar as it is. It may be called twice.
func (p *progress) stop() {
	if p.bars == nil {
		return
	}
	if !p.bar.Completed() {
		p.bar.Abort(false)
	}
	p.bars.Wait()
	p.bars = nil
}

// pace says how fast a job goes and when it should be done: "", or frames a
// minute and the time that is left.
func pace(j *api.Job, now time.Time) string {
	text := ""
	if j.Tasks.Failed > 0 {
		text = fmt.Sprintf(", %d failed", j.Tasks.Failed)
	}
	if j.Started == nil || j.Tasks.Done == 0 {
		return text
	}
	end := now
	if j.Finished != nil {
		end = *j.Finished
	}
	took := end.Sub(*j.Started)
	if took <= 0 {
		return text
	}
	text += fmt.Sprintf(", %.1f frames/min", float64(j.Tasks.Done)/took.Minutes())
	switch left := j.Tasks.Waiting + j.Tasks.Running; {
	case ended(j):
		text += ", took " + span(took)
	case j.ETA != nil:
		text += ", ready in " + forSeconds(j.ETA.Seconds)
	case left > 0:
		text += ", ready in " + span(took/time.Duration(j.Tasks.Done)*time.Duration(left))
	}
	return text
}
