package farm

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"drover.farm/openjd"
)

// Environment is an OpenJD environment template that an operator has set for the
// farm's jobs: each job that is submitted while it is there runs in it, whatever
// becomes of the template later.
type Environment struct {
	Name     string    `json:"name"` // of the template's environment
	Template string    `json:"template"`
	Tag      string    `json:"tag,omitempty"` // only for jobs that ask for workers with this tag; "": for all
	By       string    `json:"by"`
	Changed  time.Time `json:"changed"`
}

// Applies reports whether jobs that ask for these worker tags run in e.
func (e *Environment) Applies(tags []string) bool { return e.Tag == "" || slices.Contains(tags, e.Tag) }

const (
	// ValueEnvironments holds the farm's environments, as JSON, outermost first.
	ValueEnvironments = "environments"
	maxEnvironments   = 50
)

// SetEnvironment sets an environment for all jobs to come, or for those with its
// tag. One of the same name is replaced and keeps its place; a new one comes
// within those that are there, and one with a tag within those without.
func (f *Farm) SetEnvironment(ctx context.Context, by Principal, e Environment) (*Environment, error) {
	if !by.Is(RoleOperator) {
		return nil, Errorf(Forbidden, "environments of the farm take the role operator")
	}
	t, err := openjd.ParseEnvironmentTemplate([]byte(e.Template))
	if err != nil {
		return nil, &Error{Code: Invalid, Message: "the environment template is refused:\n" + err.Error()}
	}
	if e.Tag != "" {
		if err := validLabel("tag", e.Tag); err != nil {
			return nil, err
		}
	}
	e.Name, e.By = t.Name(), by.Login
	err = f.changeEnvironments(ctx, e.Name, func(st *state, list []Environment) ([]Environment, error) {
		e.Changed = st.now
		if at := environmentAt(list, e.Name); at >= 0 {
			list[at] = e
		} else if list = append(list, e); len(list) > maxEnvironments {
			return nil, Errorf(Invalid, "the farm has %d environments, and no more are allowed; remove one first", maxEnvironments)
		}
		slices.SortStableFunc(list, func(a, b Environment) int { return min(len(a.Tag), 1) - min(len(b.Tag), 1) })
		return list, nil
	})
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// RemoveEnvironment takes an environment away from the jobs to come. It fails
// with NotFound.
func (f *Farm) RemoveEnvironment(ctx context.Context, by Principal, name string) error {
	if !by.Is(RoleOperator) {
		return Errorf(Forbidden, "environments of the farm take the role operator")
	}
	return f.changeEnvironments(ctx, name, func(_ *state, list []Environment) ([]Environment, error) {
		at := environmentAt(list, name)
		if at < 0 {
			return nil, Errorf(NotFound, "the farm has no environment %s; \"drover environment ls\" lists them", quote(name))
		}
		return slices.Delete(list, at, at+1), nil
	})
}

// Environments lists the farm's environments, outermost first.
func (f *Farm) Environments(ctx context.Context) ([]Environment, error) {
	var text string
	if err := f.do(ctx, func(st *state) error { text = st.values[ValueEnvironments]; return nil }); err != nil {
		return nil, err
	}
	return readEnvironments(text)
}

func (f *Farm) changeEnvironments(ctx context.Context, name string, fn func(*state, []Environment) ([]Environment, error)) error {
	return f.do(ctx, func(st *state) error {
		list, err := readEnvironments(st.values[ValueEnvironments])
		if err != nil {
			return err
		}
		if list, err = fn(st, list); err != nil {
			return err
		}
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		st.setValue(ValueEnvironments, string(text))
		st.emit(Event{Type: "farm.environment", Text: name})
		return nil
	})
}

func readEnvironments(text string) (list []Environment, err error) {
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("read the farm's environments: %w", err)
	}
	return list, nil
}

func environmentAt(list []Environment, name string) int {
	return slices.IndexFunc(list, func(e Environment) bool { return e.Name == name })
}

// surround puts a job's own environments within the farm's.
func (f *Farm) surround(ctx context.Context, s *Spec) error {
	list, err := f.Environments(ctx)
	if err != nil {
		return err
	}
	var texts []string
	for _, e := range list {
		if e.Applies(s.Tags) {
			texts = append(texts, e.Template)
		}
	}
	s.Environments = slices.Concat(texts, s.Environments)
	return nil
}
