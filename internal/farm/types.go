package farm

import (
	"time"

	"drover.farm/internal/sched"
)

// FirstJob is the id of a farm's first job. SheepIt clients need 20 to 2^31-1.
const FirstJob = 1000

// JobState is where a job stands as a whole.
type JobState string

// The states of a job; docs/design/states.md has the diagram.
const (
	JobWaiting  JobState = "waiting"
	JobRunning  JobState = "running"
	JobPaused   JobState = "paused"
	JobDone     JobState = "done"
	JobFailed   JobState = "failed"
	JobCanceled JobState = "canceled"
)

// Ended reports whether nothing of the job will be rendered any more unless
// somebody retries it.
func (s JobState) Ended() bool { return s == JobDone || s == JobFailed || s == JobCanceled }

// StepState is where a step stands.
type StepState string

// The states of a step. A blocked step waits for the steps it depends on.
const (
	StepBlocked  StepState = "blocked"
	StepReady    StepState = "ready"
	StepDone     StepState = "done"
	StepFailed   StepState = "failed"
	StepCanceled StepState = "canceled"
)

// Ended reports whether the step's tasks are all over.
func (s StepState) Ended() bool { return s == StepDone || s == StepFailed || s == StepCanceled }

// TaskState is where a task stands.
type TaskState string

// The states of a task.
const (
	TaskWaiting  TaskState = "waiting"
	TaskRunning  TaskState = "running"
	TaskDone     TaskState = "done"
	TaskFailed   TaskState = "failed"
	TaskCanceled TaskState = "canceled"
)

// Outcome is how an attempt ended.
type Outcome string

// The outcomes of an attempt; "" while it runs.
const (
	OutcomeDone     Outcome = "done"
	OutcomeFailed   Outcome = "failed"   // the render failed; Cause says whose fault
	OutcomeLost     Outcome = "lost"     // the worker fell silent until its lease ended
	OutcomeReturned Outcome = "returned" // the worker gave it back, nobody's fault
	OutcomeCanceled Outcome = "canceled" // stopped because somebody asked
	OutcomeLate     Outcome = "late"     // another attempt finished first
)

// Cause says what a failure is counted against.
type Cause string

// The causes of a failure.
const (
	CauseJob    Cause = "job"    // the scene, the template, the picture
	CauseWorker Cause = "worker" // vanished, out of disk, missing library, killed
	CauseNone   Cause = "none"
)

// Counts are the tasks of a job or step by state. They always add up to Total.
type Counts struct {
	Total, Waiting, Running, Done, Failed, Canceled int64
}

// Add adds other to c.
func (c *Counts) Add(o Counts) {
	c.Total += o.Total
	c.Waiting += o.Waiting
	c.Running += o.Running
	c.Done += o.Done
	c.Failed += o.Failed
	c.Canceled += o.Canceled
}

// File is a file of a job or an output of a task: a name that uses slashes and
// stays beneath its root, and the blob that holds the content.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Root   int    `json:"root,omitempty"`   // index into Job.Roots
	Mode   int    `json:"mode,omitempty"`   // 0o111 bits count: an executable
	Thumb  string `json:"thumb,omitempty"`  // blob of the thumbnail of a picture
	Width  int    `json:"width,omitempty"`  // of a picture
	Height int    `json:"height,omitempty"` // of a picture
}

// Root is a folder of the submitter's machine under which a job's files lay or
// its outputs belong. A worker gives it a place of its own and maps paths by
// OpenJD path mapping rules.
type Root struct {
	Path   string `json:"path"`             // as the submitter's machine names it
	Format string `json:"format"`           // POSIX or WINDOWS
	Output bool   `json:"output,omitempty"` // tasks write here; new files are the task's outputs
}

// Check is what every picture that a job's tasks put out must be.
type Check struct {
	Format     string `json:"format,omitempty"` // PNG, JPEG, OPEN_EXR, TIFF, TARGA, BMP, HDR; "" for any
	Width      int    `json:"width,omitempty"`  // 0 for any
	Height     int    `json:"height,omitempty"`
	AllowBlack bool   `json:"allow_black,omitempty"`
	Pictures   int    `json:"pictures,omitempty"` // how many each task puts out at least; 0 for one
}

// Order is the order in which the tasks of a step are handed out.
type Order string

// The orders of rendering.
const (
	OrderLinear  Order = "linear"  // first to last
	OrderPreview Order = "preview" // first, last, middle, then halving the gaps
)

// Spec is what a submitter says of a job; it never changes afterwards.
type Spec struct {
	Name         string
	Template     string            // OpenJD 2023-09 job template, YAML or JSON
	Parameters   map[string]string // values of its parameters
	Environments []string          // OpenJD environment templates, outermost first
	Renderer     string            // "blender", "vray", "radiance": what doors with one renderer go by; "" for others
	Files        []File            // input files
	Roots        []Root
	Check        *Check   // nil: outputs are not looked at
	Doors        []string // doors whose workers may render it; empty: all
	Tags         []string // worker tags that are all needed
	Order        Order
	// Password encrypts the files wherever a door sends them in an archive; ""
	// for none. Doors and clients that cannot do that do not get the job.
	Password string
}

