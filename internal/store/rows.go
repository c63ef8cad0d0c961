// Package store holds what the SQL stores share: how the farm's values become
// columns. The stores themselves are the packages below it.
package store

import (
	"encoding/json"
	"fmt"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/sched"
)

// Nanos is a time as a column: nanoseconds since 1970, 0 for the zero time.
func Nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Time is the inverse of Nanos.
func Time(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

var taskStates = []farm.TaskState{farm.TaskWaiting, farm.TaskRunning, farm.TaskDone, farm.TaskFailed, farm.TaskCanceled}

// TaskState is a task's state as a column.
func TaskState(s farm.TaskState) int {
	for i, v := range taskStates {
		if v == s {
			return i
		}
	}
	return -1
}

// TaskStateOf is the inverse of TaskState.
func TaskStateOf(i int) farm.TaskState {
	if i < 0 || i >= len(taskStates) {
		return ""
	}
	return taskStates[i]
}

// JSON is v as a column. The farm's types always encode.
func JSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(b), nil
}

// List is a slice as a column; the empty one is the empty text, which is what
// most rows have.
func List[T any](v []T) (string, error) {
	if len(v) == 0 {
		return "", nil
	}
	return JSON(v)
}

// UnList is the inverse of List.
func UnList[T any](s string, v *[]T) error {
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), v)
}

// JobHead is the part of a job's spec that lists show.
type JobHead struct {
	Parameters map[string]string `json:"parameters,omitempty"`
	Renderer   string            `json:"renderer,omitempty"`
	Roots      []farm.Root       `json:"roots,omitempty"`
	Check      *farm.Check       `json:"check,omitempty"`
	Doors      []string          `json:"doors,omitempty"`
	Tags       []string          `json:"tags,omitempty"`
	Order      farm.Order        `json:"order,omitempty"`
}

// JobBody is the rest of it.
type JobBody struct {
	Template     string      `json:"template"`
	Environments []string    `json:"environments,omitempty"`
	Files        []farm.File `json:"files,omitempty"`
	Password     string      `json:"password,omitempty"`
}

// SplitSpec cuts a spec in the two columns.
func SplitSpec(s *farm.Spec) (head, body string, err error) {
	if head, err = JSON(JobHead{s.Parameters, s.Renderer, s.Roots, s.Check, s.Doors, s.Tags, s.Order}); err != nil {
		return "", "", err
	}
	body, err = JSON(JobBody{s.Template, s.Environments, s.Files, s.Password})
	return head, body, err
}

// JoinSpec is the inverse of SplitSpec; an empty body leaves its part empty.
func JoinSpec(s *farm.Spec, head, body string) error {
	var h JobHead
	if err := json.Unmarshal([]byte(head), &h); err != nil {
		return err
	}
	s.Parameters, s.Renderer, s.Roots, s.Check, s.Doors, s.Tags, s.Order = h.Parameters, h.Renderer, h.Roots, h.Check, h.Doors, h.Tags, h.Order
	if body == "" {
		return nil
	}
	var b JobBody
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		return err
	}
	s.Template, s.Environments, s.Files, s.Password = b.Template, b.Environments, b.Files, b.Password
	return nil
}

// StepSpec is what seldom changes of a step, but its number of tasks.
type StepSpec struct {
	Name      string       `json:"name"`
	DependsOn []int        `json:"depends_on,omitempty"`
	Needs     *sched.Needs `json:"needs,omitempty"`
	Order     farm.Order   `json:"order,omitempty"`
	Chunks    *farm.Chunks `json:"chunks,omitempty"`
}

// StepSpecOf is the column of a step's spec.
func StepSpecOf(s *farm.Step) (string, error) {
	return JSON(StepSpec{s.Name, s.DependsOn, s.Needs, s.Order, s.Chunks})
}

// SetStepSpec is the inverse of StepSpecOf.
func SetStepSpec(s *farm.Step, text string) error {
	var v StepSpec
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	s.Name, s.DependsOn, s.Needs, s.Order, s.Chunks = v.Name, v.DependsOn, v.Needs, v.Order, v.Chunks
	return nil
}

// Worker is a worker without its tally and what is not stored.
func Worker(w *farm.Worker) (string, error) {
	c := *w
	c.Done, c.Power, c.Earned = 0, 0, 0
	c.State, c.Leases = "", nil
	return JSON(c)
}
