package rayserver

import (
	"encoding/json"
	"time"

	"drover.farm/internal/simulation"
)

// version is that of the protocol.
const version = 1

// maxLine bounds a line in bytes, its end not counted.
const maxLine = 64 << 10

// The ways to show who one is, as the greeting lists them.
const (
	authKey  = "psk-hmac-sha256"
	authNone = "none"
)

// Greeting is what the server says first, and in answer to hello.
type Greeting struct {
	Rayserver int      `json:"rayserver"`
	Host      string   `json:"host"`
	Platform  string   `json:"platform"` // posix or nt
	CPUs      int      `json:"cpus"`
	Auth      []string `json:"auth"`
	Nonce     string   `json:"nonce"`
}

// Request is a line of a client.
type Request struct {
	ID   int64  `json:"id"`
	Verb string `json:"verb"`

	Name   string `json:"name,omitempty"` // of auth, with the next two
	Client string `json:"client,omitempty"`
	MAC    string `json:"mac,omitempty"`

	Job    string `json:"job,omitempty"`
	Offset int64  `json:"offset,omitempty"` // of log

	Location  string   `json:"location,omitempty"` // of submit and list
	Project   string   `json:"project,omitempty"`
	Variation string   `json:"variation,omitempty"` // of submit, with the rest
	View      string   `json:"view,omitempty"`
	Field     string   `json:"field,omitempty"`
	Type      string   `json:"type,omitempty"` // only to ask for a preview, which is refused
	Options   []string `json:"options,omitempty"`
	Mkillum   bool     `json:"mkillum,omitempty"`
	Replace   bool     `json:"replace,omitempty"`
}

// Answer is a line of the server: the answer to the request with its id or, with
// an Event, news of a watched job.
type Answer struct {
	ID    int64  `json:"id,omitempty"`
	OK    bool   `json:"ok"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`

	MAC    string    `json:"mac,omitempty"`
	Hello  *Greeting `json:"hello,omitempty"`
	Job    *Job      `json:"job,omitempty"`
	Jobs   []Job     `json:"jobs,omitempty"`
	Text   string    `json:"text,omitempty"`
	Offset int64     `json:"offset,omitempty"`
	More   bool      `json:"more,omitempty"`
	Event  *Job      `json:"event,omitempty"`
}

// Job is a simulation as the wire shows it.
type Job struct {
	ID        string    `json:"id"`
	Location  string    `json:"location"`
	Project   string    `json:"project"`
	Variation string    `json:"variation"`
	View      string    `json:"view,omitempty"`
	Field     string    `json:"field,omitempty"`
	Type      string    `json:"type"`
	Options   []string  `json:"options,omitempty"`
	User      string    `json:"user,omitempty"`
	State     string    `json:"state"`
	Stage     string    `json:"stage,omitempty"`
	Percent   float64   `json:"percent"`
	Message   string    `json:"message,omitempty"`
	Command   string    `json:"command,omitempty"`
	Host      string    `json:"host"`
	Platform  string    `json:"platform"`
	PID       int       `json:"pid,omitempty"`
	SubPID    int       `json:"subpid,omitempty"`
	FarmJob   int64     `json:"farm_job,omitempty"`
	Submitted time.Time `json:"submitted"`
	Started   time.Time `json:"started,omitzero"`
	Updated   time.Time `json:"updated"`
}

// Live reports whether the job is still to end.
func (j Job) Live() bool { return simulation.State(j.State).Live() }

func wireJob(j simulation.Job) *Job {
	w := &Job{
		ID: j.ID, Location: j.Location, Project: j.Project, Variation: j.Variation, Type: j.Type, Options: j.Options, User: j.User,
		State: string(j.State), Stage: string(j.Stage), Percent: j.Percent, Message: j.Message, Command: j.Command,
		Host: j.Host, Platform: j.Platform, PID: j.PID, SubPID: j.SubPID, FarmJob: j.Farm,
		Submitted: j.Submitted, Started: j.Started, Updated: j.Updated,
	}
	if j.Type == simulation.Numeric {
		w.Field = j.Name
	} else {
		w.View = j.Name
	}
	return w
}

// encode writes a line. What is said of a job is short enough for one, lists of
// jobs are cut to fit by who makes them.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil { // no type of the wire fails
		return []byte(`{"ok":false,"code":"internal","error":"the answer cannot be written"}`)
	}
	return data
}
