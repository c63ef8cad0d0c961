package simulation

import "time"

// State is what a simulation is (Rayfront manual, "Process list").
type State string

// The seven states.
const (
	Scheduled  State = "scheduled"  // waits for a CPU or for the octree of its variation
	Running    State = "running"    // its process runs
	Suspended  State = "suspended"  // its processes are stopped
	Finished   State = "finished"   // its result is whole and under its name
	Failed     State = "failed"     // Radiance failed, or its result is not whole
	Terminated State = "terminated" // a user ended it
	Unknown    State = "unknown"    // it was to be ended, and its process could not be found
)

// Live reports whether a simulation in this state is still to end.
func (s State) Live() bool { return s == Scheduled || s == Running || s == Suspended }

// The kinds of simulation.
const (
	Image   = "rpict"   // a picture of a view
	Numeric = "numeric" // values on the sensors of a measuring field
	Preview = "rview"   // runs on the machine of its user only
)

// Stage is what a running simulation is at.
type Stage string

// The stages in their order. Octree and Illum lock the variation.
const (
	Octree Stage = "octree"
	Illum  Stage = "mkillum"
	Render Stage = "render"
)

// Request is a simulation that is asked for.
type Request struct {
	Location  string
	Project   string // path within the location, with slashes
	Variation string
	Type      string // Image or Numeric
	Name      string // of the view or measuring field
	Options   []string
	Mkillum   bool // compute illum sources even if the variation was made without
	Replace   bool // end a running simulation of the same view or field first
	User      string
}

// Job is a simulation with all that is known of it: its record in proc.
type Job struct {
	ID        string   `json:"id"`
	Location  string   `json:"location"`
	Project   string   `json:"project"`
	Variation string   `json:"variation"`
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Options   []string `json:"options,omitempty"`
	Mkillum   bool     `json:"mkillum,omitempty"`
	User      string   `json:"user,omitempty"` // the key's name

	State    State   `json:"state"`
	Stage    Stage   `json:"stage,omitempty"`
	Percent  float64 `json:"percent"`
	Message  string  `json:"message,omitempty"` // why it failed or waits
	Command  string  `json:"command,omitempty"` // of the last program
	Host     string  `json:"host"`
	Platform string  `json:"platform"`
	// Octree is the hash of the inputs of the octree that it uses, Made that of
	// all that the unfinished result was made with: with another one it cannot
	// be taken up.
	Octree string `json:"octree,omitempty"`
	Made   string `json:"made,omitempty"`
	// PID is the controlling process, which leads the process group of all
	// programs; Born when it started, by the system's clock, so that another
	// process with that number is not taken for it. SubPID is the program.
	PID      int   `json:"pid,omitempty"`
	Born     int64 `json:"born,omitempty"`
	SubPID   int   `json:"subpid,omitempty"`
	Revivals int   `json:"revivals,omitempty"`
	Farm     int64 `json:"farm_job,omitempty"` // job of the farm that renders it

	Submitted time.Time `json:"submitted"`
	Started   time.Time `json:"started,omitzero"` // anew with each restart
	Updated   time.Time `json:"updated"`

	dir string // of the project on this host
}

// key is what may be simulated only once at a time.
func (j *Job) key() [4]string { return [4]string{j.dir, j.Variation, j.Type, j.Name} }

// variation is what has one octree.
func (j *Job) variation() [2]string { return [2]string{j.dir, j.Variation} }
