package agent

import "context"

// watchMemory notes the memory of the session's processes while a task runs, so
// that a renderer which an environment keeps loaded is counted as well, until ctx
// ends.
func (a *agent) watchMemory(ctx context.Context, l *lease, session string) {
	for pause := a.set.SampleEvery / 10; wait(ctx, pause); pause = a.set.SampleEvery {
		l.sampleMemory(session)
	}
}

// sampleMemory looks at the session's processes once.
func (l *lease) sampleMemory(session string) {
	if now := sessionMemory(session); now > 0 {
		l.set(func() { l.memory = max(l.memory, now) })
	}
}
