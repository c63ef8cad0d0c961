package farm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Pin lets a job go on with another version of its renderer, or with "" with the
// newest there is. Frames that are done stay as they are, and tasks under way
// finish with the version that they began with, so the job's frames may then be
// of two versions: that is for somebody to decide, never for the farm. It fails
// with Conflict when neither a worker nor the library has the version.
func (f *Farm) Pin(ctx context.Context, c JobChange, version string) (*Job, error) {
	return f.change(ctx, c, func(st *state, j *job) error {
		if j.Spec.Renderer == "" {
			return Errorf(Conflict, "job %d names no renderer whose version could be changed", j.ID)
		}
		have := st.versions(j.Spec.Renderer)
		switch {
		case len(have) == 0:
			return Errorf(Conflict, "no worker has %s, nor has the library a build of it that is used; \"drover renderer add\" puts one in", j.Spec.Renderer)
		case version == "":
			version = have[0]
		case !slices.Contains(have, version):
			return Errorf(Conflict, "neither a worker nor the library has %s %s; there are: %s", j.Spec.Renderer, quote(version), strings.Join(have, ", "))
		}
		if version == j.Build {
			return Errorf(Conflict, "job %d is rendered with %s %s already", j.ID, j.Spec.Renderer, version)
		}
		st.audit(c.By, "moved job %d from %s %s to %s", j.ID, j.Spec.Renderer, orNone(j.Build), version)
		st.pin(j, version)
		st.queue.Touch()
		st.emit(Event{Type: "job.build", Job: j.ID, Text: j.Spec.Renderer + " " + version})
		return nil
	})
}

func orNone(version string) string {
	if version == "" {
		return "no version yet"
	}
	return version
}

// Versions lists the versions of a renderer that jobs can be moved to, the newest
// first: those that workers have installed, and those of the library that are not
// set aside.
func (f *Farm) Versions(ctx context.Context, product string) ([]string, error) {
	var out []string
	err := f.do(ctx, func(st *state) error {
		out = st.versions(product)
		return nil
	})
	return out, err
}

func (st *state) versions(product string) []string {
	seen := map[string]bool{}
	for w := range st.everybody {
		w.Machine.versions(product, seen)
	}
	for _, b := range st.builds {
		if b.Product == product && b.State != BuildAside {
			seen[b.Version] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b string) int { return compareVersions(b, a) })
}

// versions notes which versions of a renderer the machine has installed.
func (m *Machine) versions(product string, seen map[string]bool) {
	for _, r := range m.Renderers {
		if r.Product == product {
			seen[r.Version] = true
		}
	}
}

// stranded says so when the job waits for a version of its renderer that nobody
// has any more; "" else.
func (q *inquiry) stranded() string {
	j := q.job
	if j.Build == "" || q.installed[j.Build] {
		return ""
	}
	why := "is not there any more"
	for _, b := range q.builds {
		if b.Product != j.Spec.Renderer || b.Version != j.Build {
			continue
		}
		if b.State != BuildAside {
			return ""
		}
		why = "was set aside" + because(b.Reason)
	}
	return fmt.Sprintf("it is rendered with %s %s, which %s; \"drover job build %d\" lets it go on with another version", j.Spec.Renderer, j.Build, why, j.ID)
}
