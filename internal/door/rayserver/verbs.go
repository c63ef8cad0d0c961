package rayserver

import (
	"context"
	"io"
	"time"

	"drover.farm/internal/simulation"
)

// Bounds of answers, so that each fits a line.
const (
	maxListed = 48 << 10 // bytes of the jobs of a list
	maxText   = 8 << 10  // bytes of a log; escaped they can be six times as many
)

// verbs are what clients can ask for, auth aside.
var verbs = map[string]func(context.Context, *conn, Request) (Answer, error){
	"hello": func(_ context.Context, c *conn, _ Request) (Answer, error) {
		g := c.s.greeting(c.nonce)
		return Answer{Hello: &g}, nil
	},
	"submit":  submit,
	"list":    list,
	"info":    act(Simulations.Job),
	"suspend": act(Simulations.Suspend),
	"resume":  act(Simulations.Resume),
	"kill":    act(Simulations.Kill),
	"restart": act(Simulations.Restart),
	"log":     readLog,
	"watch": func(ctx context.Context, c *conn, r Request) (Answer, error) {
		if r.Job == "" {
			return Answer{}, nil
		}
		_, err := c.s.cfg.Jobs.Job(ctx, r.Job)
		return Answer{}, err
	},
}

// act is a verb on one job.
func act(do func(Simulations, context.Context, string) (simulation.Job, error)) func(context.Context, *conn, Request) (Answer, error) {
	return func(ctx context.Context, c *conn, r Request) (Answer, error) {
		j, err := do(c.s.cfg.Jobs, ctx, r.Job)
		return Answer{Job: wireJob(j)}, err
	}
}

func submit(ctx context.Context, c *conn, r Request) (Answer, error) {
	q := simulation.Request{
		Location: r.Location, Project: r.Project, Variation: r.Variation, Type: simulation.Image, Name: r.View,
		Options: r.Options, Mkillum: r.Mkillum, Replace: r.Replace, User: c.user,
	}
	switch {
	case r.Type == simulation.Preview:
		q.Type = simulation.Preview
	case r.View != "" && r.Field != "":
		return Answer{}, &refusal{codeBadRequest, "a simulation is of a view or of a measuring field, not of both"}
	case r.Field != "":
		q.Type, q.Name = simulation.Numeric, r.Field
	}
	if r.Type != "" && r.Type != q.Type {
		return Answer{}, &refusal{codeBadRequest, "type is rpict for a view, numeric for a measuring field, or is left out"}
	}
	j, err := c.s.cfg.Jobs.Submit(ctx, q)
	return Answer{Job: wireJob(j)}, err
}

// list gives the jobs that changed last, as many as fit a line.
func list(ctx context.Context, c *conn, r Request) (Answer, error) {
	jobs, err := c.s.cfg.Jobs.List(ctx, r.Location, r.Project)
	a := Answer{Jobs: []Job{}}
	size := 0
	for _, j := range jobs {
		w := *wireJob(j)
		w.Options, w.Command = nil, ""
		if size += len(encode(w)); size > maxListed {
			a.More = true
			break
		}
		a.Jobs = append(a.Jobs, w)
	}
	return a, err
}

func readLog(ctx context.Context, c *conn, r Request) (Answer, error) {
	if r.Offset < 0 {
		return Answer{}, &refusal{codeBadRequest, "the offset is below 0"}
	}
	text, more, err := c.s.cfg.Jobs.Log(ctx, r.Job, r.Offset, maxText)
	return Answer{Text: text, Offset: r.Offset + int64(len(text)), More: more}, err
}

// watch tells the client of changes until it has gone. What a client sends
// meanwhile ends it.
func (c *conn) watch(ctx context.Context, r Request) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := make(chan struct{})
	c.l.c.SetReadDeadline(time.Time{})
	go func() {
		defer close(gone)
		_, _ = io.CopyN(io.Discard, c.l.r, 1)
		cancel()
	}()
	err := c.s.cfg.Jobs.Watch(ctx, r.Job, func(j simulation.Job) error { return c.l.write(Answer{OK: true, Event: wireJob(j)}) })
	c.l.c.SetReadDeadline(time.Now())
	<-gone
	if err != nil && ctx.Err() == nil {
		c.s.cfg.Note("watch: " + err.Error())
	}
	return false
}
