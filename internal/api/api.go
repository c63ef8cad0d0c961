// Package api holds the documents of Drover's native HTTP API, /api/v1: what
// the native door answers and what its clients (command line, native worker)
// send. Field names are a contract. docs/api.md describes the calls.
package api

import (
	"encoding/json"
	"time"
)

// Problem is an error answer (RFC 9457, application/problem+json).
type Problem struct {
	Type   string `json:"type,omitempty"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"` // invalid, unauthorized, forbidden, not_found, conflict, gone, full, unavailable, internal
}

// Counts are tasks by state.
type Counts struct {
	Total    int64 `json:"total"`
	Waiting  int64 `json:"waiting"`
	Running  int64 `json:"running"`
	Done     int64 `json:"done"`
	Failed   int64 `json:"failed"`
	Canceled int64 `json:"canceled"`
}

// File is an input or output file.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Root   int    `json:"root,omitempty"`
	Mode   int    `json:"mode,omitempty"`
	Thumb  string `json:"thumb,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
}

// Root is a folder of the submitting machine that the job's paths refer to.
type Root struct {
	Path   string `json:"path"`
	Format string `json:"format"` // POSIX or WINDOWS
	Output bool   `json:"output,omitempty"`
}

// Check is what each picture of a job must be.
type Check struct {
	Format     string `json:"format,omitempty"`
	Width      int    `json:"width,omitempty"`
	Height     int    `json:"height,omitempty"`
	AllowBlack bool   `json:"allow_black,omitempty"`
	Pictures   int    `json:"pictures,omitempty"` // how many each task puts out at least; 0 for one
}

// Submission is the body of POST /api/v1/jobs.
type Submission struct {
	Name         string            `json:"name,omitempty"`
	Owner        string            `json:"owner,omitempty"`
	Priority     *int              `json:"priority,omitempty"` // default 50
	Paused       bool              `json:"paused,omitempty"`
	Template     string            `json:"template"` // OpenJD text, YAML or JSON
	Parameters   map[string]string `json:"parameters,omitempty"`
	Environments []string          `json:"environments,omitempty"`
	Renderer     string            `json:"renderer,omitempty"`
	Files        []File            `json:"files,omitempty"`
	Roots        []Root            `json:"roots,omitempty"`
	Check        *Check            `json:"check,omitempty"`
	Doors        []string          `json:"doors,omitempty"`
	Tags         []string          `json:"tags,omitempty"`
	Order        string            `json:"order,omitempty"`   // linear, preview
	Encrypt      bool              `json:"encrypt,omitempty"` // files in archives, by a password that the farm makes
	Build        string            `json:"build,omitempty"`   // version of the renderer to be used; the newest by default
}

// Environment is an OpenJD environment template that jobs of the farm run in.
type Environment struct {
	Name     string    `json:"name"`
	Tag      string    `json:"tag,omitempty"` // only for jobs that ask for workers with this tag
	Template string    `json:"template"`
	By       string    `json:"by"`
	Changed  time.Time `json:"changed"`
}

// EnvironmentList is the answer of GET /api/v1/environments, outermost first.
type EnvironmentList struct {
	Environments []Environment `json:"environments"`
}

// NewEnvironment is the body of POST /api/v1/environments; the template has the
// name.
type NewEnvironment struct {
	Template string `json:"template"`
	Tag      string `json:"tag,omitempty"`
}

// Job is a job as shown.
type Job struct {
	ID         int64             `json:"id"`
	Name       string            `json:"name"`
	State      string            `json:"state"`
	Owner      string            `json:"owner"`
	Priority   int               `json:"priority"`
	Reason     string            `json:"reason,omitempty"`
	Renderer   string            `json:"renderer,omitempty"`
	Build      string            `json:"build,omitempty"`
	Doors      []string          `json:"doors,omitempty"`
	Tags       []string          `json:"tags,omitempty"`
	Order      string            `json:"order,omitempty"`
	Tasks      Counts            `json:"tasks"`
	Steps      []Step            `json:"steps,omitempty"`
	Progress   float64           `json:"progress"` // percent of the tasks that are done
	ETA        *ETA              `json:"eta,omitempty"`
	Created    *time.Time        `json:"created"`
	Started    *time.Time        `json:"started"`
	Finished   *time.Time        `json:"finished"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Files      []File            `json:"files,omitempty"` // only in the answer for one job
	Roots      []Root            `json:"roots,omitempty"` // only in the answer for one job
}

