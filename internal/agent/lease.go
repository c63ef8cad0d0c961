package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"drover.farm/internal/api"
)

// stopped is the cause of the end of a task that the farm ordered.
type stopped struct{ reason string }

func (s *stopped) Error() string { return "stopped by the farm: " + s.reason }

// errLeaving is the cause of the end of tasks when the worker leaves.
var errLeaving = errors.New("the worker is shutting down")

// lease is a task that this worker holds: running, or on its way back.
type lease struct {
	api.Lease
	// ctx ends when the task is to be stopped; its cause says why.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	percent  float64
	message  string
	memory   int64 // peak, bytes
	rendered bool  // only its delivery is left
	unnamed  bool  // the farm does not want to hear of it any more
}

// period is how long the lease lasts unless it is renewed; 0 when not known.
func (l *lease) period() time.Duration { return seconds(l.Period) }

func seconds(s float64) time.Duration {
	if s <= 0 || s > 1e8 {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// progress is what a pulse says of the lease; false when nothing is to be said.
func (l *lease) progress() (api.Progress, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return api.Progress{Lease: l.ID, Percent: l.percent, Message: l.message, Memory: l.memory}, !l.unnamed
}

// stop obeys an order to stop. A render that is over is delivered all the same:
// the farm takes the result of a lease that has ended if nobody else has done the
// task meanwhile. It reports whether a running task is stopped by it.
func (l *lease) stop(reason string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rendered {
		l.unnamed = true
		return false
	}
	first := l.ctx.Err() == nil
	l.cancel(&stopped{reason})
	return first
}

func (l *lease) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *lease) peak() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory
}

// same reports whether the lease names the task with these parameters.
func sameParameters(l *api.Lease, got []api.TaskParameter) error {
	if len(l.Parameters) != len(got) {
		return fmt.Errorf("the farm gives task %d of step %s %d parameters, the template %d", l.Index, quote(l.StepName), len(l.Parameters), len(got))
	}
	for i, p := range l.Parameters {
		if p != got[i] {
			return fmt.Errorf("the farm says that task %d of step %s has %s=%s, the template says %s=%s",
				l.Index, quote(l.StepName), p.Name, quote(p.Value), got[i].Name, quote(got[i].Value))
		}
	}
	return nil
}
