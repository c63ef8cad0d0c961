package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/tus"
	"drover.farm/internal/farm"
	"drover.farm/internal/frame"
	"drover.farm/internal/renderer"
)

// taskPage is one task: its picture, its log, its attempts.
type taskPage struct {
	jobHead
	Task       *farm.TaskView
	Label      string
	Shown      []outputView // of the task, or of the attempt that is looked at
	Attempts   []attemptView
	Attempt    int // the one whose log is shown, from 1; 0 for none
	Log        *logPart
	Following  bool // the log is still growing
	Prev, Next string
	Refused    bool   // what is shown does not count
	With       string // address of a picture to compare with, "" for none
	WithText   string
}

func (p taskPage) topics() string {
	return fmt.Sprintf("task/%d/%d/%d", p.Task.Job, p.Task.Step, p.Task.Index)
}

// outputView is a file that a task put out.
type outputView struct {
	N       int
	File    farm.File
	Picture bool // a browser can be shown it
	None    bool // it is named like a picture and is none
	Range   bool // has light values: exposure counts
	Src     string
	Save    string // address of the file itself
}

type attemptView struct {
	N int
	farm.Attempt
}

// pictureKinds are the extensions of pictures that can be shown, with whether
// they hold light values.
var pictureKinds = map[string]bool{
	".png": false, ".jpg": false, ".jpeg": false, ".bmp": false, ".tif": false, ".tiff": false, ".tga": false, ".exr": true, ".hdr": true, ".pic": true,
}

func outputsOf(k farm.TaskKey, fs []farm.File) []outputView {
	var out []outputView
	for i, f := range fs {
		if renderer.HandedOn(f.Name) {
			continue
		}
		o := outputView{N: i, File: f}
		o.Range, o.Picture = pictureKinds[strings.ToLower(path.Ext(f.Name))]
		o.Src = fmt.Sprintf("%s/out/%d?v=%s", taskLink(k), i, clip0(f.SHA256, 12))
		o.Save = fmt.Sprintf("%s/file/%d", taskLink(k), i)
		out = append(out, o)
	}
	return out
}

// firstPicture is the first file that is named like a picture, -1 for none.
func firstPicture(fs []farm.File) int {
	return slices.IndexFunc(fs, func(f farm.File) bool {
		_, known := pictureKinds[strings.ToLower(path.Ext(f.Name))]
		return known && !renderer.HandedOn(f.Name)
	})
}

// attemptOutputs are files of an attempt that do not count.
func attemptOutputs(k farm.TaskKey, n int, fs []farm.File) []outputView {
	out := outputsOf(k, fs)
	for i := range out {
		n0 := out[i].N
		out[i].Save = fmt.Sprintf("%s/attempts/%d/file/%d", taskLink(k), n, n0)
		out[i].Src = fmt.Sprintf("%s/attempts/%d/out/%d?v=%s", taskLink(k), n, n0, clip0(fs[n0].SHA256, 12))
	}
	return out
}

// compare finds the picture that the query names: "attempt-N" of this task, or
// "JOB/STEP/INDEX", another task.
func (p *taskPage) compare(with string) error {
	if with == "" {
		return nil
	}
	if n := firstPicture(p.Task.Outputs); with == "counts" && n >= 0 {
		p.With, p.WithText = fmt.Sprintf("%s/out/%d", taskLink(p.Task.TaskKey), n), "the one that counts"
		return nil
	}
	if s, ok := strings.CutPrefix(with, "attempt-"); ok {
		n, err := parseNumber(s)
		if err != nil || n < 1 || n > int64(len(p.Attempts)) || firstPicture(p.Attempts[n-1].Outputs) < 0 {
			return farm.Errorf(farm.NotFound, "there is no picture of attempt %q to compare with", clip(s, 20))
		}
		p.With, p.WithText = fmt.Sprintf("%s/attempts/%d/out/%d", taskLink(p.Task.TaskKey), n, firstPicture(p.Attempts[n-1].Outputs)), fmt.Sprintf("attempt %d", n)
		return nil
	}
	ids := strings.Split(with, "/")
	var ns [3]int64
	for i := range ns {
		if len(ids) != 3 {
			return farm.Errorf(farm.Invalid, "%q is no task to compare with (JOB/STEP/INDEX)", clip(with, 40))
		}
		var err error
		if ns[i], err = parseNumber(ids[i]); err != nil {
			return farm.Errorf(farm.Invalid, "%q is no task to compare with (JOB/STEP/INDEX)", clip(with, 40))
		}
	}
	k := farm.TaskKey{Job: ns[0], Step: int(min(ns[1], 1<<20)), Index: ns[2]}
	p.With, p.WithText = taskLink(k)+"/out/0", fmt.Sprintf("task %d of job %d", k.Index, k.Job)
	return nil
}