// ETA is when a job should be done, with a range.
type ETA struct {
	Seconds  float64 `json:"seconds"`
	Earliest float64 `json:"earliest"`
	Latest   float64 `json:"latest"`
}

// Step is a step as shown.
type Step struct {
	Name      string   `json:"name"`
	State     string   `json:"state"` // blocked, ready, done, failed, canceled
	DependsOn []string `json:"depends_on,omitempty"`
	Tasks     Counts   `json:"tasks"`
	// Seconds of rendering of finished tasks.
	SecondsMean float64 `json:"seconds_mean,omitempty"`
	SecondsMin  float64 `json:"seconds_min,omitempty"`
	SecondsMax  float64 `json:"seconds_max,omitempty"`
}

// Task is a task as shown. Index counts from 0 within its step.
type Task struct {
	Step       string            `json:"step"`
	Index      int64             `json:"index"`
	Parameters map[string]string `json:"parameters"`
	State      string            `json:"state"`
	Attempts   int               `json:"attempts"`
	Worker     string            `json:"worker,omitempty"`
	Error      string            `json:"error,omitempty"`
	Progress   float64           `json:"progress,omitempty"`
	Message    string            `json:"message,omitempty"`
	Seconds    float64           `json:"seconds,omitempty"`
	Memory     int64             `json:"memory,omitempty"`
	Started    *time.Time        `json:"started,omitempty"`
	Finished   *time.Time        `json:"finished,omitempty"`
	Output     []File            `json:"output"`
	History    []Attempt         `json:"history,omitempty"` // only in the answer for one task
}

// Attempt is one try of a task.
type Attempt struct {
	Lease    int64      `json:"lease"`
	Worker   string     `json:"worker"`
	WorkerID int64      `json:"worker_id"`
	Started  *time.Time `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	Outcome  string     `json:"outcome,omitempty"`
	Cause    string     `json:"cause,omitempty"`
	Error    string     `json:"error,omitempty"`
	Exit     int        `json:"exit,omitempty"`
	Log      string     `json:"log,omitempty"` // blob
	Seconds  float64    `json:"seconds,omitempty"`
	Memory   int64      `json:"memory,omitempty"`
	Build    string     `json:"build,omitempty"`
}

// JobList, TaskList and so on are pages: Next, when not empty, is the cursor
// ("after") of the next one.
type JobList struct {
	Jobs []Job  `json:"jobs"`
	Next string `json:"next,omitempty"`
}

// TaskList is a page of tasks.
type TaskList struct {
	Tasks []Task `json:"tasks"`
	Next  string `json:"next,omitempty"`
}

// JobPatch is the body of PATCH /api/v1/jobs/{id}.
type JobPatch struct {
	Priority *int    `json:"priority,omitempty"`
	Build    *string `json:"build,omitempty"` // another version of its renderer to go on with; "" for the newest
}

// Reason is the body of POST /api/v1/jobs/{id}/cancel|pause|resume.
type Reason struct {
	Reason string `json:"reason,omitempty"`
}

// Retry is the body of POST /api/v1/jobs/{id}/retry; no tasks means all failed
// and canceled ones. A task is INDEX or STEP/INDEX.
type Retry struct {
	Tasks []string `json:"tasks,omitempty"`
}

// Retried is its answer.
type Retried struct {
	Tasks int64 `json:"tasks"`
	Job   Job   `json:"job"`
}

// GPU, Renderer and Machine describe a worker.
type GPU struct {
	Name   string `json:"name"`
	Memory int64  `json:"memory,omitempty"`
	Driver string `json:"driver,omitempty"`
}

// Renderer is a renderer that a worker has.
type Renderer struct {
	Product string `json:"product"`
	Version string `json:"version"`
	Hash    string `json:"hash,omitempty"`
	Path    string `json:"path,omitempty"`
}

// Machine is what a worker says of itself.
type Machine struct {
	Hostname   string              `json:"hostname"`
	OS         string              `json:"os"`   // linux, windows, macos
	Arch       string              `json:"arch"` // x86_64, arm64
	CPU        string              `json:"cpu,omitempty"`
	Cores      int                 `json:"cores"`
	Memory     int64               `json:"memory"`
	Disk       int64               `json:"disk,omitempty"`
	GPUs       []GPU               `json:"gpus,omitempty"`
	Renderers  []Renderer          `json:"renderers,omitempty"`
	Fetches    []string            `json:"fetches,omitempty"` // products of which it fetches builds from the library; any
	Held       []string            `json:"held,omitempty"`    // SHA-256 of the builds that it has fetched
	Version    string              `json:"version,omitempty"`
	Amounts    map[string]float64  `json:"amounts,omitempty"`
	Attributes map[string][]string `json:"attributes,omitempty"`
}

// Rules are a worker's own conditions.
type Rules struct {
	Owners    []string `json:"owners,omitempty"`
	Jobs      []int64  `json:"jobs,omitempty"`
	Hours     string   `json:"hours,omitempty"`
	LeaveFree int      `json:"leave_free,omitempty"`
}

// Registration is the body of POST /api/v1/workers.
type Registration struct {
	Key     string  `json:"key"`
	Name    string  `json:"name,omitempty"`
	Machine Machine `json:"machine"`
	Slots   int     `json:"slots"`
	Rules   Rules   `json:"rules,omitzero"`
	Holds   []int64 `json:"holds,omitempty"` // leases it still works on
	News    bool    `json:"news,omitempty"`  // it goes on, and only describes itself anew: it keeps all leases
}

// Worker is a worker as shown.
type Worker struct {
	ID       int64      `json:"id"`
	Name     string     `json:"name"`
	Door     string     `json:"door"`
	State    string     `json:"state"` // idle, rendering, offline, disabled, aside
	Hostname string     `json:"hostname"`
	Slots    int        `json:"slots"`
	User     string     `json:"user,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Disabled bool       `json:"disabled,omitempty"`
	Tags     []string   `json:"tags,omitempty"`
	Rules    *Rules     `json:"rules,omitempty"`
	Done     int64      `json:"done"`
	Failed   int64      `json:"failed"`
	Seen     *time.Time `json:"seen"`
	Created  *time.Time `json:"created,omitempty"`
	Machine  *Machine   `json:"machine,omitempty"`
	Leases   []Held     `json:"leases,omitempty"`
	Vitals   *Vitals    `json:"vitals,omitempty"`
}

