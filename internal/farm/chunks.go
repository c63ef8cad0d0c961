package farm

import (
	"math"

	"drover.farm/openjd"
)

// Chunks is how a step whose chunks aim at a run time is cut: its tasks are those
// of its space with the plan. New sizes are for chunks that nobody was given yet,
// so the step's number of tasks changes while it is worked on.
type Chunks struct {
	Target int             `json:"target"` // seconds
	Plan   []openjd.Resize `json:"plan"`
}

// maxResizes bounds the plan of a step.
const maxResizes = 64

// Space is the parameter space that the step's tasks are numbered in.
func (s *Step) Space(job *openjd.Job) (*openjd.Space, error) {
	space := job.Steps[s.Index].Space
	if s.Chunks == nil {
		return space, nil
	}
	return space.WithPlan(s.Chunks.Plan)
}

// chunks is how a step is cut at first; nil when its chunks aim at no run time.
func chunks(space *openjd.Space) *Chunks {
	c := space.Chunk()
	if c == nil || c.TargetRuntimeSeconds <= 0 {
		return nil
	}
	return &Chunks{Target: c.TargetRuntimeSeconds, Plan: []openjd.Resize{{Size: c.DefaultTaskCount}}}
}

// resize sizes the chunks that are still to be handed out by how long one took.
func (st *state) resize(s *step, index int64, seconds float64) {
	if s.Chunks == nil || s.job.built == nil || s.Untouched() == 0 || !(seconds > 0) {
		return
	}
	space, err := s.Space(s.job.built)
	if err != nil {
		st.f.log.Error("a step's chunks cannot be sized", "job", s.Job, "step", s.Name, "err", err)
		return
	}
	plan := s.Chunks.Plan
	last := plan[len(plan)-1]
	size := chunkSize(last.Size, space.ChunkLen(index), seconds, float64(s.Chunks.Target))
	if size == last.Size {
		return
	}
	if last.From == s.Next {
		plan = plan[:len(plan)-1]
	}
	if len(plan) == maxResizes {
		return
	}
	c := &Chunks{Target: s.Chunks.Target, Plan: append(plan[:len(plan):len(plan)], openjd.Resize{From: s.Next, Size: size})}
	cut, err := s.job.built.Steps[s.Index].Space.WithPlan(c.Plan)
	if err != nil || cut.Len() > st.f.settings.MaxTasks {
		return // smaller chunks would be too many
	}
	s.Chunks, s.Tasks = c, cut.Len()
	st.dirty.rest.Resized = append(st.dirty.rest.Resized, s.Step)
	st.f.log.Debug("chunks resized", "job", s.Job, "step", s.Name, "from", s.Next, "size", size)
}

// chunkSize is the size for chunks to take target seconds, after one of n values
// took that many. It at most doubles or halves, for values differ, and it stays
// when it is right within a quarter.
func chunkSize(size int, n int64, seconds, target float64) int {
	ideal := target / (seconds / float64(max(n, 1)))
	next := min(max(ideal, float64(size)/2, 1), float64(size)*2, math.MaxInt32)
	if math.Abs(next-float64(size)) < float64(size)/4 {
		return size
	}
	return int(math.Round(next))
}