func clip0(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// taskOf finds the task that the path names.
func (v *visit) taskOf() (*farm.Job, *farm.TaskView, error) {
	id, err := v.number("job")
	if err != nil {
		return nil, nil, err
	}
	step, err := v.number("step")
	if err != nil {
		return nil, nil, err
	}
	index, err := v.number("index")
	if err != nil {
		return nil, nil, err
	}
	j, err := v.Farm.Job(v.ctx(), id)
	if err != nil {
		return nil, nil, err
	}
	t, err := v.Farm.TaskView(v.ctx(), farm.TaskKey{Job: id, Step: int(min(step, 1<<20)), Index: index})
	return j, t, err
}

// maxLooked is how many files of a task are looked into for its page.
const maxLooked = 32

// lookInto finds files that are named like pictures and are none. Those that have a
// thumbnail were proved when they came.
func (s *site) lookInto(ctx context.Context, outs []outputView) {
	looked := 0
	for i := range outs {
		o := &outs[i]
		if !o.Picture || o.File.Thumb != "" || looked == maxLooked {
			continue
		}
		looked++
		if ok, err := s.looksLikePicture(ctx, o.File.SHA256); err == nil && !ok {
			o.Picture, o.None = false, true
		}
	}
}

func (s *site) looksLikePicture(ctx context.Context, sha string) (bool, error) {
	h, err := blob.ParseHash(sha)
	if err != nil {
		return false, err
	}
	f, err := s.Blobs.Open(ctx, h)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, frame.HeadLen)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	_, ok := frame.Looks(head[:n])
	return ok, nil
}

func (v *visit) task() error {
	j, t, err := v.taskOf()
	if err != nil {
		return err
	}
	h, err := v.headOf(v.ctx(), j, "frames", v.by)
	if err != nil {
		return err
	}
	p := taskPage{jobHead: h, Task: t, Label: taskLabel(t.Index, t.Parameters), Shown: outputsOf(t.TaskKey, t.Outputs)}
	for i, a := range t.Attempts {
		p.Attempts = append(p.Attempts, attemptView{i + 1, a})
	}
	if err := p.compare(v.r.URL.Query().Get("with")); err != nil {
		return err
	}
	p.neighbours()
	if p.Attempt, err = v.chosen(t); err != nil {
		return err
	}
	if p.Attempt > 0 && !v.anonymous {
		a := &t.Attempts[p.Attempt-1]
		p.Following = a.Ended.IsZero()
		if p.Log, err = v.excerpt(v.ctx(), a); err != nil {
			return err
		}
	}
	if p.Attempt > 0 && v.r.URL.Query().Has("attempt") || len(p.Shown) == 0 && p.Attempt > 0 {
		if fs := t.Attempts[p.Attempt-1].Outputs; len(fs) > 0 {
			p.Shown, p.Refused = attemptOutputs(t.TaskKey, p.Attempt, fs), true
		}
	}
	v.lookInto(v.ctx(), p.Shown)
	v.page(http.StatusOK, "task", "jobs", fmt.Sprintf("%s, %s", h.Spec.Name, p.Label), p)
	return nil
}

// chosen is the attempt that the query names, by default the last.
func (v *visit) chosen(t *farm.TaskView) (int, error) {
	n := len(t.Attempts)
	if s := v.r.URL.Query().Get("attempt"); s != "" {
		i, err := parseNumber(s)
		if err != nil || i < 1 || i > int64(n) {
			return 0, farm.Errorf(farm.NotFound, "the task has no attempt %q; it has %d", clip(s, 20), n)
		}
		return int(i), nil
	}
	return n, nil
}

// neighbours links the task before and the one after.
func (p *taskPage) neighbours() {
	k := p.Task.TaskKey
	if k.Index > 0 {
		k.Index--
		p.Prev = taskLink(k)
		k.Index++
	}
	if k.Index+1 < p.Steps[k.Step].Tasks {
		k.Index++
		p.Next = taskLink(k)
	}
}

