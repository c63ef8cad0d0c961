package farm

import (
	"context"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"drover.farm/internal/sched"
	"drover.farm/openjd"
)

// Submission is a job as somebody asks for it.
type Submission struct {
	By       Principal
	Owner    string // on whose behalf; empty: By. Only operators may name another.
	Priority int    // 0..100
	Paused   bool   // wait for "resume"
	Build    string // version of the renderer that the job is pinned to; empty: the newest at its first lease
	Spec     Spec
	// Notes gives what the door keeps with the job that gets this number. It is
	// called by the dispatcher; nil: nothing.
	Notes func(job int64) []Note
}

// DefaultPriority is the priority of a job that asks for none.
const DefaultPriority = 50

// Submit takes a job in. Everything about it is checked first: a job that was
// accepted can be instantiated and has all its files. All faults of the
// template come in one error.
func (f *Farm) Submit(ctx context.Context, s Submission) (*Job, error) {
	j, err := f.prepare(ctx, &s)
	if err != nil {
		return nil, err
	}
	var out *Job
	err = f.do(ctx, func(st *state) error {
		if st.users[s.Owner] == nil {
			return Errorf(NotFound, "there is no account %s", quote(s.Owner))
		}
		var notes []Note
		if s.Notes != nil {
			notes = s.Notes(st.lastJob + 1)
		}
		for i := range notes {
			if err := notes[i].check(); err != nil {
				return err
			}
		}
		st.lastJob++
		row := *j
		row.ID, row.Created = st.lastJob, st.now
		row.Steps = slices.Clone(j.Steps)
		for i := range row.Steps {
			row.Steps[i].Job = row.ID
		}
		live := st.admit(&row)
		live.ledger = make(map[string]*Entry)
		st.dirty.newJobs[row.ID] = live
		st.emit(Event{Type: "job.submitted", Job: row.ID, Text: row.Spec.Name})
		st.advance(live)
		for _, step := range live.steps {
			st.place(step)
		}
		for _, n := range notes {
			n.Job = row.ID
			st.putNote(n)
		}
		out = live.copy()
		st.after = append(st.after, func() { // it may never become durable
			st.f.log.Info("job submitted", "job", out.ID, "name", out.Spec.Name, "owner", out.Owner, "tasks", out.Counts().Total)
		})
		return nil
	})
	if err != nil {
		return nil, err // the dispatcher may be at it still
	}
	return out, nil
}

// prepare checks a submission and makes the job's rows, all but the numbers.
func (f *Farm) prepare(ctx context.Context, s *Submission) (*Job, error) {
	if !s.By.Is(RoleSubmitter) {
		return nil, Errorf(Forbidden, "the account %s may not submit jobs: it lacks the role submitter", s.By.Login)
	}
	if s.Owner == "" {
		s.Owner = s.By.Login
	}
	if s.Owner != s.By.Login && !s.By.Is(RoleOperator) {
		return nil, Errorf(Forbidden, "submitting for another account takes the role operator")
	}
	if s.Priority < 0 || s.Priority > 100 {
		return nil, Errorf(Invalid, "the priority %d is not between 0 and 100", s.Priority)
	}
	if err := f.validSpec(&s.Spec); err != nil {
		return nil, err
	}
	if err := f.surround(ctx, &s.Spec); err != nil {
		return nil, err
	}
	j := &Job{Owner: s.Owner, Priority: s.Priority, Spec: s.Spec, State: JobWaiting, Paused: s.Paused}
	built, err := f.Instantiate(j)
	if err != nil {
		return nil, &Error{Code: Invalid, Message: "the job template is refused:\n" + err.Error()}
	}
	if j.Spec.Name == "" {
		j.Spec.Name = built.Name
	}
	if err := validLabel("job name", j.Spec.Name); err != nil {
		return nil, err
	}
	if j.Steps, err = f.steps(&j.Spec, built); err != nil {
		return nil, err
	}
	if err := j.fix(s.Build); err != nil {
		return nil, err
	}
	if err := f.haveFiles(ctx, j.Spec.Files); err != nil {
		return nil, err
	}
	return j, nil
}

// haveFiles makes sure that the contents of a job's files are there, and what the
// job says they are.
func (f *Farm) haveFiles(ctx context.Context, files []File) error {
	if f.blobs == nil || len(files) == 0 {
		return nil
	}
	sizes, err := f.sizes(ctx, files)
	if err != nil {
		return fmt.Errorf("look up the files: %w", err)
	}
	for _, file := range files {
		size, ok := sizes[file.SHA256]
		if !ok {
			return Errorf(Invalid, "the file %s was not uploaded: its content %s is not in the store", quote(file.Name), file.SHA256)
		}
		if size != file.Size {
			return Errorf(Invalid, "the file %s was said to have %d bytes, but its content %s has %d", quote(file.Name), file.Size, file.SHA256, size)
		}
	}
	return nil
}

