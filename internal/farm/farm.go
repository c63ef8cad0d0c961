package farm

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a Farm is made of. Store is required; Blobs and Prover may be
// nil where no files are (simulations): then every hash counts as present and
// every picture as good.
type Config struct {
	Store    Store
	Blobs    Blobs
	Prover   Prover
	Log      *slog.Logger // nil: nowhere
	Clock    Clock        // nil: time.Now
	Settings Settings
	// Obstacles say, for each door whose wire cannot carry just any template,
	// why a job cannot go through it, "" when it can. Doors that are not named
	// take every job. They must always answer the same for the same job.
	Obstacles map[string]func(*Spec) string
}

// Farm is the one owner of a farm's state. See the package comment. Its reading
// methods come from the Store's Reader.
type Farm struct {
	Reader
	store     Store
	blobs     Blobs
	prover    Prover
	log       *slog.Logger
	clock     Clock
	settings  Settings
	reach     sync.Map // ReachFunc by door
	obstacles map[string]func(*Spec) string

	ops      chan *op
	stopping chan struct{}
	stopped  chan struct{}
	stopOnce sync.Once
	failed   atomic.Pointer[Error] // why nothing can be written, when so
	auth     accounts
	values   atomic.Pointer[map[string]string] // durable switches, for Value
	latest   atomic.Int64                      // id of the last durable event
	bus      bus
	checks   checks
	meter    meter
	retire   chan struct{} // looks for what is old at once
	others   sync.WaitGroup
}

// Open acquires the store, loads the farm's state and starts the dispatcher.
// Each lease found gets a full period again.
func Open(ctx context.Context, c Config) (*Farm, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	f := &Farm{
		Reader: c.Store, store: c.Store, blobs: c.Blobs, prover: c.Prover,
		log: c.Log, clock: c.Clock, settings: c.Settings.withDefaults(), obstacles: c.Obstacles,
		stopping: make(chan struct{}), stopped: make(chan struct{}), retire: make(chan struct{}, 1),
	}
	f.ops = make(chan *op, f.settings.Queue)
	epoch, err := c.Store.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	st, err := f.load(ctx, epoch)
	if err != nil {
		return nil, err
	}
	go f.run(st)
	f.others.Go(f.tidyUp)
	return f, nil
}

// Close stops intake, answers what waits with Unavailable, and returns when the
// dispatcher has ended. It does not close the Store. It may be called twice.
func (f *Farm) Close() {
	f.stopOnce.Do(func() { close(f.stopping) })
	<-f.stopped
	f.others.Wait()
}

// Done is closed when the dispatcher has ended: after Close, or because another
// writer took the store over.
func (f *Farm) Done() <-chan struct{} { return f.stopped }

// Settings are the settings in force, defaults filled in.
func (f *Farm) Settings() Settings { return f.settings }

// Now is the farm's time.
func (f *Farm) Now() time.Time { return f.clock() }

// Value is a farm-wide switch, "" when it was never set. It is what was durable
// a moment ago; a server that is not the writer knows none.
func (f *Farm) Value(name string) string {
	if m := f.values.Load(); m != nil {
		return (*m)[name]
	}
	return ""
}

// LastEvent is the id of the newest durable event, 0 before the first.
func (f *Farm) LastEvent() int64 { return f.latest.Load() }

// meter counts what the dispatcher did.
type meter struct {
	batches, ops, claims, completions, sheds, looks atomic.Int64
	// Workers that operations went through, and those of the one that went through
	// most; written by the dispatcher alone.
	walked, longest atomic.Int64
}

// walk adds how many workers an operation went through.
func (m *meter) walk(n int) {
	m.walked.Add(int64(n))
	m.longest.Store(max(m.longest.Load(), int64(n)))
}

// Metrics are counters since the start, and how full the dispatcher's queue is.
// Looks is how often work was looked for: with few of them for each claim, hand-out
// costs the same however many workers wait.
type Metrics struct {
	Batches, Operations, Claims, Completions, Shed, Looks int64
	Queued                                                int
}

// Metrics returns the counters.
func (f *Farm) Metrics() Metrics {
	m := &f.meter
	return Metrics{m.batches.Load(), m.ops.Load(), m.claims.Load(), m.completions.Load(), m.sheds.Load(), m.looks.Load(), len(f.ops)}
}
