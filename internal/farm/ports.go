package farm

import (
	"context"
	"time"
)

// Store keeps the farm's state. Its one writer is the dispatcher of the Farm
// that acquired it; readers may be many and never see half a Batch.
type Store interface {
	Reader
	// Acquire makes the caller the one writer and returns its epoch, greater
	// than that of every writer before it. It fails with Conflict when another
	// live process is the writer, naming it as well as it can be named.
	Acquire(ctx context.Context) (epoch int64, err error)
	// Load returns everything a dispatcher needs to go on.
	Load(ctx context.Context) (*Snapshot, error)
	// Commit writes the batch in one transaction and returns once it is
	// durable. An error means that nothing of it was written, or that this is
	// not known; the caller must Load again before its next Commit. It fails
	// with Gone when a later writer has acquired the store.
	Commit(ctx context.Context, b *Batch) error
	// Close releases the store; the writer's place too.
	Close() error
}

// Reader answers what people ask. All methods may be called concurrently and by
// servers that are not the writer.
type Reader interface {
	// Job fails with NotFound.
	Job(ctx context.Context, id int64) (*Job, error)
	// Jobs lists without Spec.Template, Environments and Files, newest first.
	Jobs(ctx context.Context, q JobQuery) ([]*Job, error)
	// Task fails with NotFound when the task was never leased.
	Task(ctx context.Context, k TaskKey) (*Task, error)
	// Tasks lists tasks that were leased at least once, by step and index.
	Tasks(ctx context.Context, q TaskQuery) ([]*Task, error)
	Workers(ctx context.Context) ([]*Worker, error)
	Accounts(ctx context.Context) ([]*User, []*Token, error)
	// Builds lists the builds by id.
	Builds(ctx context.Context) ([]*Build, error)
	// Ledger lists entries, the newest job first, and by account for each job.
	Ledger(ctx context.Context, q LedgerQuery) ([]*Entry, error)
	// Events lists events with an id greater than after, oldest first, and the
	// id of the oldest event still kept.
	Events(ctx context.Context, after int64, limit int) (events []Event, oldest int64, err error)
	// Notes lists notes by key.
	Notes(ctx context.Context, q NoteQuery) ([]*Note, error)
	// References calls fn with every blob hash (lower-case hex) that a job, a
	// task, a build or a pack refers to, possibly several times.
	References(ctx context.Context, fn func(hash string) error) error
}

// JobQuery selects jobs. Zero fields do not restrict.
type JobQuery struct {
	States []JobState
	Owner  string
	Before int64 // only ids below this one: the cursor of a page
	Name   string
	Limit  int
}

// TaskQuery selects tasks of a job. Zero fields do not restrict.
type TaskQuery struct {
	Job      int64
	Step     int   // -1: all steps
	From     int64 // first index, of step FromStep on
	FromStep int
	States   []TaskState
	Limit    int
}

// Snapshot is the state a dispatcher starts from.
type Snapshot struct {
	Jobs                        []*Job  // those that have not ended, whole
	Tasks                       []*Task // waiting or running ones of these jobs
	Workers                     []*Worker
	Users                       []*User
	Tokens                      []*Token
	Limits                      []*Limit
	Values                      map[string]string // farm-wide switches, such as maintenance
	Builds                      []*Build
	Packs                       []*Pack
	Entries                     []*Entry          // of these jobs, and those of no job
	Balances                    map[string]Points // of every account that has an entry
	MaxJob, MaxWorker, MaxEvent int64
	MaxBuild                    int64
}

// Batch is one transaction: the rows as they shall be. A row given replaces the
// stored one as a whole.
type Batch struct {
	Epoch       int64
	NewJobs     []*Job  // with steps
	Jobs        []*Job  // all but ID, Spec, Owner and Steps is written
	Steps       []*Step // all but Name, Tasks, DependsOn, Needs, Order, Chunks is written
	Resized     []*Step // Tasks and Chunks are written
	Tasks       []*Task // those of no stored step are passed over
	Workers     []*Worker
	Tallies     []*Worker // of workers that are stored: Done, Power and Earned is written
	Users       []*User
	Tokens      []*Token
	Limits      []*Limit
	Values      map[string]string
	Events      []Event
	Builds      []*Build
	Packs       []*Pack
	Entries     []*Entry
	Notes       []*Note
	DropJobs    []int64  // with their notes
	DropUsers   []string // with their tokens
	DropTokens  [][32]byte
	DropLimits  []string
	DropWorkers []int64
	DropBuilds  []int64
	DropPacks   []string
	DropNotes   []string
	TrimEvents  int64 // events up to this id go; 0: none
}

// Empty reports whether there is nothing to write.
func (b *Batch) Empty() bool {
	return len(b.NewJobs)+len(b.Jobs)+len(b.Steps)+len(b.Resized)+len(b.Tasks)+len(b.Workers)+len(b.Tallies)+len(b.Users)+len(b.Tokens)+len(b.Limits)+
		len(b.Values)+len(b.Events)+len(b.Builds)+len(b.Packs)+len(b.Entries)+len(b.Notes)+len(b.DropNotes)+len(b.DropBuilds)+len(b.DropPacks)+len(b.DropJobs)+len(b.DropUsers)+len(b.DropTokens)+len(b.DropLimits)+len(b.DropWorkers) == 0 && b.TrimEvents == 0
}

// Blobs is what the farm needs of the store of files.
type Blobs interface {
	// Size returns the size of a blob by its SHA-256 in lower-case hex; it
	// fails with NotFound.
	Size(ctx context.Context, hash string) (int64, error)
}

// Prover looks at pictures. It is called before a task counts as done, outside
// the dispatcher, by several goroutines at once.
type Prover interface {
	// Prove reads the blob of f and returns f with its size in pixels and a
	// thumbnail, or an *Error of code Invalid whose message is the fault.
	Prove(ctx context.Context, f File, want Check) (File, error)
}

// Clock tells the time. Readings carry Go's monotonic clock, so that a jump of
// the machine's clock moves no deadline.
type Clock func() time.Time

// References calls fn with each blob that the job refers to; for stores.
func (j *Job) References(fn func(hash string) error) error { return references(j.Spec.Files, fn) }

// References calls fn with each blob that the task refers to; for stores.
func (t *Task) References(fn func(hash string) error) error {
	for i := range t.Attempts {
		if h := t.Attempts[i].Log; h != "" {
			if err := fn(h); err != nil {
				return err
			}
		}
		if err := references(t.Attempts[i].Outputs, fn); err != nil {
			return err
		}
	}
	return references(t.Outputs, fn)
}

func references(files []File, fn func(string) error) error {
	for _, f := range files {
		if err := fn(f.SHA256); err != nil {
			return err
		}
		if f.Thumb == "" {
			continue
		}
		if err := fn(f.Thumb); err != nil {
			return err
		}
	}
	return nil
}