// fix pins a job that is being submitted.
func (j *Job) fix(version string) error {
	switch {
	case version == "":
		return nil
	case j.Spec.Renderer == "":
		return Errorf(Invalid, "the job names no renderer whose version %s could be", quote(version))
	}
	j.Build = version
	for i := range j.Steps {
		j.Steps[i].Needs = pinned(j.Steps[i].Needs, j.Spec.Renderer, version)
	}
	return validLabel("renderer's version", version)
}

// Instantiate makes the OpenJD job of a stored job. It costs about as much as
// parsing the template.
func (f *Farm) Instantiate(j *Job) (*openjd.Job, error) {
	t, err := openjd.ParseJobTemplate([]byte(j.Spec.Template))
	if err != nil {
		return nil, err
	}
	var o openjd.Options
	for _, text := range j.Spec.Environments {
		e, err := openjd.ParseEnvironmentTemplate([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("environment template: %w", err)
		}
		o.Environments = append(o.Environments, e)
	}
	return t.Instantiate(j.Spec.Parameters, o)
}

// steps makes the rows of a job's steps.
func (f *Farm) steps(spec *Spec, built *openjd.Job) ([]Step, error) {
	names := make(map[string]int, len(built.Steps))
	for i, s := range built.Steps {
		names[s.Name] = i
	}
	rows := make([]Step, len(built.Steps))
	var total int64
	for i, s := range built.Steps {
		n := s.Space.Len()
		if n > f.settings.MaxTasks || total+n > f.settings.MaxTasks {
			return nil, Errorf(Invalid, "the job has more than %d tasks (step %s alone has %d); split it, or raise the setting farm.max_tasks", f.settings.MaxTasks, quote(s.Name), n)
		}
		total += n
		rows[i] = Step{Index: i, Name: s.Name, Tasks: n, Order: spec.Order, State: StepBlocked, Needs: needs(spec, s.Host)}
		if rows[i].Chunks = chunks(s.Space); rows[i].Chunks != nil {
			rows[i].Order = OrderLinear // later chunks have no number yet
		}
		for _, d := range s.DependsOn {
			rows[i].DependsOn = append(rows[i].DependsOn, names[d])
		}
	}
	return rows, nil
}

// needs turns OpenJD host requirements and a job's own conditions into what the
// scheduler matches.
func needs(spec *Spec, h *openjd.HostRequirements) *sched.Needs {
	n := &sched.Needs{Doors: spec.Doors, Tags: spec.Tags}
	if spec.Renderer != "" {
		n.Attributes = append(n.Attributes, sched.Attribute{Name: RendererAttribute(spec.Renderer)})
	}
	if h != nil {
		for _, a := range h.Amounts {
			m := sched.Amount{Name: a.Name, Min: a.Min}
			if a.HasMax {
				m.Max = a.Max
			}
			n.Amounts = append(n.Amounts, m)
		}
		for _, a := range h.Attributes {
			n.Attributes = append(n.Attributes, sched.Attribute{Name: a.Name, AnyOf: a.AnyOf, AllOf: a.AllOf})
		}
	}
	if n.Empty() {
		return nil
	}
	return n
}

// notDoors are the doors that cannot carry the job.
func (f *Farm) notDoors(spec *Spec) []string {
	var out []string
	for door, obstacle := range f.obstacles {
		if obstacle(spec) != "" {
			out = append(out, door)
		}
	}
	slices.Sort(out)
	return out
}

// without is n with the doors that cannot carry the job, nil when nothing is
// asked.
func without(n *sched.Needs, doors []string) *sched.Needs {
	var c sched.Needs
	if n != nil {
		c = *n
	}
	if slices.Equal(c.NotDoors, doors) {
		return n
	}
	if c.NotDoors = doors; c.Empty() {
		return nil
	}
	return &c
}

// bytes is how much the job's files are together.
func (j *job) bytes() int64 {
	var n int64
	for i := range j.Spec.Files {
		n += j.Spec.Files[i].Size
	}
	return n
}

const (
	maxTemplate = 4 << 20
	maxRoots    = 1000
)

func (f *Farm) validSpec(s *Spec) error {
	switch {
	case strings.TrimSpace(s.Template) == "":
		return Errorf(Invalid, "the job has no template")
	case len(s.Template) > maxTemplate:
		return Errorf(Invalid, "the template has %d bytes, more than the %d allowed", len(s.Template), maxTemplate)
	case len(s.Files) > f.settings.MaxFiles:
		return Errorf(Invalid, "the job has %d input files, more than the %d allowed; pack them, or raise the setting farm.max_files", len(s.Files), f.settings.MaxFiles)
	case len(s.Roots) > maxRoots:
		return Errorf(Invalid, "the job has %d roots, more than the %d allowed", len(s.Roots), maxRoots)
	}
	switch s.Order {
	case "":
		s.Order = OrderLinear
	case OrderLinear, OrderPreview:
	default:
		return Errorf(Invalid, "the order %q is not known; it is %q or %q", s.Order, OrderLinear, OrderPreview)
	}
	seen := make(map[string]bool, len(s.Files))
	for _, file := range s.Files {
		if err := validName(file.Name); err != nil {
			return err
		}
		if file.Root < 0 || file.Root >= len(s.Roots) {
			return Errorf(Invalid, "the file %s names root %d, but the job has %d", quote(file.Name), file.Root, len(s.Roots))
		}
		if b, err := hex.DecodeString(file.SHA256); err != nil || len(b) != 32 || strings.ToLower(file.SHA256) != file.SHA256 {
			return Errorf(Invalid, "the file %s has no valid SHA-256 (64 lower-case hex digits)", quote(file.Name))
		}
		key := strconv.Itoa(file.Root) + "/" + file.Name
		if seen[key] {
			return Errorf(Invalid, "the file %s is there twice", quote(file.Name))
		}
		seen[key] = true
	}
	for _, r := range s.Roots {
		if r.Format != "POSIX" && r.Format != "WINDOWS" {
			return Errorf(Invalid, "the root %s has the path format %q; it is POSIX or WINDOWS", quote(r.Path), r.Format)
		}
		if r.Path == "" || len(r.Path) > 4096 || strings.ContainsRune(r.Path, 0) {
			return Errorf(Invalid, "a root's path is empty, too long or has a NUL")
		}
	}
	for _, file := range s.Files {
		for dir := path.Dir(file.Name); dir != "."; dir = path.Dir(dir) {
			if seen[strconv.Itoa(file.Root)+"/"+dir] {
				return Errorf(Invalid, "%s is a file of the job and cannot be the folder of %s, too", quote(dir), quote(file.Name))
			}
		}
	}
	if err := validWords("tag", s.Tags); err != nil {
		return err
	}
	if err := validWords("door", s.Doors); err != nil {
		return err
	}
	if len(s.Environments) > maxEnvironments {
		return Errorf(Invalid, "the job has %d environment templates, more than the %d allowed", len(s.Environments), maxEnvironments)
	}
	return s.Check.valid()
}

// maxWords is how many tags a job or a worker has, and how many doors a job
// names.
const maxWords = 64

func validWords(what string, words []string) error {
	if len(words) > maxWords {
		return Errorf(Invalid, "there are %d %ss, more than the %d allowed", len(words), what, maxWords)
	}
	for _, w := range words {
		if err := validLabel(what, w); err != nil {
			return err
		}
	}
	return nil
}

// maxEdge is how many pixels a picture is wide or high at most.
const maxEdge = 1 << 18

// valid refuses a check that no picture could pass.
func (c *Check) valid() error {
	switch {
	case c == nil:
		return nil
	case c.Width < 0 || c.Height < 0 || c.Width > maxEdge || c.Height > maxEdge:
		return Errorf(Invalid, "the check asks for pictures of %d x %d pixels; give 1 to %d, or 0 for any", c.Width, c.Height, maxEdge)
	case c.Pictures < 0:
		return Errorf(Invalid, "the check asks for %d pictures of each task; give 1 or more, or 0 for one", c.Pictures)
	}
	return nil
}

// validName accepts a file name that is safe to join to any folder: relative,
// with slashes, already clean.
func validName(name string) error {
	bad := func(why string) error {
		return Errorf(Invalid, "the file name %s is not allowed: %s", quote(name), why)
	}
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > 1024:
		return bad("it is longer than 1024 bytes")
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case strings.ContainsAny(name, "\\:") || strings.HasPrefix(name, "/"):
		return bad("it must be relative, with slashes, and without colons")
	case path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return bad("it must not contain \".\", \"..\" or empty parts")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("it contains control characters")
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 255 {
			return bad("a part of it is longer than 255 bytes")
		}
	}
	return nil
}

// validLabel accepts a name that people read: not empty, at most 256
// characters, no control characters.
func validLabel(what, s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return Errorf(Invalid, "the %s is empty", what)
	case !utf8.ValidString(s):
		return Errorf(Invalid, "the %s is not UTF-8", what)
	case utf8.RuneCountInString(s) > 256:
		return Errorf(Invalid, "the %s has %d characters, more than the 256 allowed", what, utf8.RuneCountInString(s))
	case strings.ContainsFunc(s, unicode.IsControl):
		return Errorf(Invalid, "the %s %s contains control characters, such as a new line", what, quote(s))
	}
	return nil
}

// quote shows a foreign string in a message, shortened.
func quote(s string) string { return strconv.Quote(clip(s, 100)) }
