package agent

import (
	"context"

	"drover.farm/internal/api"
)

// current is what this machine is now.
func (a *agent) current() api.Machine {
	a.mu.Lock()
	m := a.machine
	a.mu.Unlock()
	m.Held = a.builds.held()
	return m
}

// renderers are those of this machine.
func (a *agent) renderers() []api.Renderer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.machine.Renderers
}

// changed says that the farm is to be told anew what this machine has.
func (a *agent) changed() {
	select {
	case a.tell <- struct{}{}:
	default:
	}
}

// tellNews tells the farm when other builds are held, or other renderers were
// installed, until ctx ends. A message that is lost is made up for by the next,
// or by the next registration.
func (a *agent) tellNews(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.tell:
		case <-a.cfg.Changed:
			found := a.cfg.Detect(ctx)
			a.mu.Lock()
			a.machine.Renderers = found
			a.mu.Unlock()
		}
		r := api.Registration{Key: a.dir.key, Name: a.cfg.Name, Machine: a.current(), Slots: a.cfg.Slots, Rules: a.cfg.Rules, Holds: a.holds(), News: true}
		if _, err := a.cfg.Farm.Register(ctx, r); err != nil && ctx.Err() == nil {
			a.log.Warn("the farm could not be told what renderers are here", "error", err)
		}
	}
}