// Held is a lease of a worker as shown.
type Held struct {
	Lease    int64      `json:"lease"`
	Job      int64      `json:"job"`
	Step     int        `json:"step"`
	Index    int64      `json:"index"`
	Started  *time.Time `json:"started"`
	Progress float64    `json:"progress"`
	Message  string     `json:"message,omitempty"`
	Memory   int64      `json:"memory,omitempty"`
	Stopping bool       `json:"stopping,omitempty"`
}

// WorkerList is the answer of GET /api/v1/workers.
type WorkerList struct {
	Workers []Worker `json:"workers"`
}

// WorkerPatch is the body of PATCH /api/v1/workers/{id}. Absent fields stay.
type WorkerPatch struct {
	Enabled *bool     `json:"enabled,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Tags    *[]string `json:"tags,omitempty"`
	Rules   *Rules    `json:"rules,omitempty"`
}

// Claim is the body of POST /api/v1/workers/{id}/claim. 200 with a Lease, or
// 204 when there was nothing within Wait seconds.
type Claim struct {
	Key  string  `json:"key,omitempty"`  // repeats of one claim carry one key
	Wait float64 `json:"wait,omitempty"` // seconds, at most 60
	Warm int64   `json:"warm,omitempty"` // the job whose session the worker holds
	// Uploading are leases of the worker that are rendered and whose outputs are
	// on their way; they take no slot any more.
	Uploading []int64 `json:"uploading,omitempty"`
}

// TaskParameter is one parameter of a task.
type TaskParameter struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// ChunkSize says that the chunks with an index of From and above have at most
// Size values.
type ChunkSize struct {
	From int64 `json:"from"`
	Size int   `json:"size"`
}

// Lease is the right to one attempt.
type Lease struct {
	ID         int64           `json:"id"`
	Job        int64           `json:"job"`
	Step       int             `json:"step"`
	StepName   string          `json:"step_name"`
	Index      int64           `json:"index"`
	Attempt    int             `json:"attempt"`
	Parameters []TaskParameter `json:"parameters"`
	Chunks     []ChunkSize     `json:"chunks,omitempty"` // how the step is cut, when its chunks aim at a run time
	Deadline   time.Time       `json:"deadline"`
	Period     float64         `json:"period"`          // seconds that a renewal lasts
	Build      string          `json:"build,omitempty"` // version of the renderer that the job is pinned to
}

// Work is the answer of GET /api/v1/leases/{id}/work?worker=ID: what a worker
// needs to open a session of the lease's job. It is the same for all leases of
// a job and may be kept for as long as the session lasts.
type Work struct {
	Job          int64             `json:"job"`
	Name         string            `json:"name"`
	Owner        string            `json:"owner"`
	Renderer     string            `json:"renderer,omitempty"`
	Build        string            `json:"build,omitempty"` // version of the renderer
	Fetch        *Build            `json:"fetch,omitempty"` // of it in the library, when the worker's machine has none
	Template     string            `json:"template"`
	Parameters   map[string]string `json:"parameters"`
	Environments []string          `json:"environments,omitempty"`
	Files        []File            `json:"files"`
	Roots        []Root            `json:"roots"`
	Check        *Check            `json:"check,omitempty"`
}

// Outputs is the answer of GET /api/v1/leases/{id}/inputs?worker=ID: the
// outputs of the steps that the lease's step depends on, directly or not.
type Outputs struct {
	Files []File `json:"files"`
	Next  string `json:"next,omitempty"`
}

// Pulse is the body of POST /api/v1/workers/{id}/heartbeat.
type Pulse struct {
	Leases []Progress `json:"leases"`
	Vitals *Vitals    `json:"vitals,omitempty"`
	Wait   float64    `json:"wait,omitempty"` // seconds, at most 60
}

// Vitals are how a worker's machine fares, as far as it can tell.
type Vitals struct {
	Load           float64 `json:"load,omitempty"`   // per cent of its cores that are busy
	Memory         int64   `json:"memory,omitempty"` // bytes in use
	DiskFree       int64   `json:"disk_free,omitempty"`
	Temperature    float64 `json:"temperature,omitempty"` // of its hottest processor, degrees Celsius
	GPUTemperature float64 `json:"gpu_temperature,omitempty"`
}

// Progress is how far a lease is.
type Progress struct {
	Lease   int64   `json:"lease"`
	Percent float64 `json:"percent"`
	Message string  `json:"message,omitempty"`
	Memory  int64   `json:"memory,omitempty"`
}

// PulseReply answers a Pulse.
type PulseReply struct {
	Stop   []Stop  `json:"stop,omitempty"`
	Period float64 `json:"period"`
}

// Stop orders the end of a lease.
type Stop struct {
	Lease  int64  `json:"lease"`
	Reason string `json:"reason"`
}

// Result is the body of POST /api/v1/leases/{id}/complete and /fail. The lease
// alone does not say which task it was once it has ended, so the task is
// named.
type Result struct {
	Worker  int64   `json:"worker"`
	Job     int64   `json:"job"`
	Step    int     `json:"step"`
	Index   int64   `json:"index"`
	Outputs []File  `json:"outputs,omitempty"`
	Log     string  `json:"log,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Memory  int64   `json:"memory,omitempty"`
	Exit    int     `json:"exit,omitempty"`
	Build   string  `json:"build,omitempty"`
	Cause   string  `json:"cause,omitempty"` // of a failure: job or worker
	Error   string  `json:"error,omitempty"` // of a failure
	Next    *Claim  `json:"next,omitempty"`
}