// Job is a job as stored: its spec and how it stands.
type Job struct {
	ID       int64
	Owner    string
	Priority int // 0..100, higher first
	Spec     Spec
	Steps    []Step

	State    JobState
	Paused   bool
	Canceled bool
	Reason   string // why it failed, was paused or was canceled, in words
	Build    string // the build that its tasks are pinned to, once one was leased
	Created  time.Time
	Started  time.Time // zero until the first lease
	Finished time.Time // zero until the job has ended
}

// Counts adds up the tasks of all steps.
func (j *Job) Counts() Counts {
	var c Counts
	for i := range j.Steps {
		c.Add(j.Steps[i].Counts())
	}
	return c
}

// Step is a step of a job: how many tasks it has and which were touched. Its
// tasks are numbered 0 to Tasks-1; Order says in which order they are handed
// out. Positions below Next in that order have been leased at least once and
// have a row each, all others are arithmetic.
type Step struct {
	Job       int64
	Index     int
	Name      string
	Tasks     int64
	DependsOn []int // indices of steps of the same job
	Needs     *sched.Needs
	Order     Order
	Chunks    *Chunks // how its tasks are cut, when they are chunks of a run time; else nil

	State    StepState
	Next     int64
	Retrying int64 // touched tasks that wait again
	Running  int64
	Done     int64
	Failed   int64
	Canceled int64 // touched tasks that were canceled
	Seconds  float64
	Slowest  float64
	Fastest  float64 // of finished attempts, in seconds; 0 until one finished
}

// Untouched is how many tasks were never leased.
func (s *Step) Untouched() int64 { return s.Tasks - s.Next }

// Counts are the step's tasks by state. What still waited when the step ended
// counts as canceled.
func (s *Step) Counts() Counts {
	c := Counts{Total: s.Tasks, Running: s.Running, Done: s.Done, Failed: s.Failed, Canceled: s.Canceled}
	if s.State.Ended() {
		c.Canceled += s.Untouched() + s.Retrying
	} else {
		c.Waiting += s.Untouched() + s.Retrying
	}
	return c
}

// TaskKey names a task.
type TaskKey struct {
	Job   int64
	Step  int
	Index int64
}

// Task is a task that was leased at least once, or stands for one that was not.
type Task struct {
	TaskKey
	State    TaskState
	Attempts []Attempt // oldest first; the last one runs when State is TaskRunning
	Outputs  []File    // of the attempt that counts
	Since    int       // attempts before this one do not count: somebody asked to try again
}