// outputFile finds the output that the path names.
func (v *visit) outputFile() (*farm.Job, *farm.File, blob.Hash, error) {
	j, t, err := v.taskOf()
	if err != nil {
		return nil, nil, blob.Hash{}, err
	}
	n, err := v.number("n")
	if err != nil {
		return nil, nil, blob.Hash{}, err
	}
	fs := t.Outputs
	if s := v.r.PathValue("attempt"); s != "" {
		a, err := parseNumber(s)
		if err != nil || a < 1 || a > int64(len(t.Attempts)) {
			return nil, nil, blob.Hash{}, farm.Errorf(farm.NotFound, "the task has no attempt %q", clip(s, 20))
		}
		fs = t.Attempts[a-1].Outputs
	}
	if n >= int64(len(fs)) {
		return nil, nil, blob.Hash{}, farm.Errorf(farm.NotFound, "there is no output %d; there are %d", n, len(fs))
	}
	f := &fs[n]
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return nil, nil, h, fmt.Errorf("output %d of a task: %w", n, err)
	}
	return j, f, h, nil
}

// download gives an output as a file, under its name.
func (v *visit) download() error {
	_, f, h, err := v.outputFile()
	if err != nil {
		return err
	}
	if err := tus.ServeBlob(v.w, v.r, v.Blobs, h, path.Base(f.Name)); err != nil {
		v.Log.Error("a file cannot be served", "sha256", h.String(), "err", err)
	}
	return nil
}

// runningTaskPart is what of a task's page lives while it runs.
type runningTaskPart struct {
	State   farm.TaskState
	Live    *farm.LeaseInfo
	Worker  string
	Text    string
	Attempt int
}

func taskNow(t *farm.TaskView) runningTaskPart {
	p := runningTaskPart{State: t.State, Live: t.Live, Attempt: len(t.Attempts)}
	if n := len(t.Attempts); n > 0 {
		a := &t.Attempts[n-1]
		p.Worker, p.Text = a.Name, a.Error
	}
	return p
}

// Now is the live part of the page as it is at first.
func (p taskPage) Now() runningTaskPart { return taskNow(p.Task) }

// jobThumb answers with the thumbnail of a job's first finished picture.
func (v *visit) jobThumb() error {
	id, err := v.number("job")
	if err != nil {
		return err
	}
	ts, err := v.Farm.Tasks(v.ctx(), farm.TaskQuery{Job: id, Step: -1, States: []farm.TaskState{farm.TaskDone}, Limit: 20})
	if err != nil {
		return err
	}
	for _, t := range ts {
		n := pictureOf(t)
		if n < 0 {
			continue
		}
		h, err := blob.ParseHash(t.Outputs[n].Thumb)
		if err != nil {
			return fmt.Errorf("the thumbnail of task %d: %w", t.Index, err)
		}
		return v.servePicture(h, "thumbnail.jpg", true)
	}
	return farm.Errorf(farm.NotFound, "job %d has no pictures yet", id)
}

// Heading names the task: a bare number is a frame's.
func (p taskPage) Heading() string {
	if p.Label != "" && (p.Label[0] == '-' || p.Label[0] >= '0' && p.Label[0] <= '9') {
		return "Frame " + p.Label
	}
	return p.Label
}

// Looks reports whether there is a picture to look at.
func (p taskPage) Looks() bool {
	return slices.ContainsFunc(p.Shown, func(o outputView) bool { return o.Picture })
}

// other is a picture that the one shown can be compared with.
type other struct{ Href, Text string }

// Others are the pictures nearest to the one that is shown: the frame before, the
// one that counts, and those of other attempts.
func (p taskPage) Others() []other {
	var out []other
	keep := "?"
	if p.Refused {
		keep = fmt.Sprintf("?attempt=%d&", p.Attempt)
		if firstPicture(p.Task.Outputs) >= 0 {
			out = append(out, other{keep + "with=counts", "the one that counts"})
		}
	}
	if k := p.Task.TaskKey; k.Index > 0 {
		out = append(out, other{fmt.Sprintf("%swith=%d/%d/%d", keep, k.Job, k.Step, k.Index-1), "the frame before"})
	}
	for _, a := range p.Attempts {
		if firstPicture(a.Outputs) >= 0 && !(p.Refused && a.N == p.Attempt) {
			out = append(out, other{fmt.Sprintf("%swith=attempt-%d", keep, a.N), fmt.Sprintf("attempt %d, which did not count", a.N)})
		}
	}
	return out
}