// Verdict answers a Result.
type Verdict struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"`
	Next     *Lease `json:"next,omitempty"`
}

// GiveBack is the body of POST /api/v1/workers/{id}/return.
type GiveBack struct {
	Leases []int64 `json:"leases"`
	Reason string  `json:"reason,omitempty"`
}

// Hashes is the body of POST /api/v1/blobs/missing and its answer: which of
// these the store lacks.
type Hashes struct {
	SHA256 []string `json:"sha256"`
}

// Event is something that happened.
type Event struct {
	ID     int64     `json:"id"`
	Time   time.Time `json:"time"`
	Type   string    `json:"type"`
	Job    int64     `json:"job,omitempty"`
	Step   string    `json:"step,omitempty"`
	Worker int64     `json:"worker,omitempty"`
	Tasks  []int64   `json:"tasks,omitempty"`
	State  string    `json:"state,omitempty"`
	Text   string    `json:"text,omitempty"`
}

// User is an account as shown.
type User struct {
	Login   string     `json:"login"`
	Roles   []string   `json:"roles"`
	Weight  float64    `json:"weight"`
	Created *time.Time `json:"created,omitempty"`
}

// NewUser is the body of POST /api/v1/users.
type NewUser struct {
	Login    string   `json:"login"`
	Roles    []string `json:"roles"`
	Password string   `json:"password,omitempty"`
	Weight   float64  `json:"weight,omitempty"`
}