// Attempt is one try of a task on one worker.
type Attempt struct {
	Lease   int64     `json:"lease"`
	Worker  int64     `json:"worker"`
	Name    string    `json:"name"` // of the worker
	Door    string    `json:"door,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Outcome Outcome   `json:"outcome,omitempty"`
	Cause   Cause     `json:"cause,omitempty"`
	Error   string    `json:"error,omitempty"`
	Exit    int       `json:"exit,omitempty"`
	Log     string    `json:"log,omitempty"`    // blob
	Memory  int64     `json:"memory,omitempty"` // peak, bytes
	Seconds float64   `json:"seconds,omitempty"`
	Build   string    `json:"build,omitempty"` // what rendered it: product and version
	// Outputs are files that do not count, for people to look at: of a picture
	// that was refused, up to the one at fault, or of an attempt that came late.
	Outputs []File `json:"outputs,omitempty"`
}

// Renderer is a renderer that a worker has.
type Renderer struct {
	Product string `json:"product"` // blender, vray, radiance
	Version string `json:"version"`
	Hash    string `json:"hash,omitempty"`
	Path    string `json:"path,omitempty"`
}

// GPU is a graphics processor of a worker.
type GPU struct {
	Name   string `json:"name"`
	Memory int64  `json:"memory,omitempty"` // bytes
	Driver string `json:"driver,omitempty"`
}

// Machine is what a worker says of itself.
type Machine struct {
	Hostname  string     `json:"hostname"`
	OS        string     `json:"os"`                 // linux, windows, macos (OpenJD attr.worker.os.family)
	Arch      string     `json:"arch"`               // x86_64, arm64 (OpenJD attr.worker.cpu.arch)
	Emulates  []string   `json:"emulates,omitempty"` // architectures whose builds it runs, too, where there is none for its own
	CPU       string     `json:"cpu,omitempty"`
	Cores     int        `json:"cores"`
	Memory    int64      `json:"memory"` // bytes
	Disk      int64      `json:"disk,omitempty"`
	GPUs      []GPU      `json:"gpus,omitempty"`
	Renderers []Renderer `json:"renderers,omitempty"`
	Fetches   []string   `json:"fetches,omitempty"` // products of which it fetches builds from the library; "any" for all
	Held      []string   `json:"held,omitempty"`    // SHA-256 of the builds that it has fetched
	Version   string     `json:"version,omitempty"` // of the worker's own program
	// Amounts and Attributes are further OpenJD capabilities, by full name.
	Amounts    map[string]float64  `json:"amounts,omitempty"`
	Attributes map[string][]string `json:"attributes,omitempty"`
}

// WorkerState is what a worker is doing.
type WorkerState string

// The states of a worker.
const (
	WorkerIdle      WorkerState = "idle"
	WorkerRendering WorkerState = "rendering"
	WorkerOffline   WorkerState = "offline"
	WorkerDisabled  WorkerState = "disabled" // by an operator
	WorkerAside     WorkerState = "aside"    // by the farm, after failures; Reason says why
)

// Worker is a machine that renders.
type Worker struct {
	ID       int64
	Key      string // what the worker knows itself by; the same key is the same worker
	User     string // login of the account it works for
	Name     string
	Door     string
	Machine  Machine
	Slots    int
	Tags     []string
	Rules    Rules
	Disabled bool
	Aside    bool
	Reason   string
	Streak   []int64       // different jobs that failed here since its last success
	Faults   int           // failures by its own fault since its last success
	Lease    time.Duration // how long a lease lasts unless renewed; 0: the farm's default
	Silence  time.Duration // after which it counts as offline; 0: the farm's default
	Power    float64       // measured: 1 renders as fast as the average machine; 0: not known
	Earned   Points        // since it last registered
	Done     int64
	Failed   int64
	Created  time.Time
	Seen     time.Time // written now and then, not at each heartbeat
	Online   bool

	// State, Leases and Vitals are filled in for whoever looks; they are not stored.
	State  WorkerState
	Leases []LeaseInfo
	Vitals *Vitals
}

// Rules are a worker's own conditions on what it takes.
type Rules struct {
	Owners    []string `json:"owners,omitempty"`     // only these people's jobs
	Jobs      []int64  `json:"jobs,omitempty"`       // only these jobs
	Hours     string   `json:"hours,omitempty"`      // "18:00-08:00", the farm's clock; empty: always
	LeaveFree int      `json:"leave_free,omitempty"` // cores left to the machine's owner
}

// LeaseInfo is a lease as shown to people.
type LeaseInfo struct {
	TaskKey
	ID       int64
	Worker   int64
	Started  time.Time
	Deadline time.Time
	Progress float64 // 0..100
	Message  string
	Memory   int64
	Stopping bool
}

// Role is a right of an account. Roles are a set; admin includes all others,
// operator includes submitter.
type Role string

// The roles.
const (
	RoleRenderer  Role = "renderer"  // lend machines
	RoleSubmitter Role = "submitter" // submit jobs and act on one's own
	RoleOperator  Role = "operator"  // act on all jobs and workers
	RoleAdmin     Role = "admin"     // accounts and settings as well
)

// Roles are all roles.
var Roles = []Role{RoleRenderer, RoleSubmitter, RoleOperator, RoleAdmin}

// User is an account.
type User struct {
	Login    string
	Roles    []Role
	Password string // hash, made by package secret; "" for none
	Weight   float64
	Created  time.Time
}

// Token is a credential of an account. The farm keeps only the SHA-256 of it.
type Token struct {
	Hash    [32]byte
	Login   string
	Kind    string // "token", "publickey", "session"
	Label   string
	Created time.Time
	Expires time.Time // zero: never
}

// Limit is a named counter, such as a number of licences. A step draws on it by
// a host requirement of the amount with that name.
type Limit struct {
	Name  string // as in the amount: "amount.licence.nuke"
	Total float64
	InUse float64 // filled in for whoever looks
}

// Event is something that happened, kept and numbered so that a reader that
// lost its connection can go on where it was.
type Event struct {
	ID     int64     `json:"id"`
	Time   time.Time `json:"time"`
	Type   string    `json:"type"` // "job.submitted", "job.state", "task.done", …
	Job    int64     `json:"job,omitempty"`
	Step   string    `json:"step,omitempty"`
	Worker int64     `json:"worker,omitempty"`
	Tasks  []int64   `json:"tasks,omitempty"` // indices
	State  string    `json:"state,omitempty"`
	Text   string    `json:"text,omitempty"`
}

// Principal is who asks: an account after its credential was checked.
type Principal struct {
	Login string
	Roles []Role
}

// Is reports whether p has the role or one that includes it.
func (p Principal) Is(r Role) bool {
	for _, have := range p.Roles {
		switch {
		case have == r, have == RoleAdmin, have == RoleOperator && r == RoleSubmitter:
			return true
		}
	}
	return false
}