// UserPatch is the body of PATCH /api/v1/users/{login}.
type UserPatch struct {
	Roles    *[]string `json:"roles,omitempty"`
	Password *string   `json:"password,omitempty"`
	Weight   *float64  `json:"weight,omitempty"`
}

// Token answers POST /api/v1/users/{login}/tokens; it is shown this once.
type Token struct {
	Login string `json:"login"`
	Token string `json:"token"`
}

// Join is the body of POST /api/v1/join: a one-time token is turned into a
// lasting one, which the client has made and of which the farm gets only the
// hash. So an answer that is lost loses nothing.
type Join struct {
	Once   string `json:"once"`
	SHA256 string `json:"sha256"`          // of the lasting token, as hexadecimal digits
	Label  string `json:"label,omitempty"` // what the token is for, such as the host's name
}

// UserList is the answer of GET /api/v1/users.
type UserList struct {
	Users []User `json:"users"`
}

// Ledger is the answer of GET /api/v1/users/{login}/ledger and
// GET /api/v1/jobs/{job}/ledger. A point is a minute of rendering on an average
// machine.
type Ledger struct {
	Balance *float64     `json:"balance,omitempty"` // of the account, over all of its lines
	Lines   []LedgerLine `json:"lines"`
	Next    string       `json:"next,omitempty"` // cursor of the page that follows
}

// LedgerLine is what one account earned and spent by one job, or was granted.
type LedgerLine struct {
	Account string    `json:"account"`
	Job     int64     `json:"job,omitempty"`  // 0: granted
	Name    string    `json:"name,omitempty"` // of the job, while it is there
	Frames  int64     `json:"frames"`         // that the account's workers rendered
	Earned  float64   `json:"earned"`
	Spent   float64   `json:"spent"`
	Granted float64   `json:"granted"`
	Updated time.Time `json:"updated"`
}

// Grant is the body of POST /api/v1/users/{login}/grants; negative points are
// taken.
type Grant struct {
	Points float64 `json:"points"`
}

// History is the answer of GET /api/v1/workers/{worker}/history: what the worker
// did lately.
type History struct {
	Recent []Past           `json:"recent"`           // oldest first, at most 20
	Causes map[string]int64 `json:"causes,omitempty"` // failed attempts by whose fault: job, worker, lost, none
	Hours  []Hour           `json:"hours"`            // of the last day in which it worked, oldest first
}

// Past is an attempt of a worker that is over.
type Past struct {
	Job     int64     `json:"job"`
	Step    int       `json:"step"`
	Index   int64     `json:"index"`
	Attempt int       `json:"attempt"` // from 1
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Outcome string    `json:"outcome"`
	Cause   string    `json:"cause,omitempty"`
	Error   string    `json:"error,omitempty"`
	Seconds float64   `json:"seconds"`
}

// Hour is what a worker did in an hour.
type Hour struct {
	Start  time.Time `json:"start"`
	Busy   float64   `json:"busy"` // seconds of all its slots together
	Done   int64     `json:"done"`
	Failed int64     `json:"failed"`
}

// Farm is the answer of GET /api/v1/farm.
type Farm struct {
	Maintenance bool             `json:"maintenance"`
	Retention   int              `json:"retention"` // days that ended jobs are kept; 0: until they are removed
	Workers     map[string]int   `json:"workers"`
	Jobs        int              `json:"jobs"`
	Waiting     int64            `json:"waiting"`
	Running     int64            `json:"running"`
	Limits      []Limit          `json:"limits"`
	Doors       []string         `json:"doors"`
	Version     string           `json:"version"`
	Counters    map[string]int64 `json:"counters,omitempty"`
}

// Limit is a farm-wide counter.
type Limit struct {
	Name  string  `json:"name"`
	Total float64 `json:"total"`
	InUse float64 `json:"in_use"`
}

// Why is the answer of GET /api/v1/jobs/{id}/why.
type Why struct {
	Job     int64     `json:"job"`
	State   string    `json:"state"`
	Summary string    `json:"summary"` // one sentence
	Steps   []WhyStep `json:"steps"`
	ETA     *ETA      `json:"eta,omitempty"`
}

// WhyStep is why the tasks of one step wait.
type WhyStep struct {
	Step    string     `json:"step"`
	State   string     `json:"state"`
	Waiting int64      `json:"waiting"`
	Text    string     `json:"text"` // one sentence
	Classes []WhyClass `json:"classes,omitempty"`
	Failed  []string   `json:"failed,omitempty"` // errors of failed tasks, each once
}

// WhyClass is a group of workers that are refused, or would fit, alike.
type WhyClass struct {
	Workers int      `json:"workers"`
	Names   []string `json:"names"` // some of them
	Fits    bool     `json:"fits"`
	Reasons []string `json:"reasons,omitempty"`
	Change  string   `json:"change,omitempty"` // what would let them in
}

// Raw is any JSON document.
type Raw = json.RawMessage

// Blob is a file in the store: the answer of PUT /api/v1/blobs/{sha256}.
type Blob struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// NewToken is the body of POST /api/v1/users/{login}/tokens.
type NewToken struct {
	Label   string     `json:"label,omitempty"`   // what it is for, for people
	Expires *time.Time `json:"expires,omitempty"` // absent: never
}

// Revoked answers DELETE /api/v1/users/{login}/tokens.
type Revoked struct {
	Tokens int `json:"tokens"`
}

// NewLimit is the body of PUT /api/v1/limits/{name}.
type NewLimit struct {
	Total float64 `json:"total"`
}

// LimitList is the answer of GET /api/v1/limits.
type LimitList struct {
	Limits []Limit `json:"limits"`
}

// Retention is the body of PUT /api/v1/retention and its answer: for how many days
// jobs are kept after their end; 0 until somebody removes them.
type Retention struct {
	Days int `json:"days"`
}

// Maintenance is the body of PUT /api/v1/maintenance and its answer.
type Maintenance struct {
	On bool `json:"on"`
}

// Build is one build of a renderer for one system.
type Build struct {
	ID       int64      `json:"id"`
	Product  string     `json:"product"`
	Version  string     `json:"version"`
	Revision string     `json:"revision,omitempty"` // hash of the source it was built from
	OS       string     `json:"os"`                 // linux, windows, macos, any
	Arch     string     `json:"arch"`               // x86_64, arm64, any
	SHA256   string     `json:"sha256"`             // of the archive
	MD5      string     `json:"md5,omitempty"`      // of the archive
	Size     int64      `json:"size"`               // of the archive, bytes
	Origin   string     `json:"origin,omitempty"`   // name of the file that it came in
	State    string     `json:"state"`              // usable, aside, retired
	Reason   string     `json:"reason,omitempty"`
	Root     string     `json:"root,omitempty"`    // folder in the archive that holds it all
	Program  string     `json:"program,omitempty"` // path of the program below Root
	Added    *time.Time `json:"added,omitempty"`
	By       string     `json:"by,omitempty"`     // login
	Trial    int        `json:"trial,omitempty"`  // how many workers may have it at first; 0: all
	Trying   []int64    `json:"trying,omitempty"` // these workers
	Proved   []int64    `json:"proved,omitempty"` // those of them that have done a task with it
}

// NewBuild is the body of POST /api/v1/builds: an archive that was uploaded, and
// what is said of it. What is left empty is found out from its content.
type NewBuild struct {
	SHA256   string `json:"sha256"`
	Name     string `json:"name"` // of the file
	Product  string `json:"product,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"`
	OS       string `json:"os,omitempty"`
	Arch     string `json:"arch,omitempty"`
	Program  string `json:"program,omitempty"` // path in the archive
}

// BuildPatch is the body of PATCH /api/v1/builds/{id}.
type BuildPatch struct {
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"`
	Trial  *int   `json:"trial,omitempty"` // how many workers try it before all have it; 0 ends a trial
}

// BuildList is the answer of GET /api/v1/builds.
type BuildList struct {
	Builds []Build      `json:"builds"`
	Files  []ImportFile `json:"files,omitempty"` // in the import folder, not imported
}

// ImportFile is a file in the import folder that is no build yet.
type ImportFile struct {
	Name   string     `json:"name"` // path below the folder
	Size   int64      `json:"size"`
	State  string     `json:"state"` // waiting, foreign, aside
	Reason string     `json:"reason,omitempty"`
	Tries  int        `json:"tries,omitempty"`
	Next   *time.Time `json:"next,omitempty"` // it is tried again then
}
