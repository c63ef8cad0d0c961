package flamenco

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/door/flamenco/flamencotest"
	"drover.farm/internal/farm"
)

func setup2016(t *testing.T) (*bundle, *flamencotest.Server) {
	t.Helper()
	s := flamencotest.New(t)
	s.Files[77] = zipOf(t, "cube.blend", "BLENDER")
	set := quick()
	set.Server = s.URL
	return setup(t, set), s
}

// finish is the end of a pulled task with its pictures.
func (b *bundle) finish(p pulled, frames ...int) {
	b.t.Helper()
	var list []string
	for _, f := range frames {
		list = append(list, fmt.Sprintf("%05d.png", f), picture(b.t))
	}
	b.want(204, b.form("PATCH", fmt.Sprintf("/tasks/%d", p.Options.Task), map[string]string{"status": "completed", "log": "done", "time_cost": "1", "job_id": "77"},
		"taskfile", "taskfile.zip", zipOf(b.t, list...)))
}

func TestTasksComeFromAServerOf2016AndPicturesGoToIt(t *testing.T) {
	t.Parallel()
	b, s := setup2016(t)
	s.Add(flamencotest.FrameTask(501, 77, "1-2"))
	s.Add(flamencotest.FrameTask(502, 77, "3"))
	b.until("registered", func() (ok bool) { s.Set(func() { ok = s.Token != "" }); return ok })
	if a := b.send("GET", "/tasks", nil); a.body != "{}\n" {
		t.Errorf("without a worker there is %s", a.body)
	}
	p := b.mustAsk("node")
	if p.Options.Task != 501 || p.Options.Job != 77 || !strings.Contains(string(p.Options.Settings), `"command_name":"default"`) {
		t.Errorf("got %+v", p)
	}
	if a := b.want(200, b.send("GET", "/tasks/zip/77", nil)); !strings.HasPrefix(a.body, "PK") {
		t.Errorf("the archive is %q", clip(a.body, 20))
	}
	b.want(204, b.send("PATCH", "/tasks/501", url.Values{"status": {"active"}}))
	b.until("told that it runs", func() bool { return s.Status("501") == "active" })
	if s.Status("502") != "waiting" {
		t.Errorf("the only worker renders, and task 502 is %s", s.Status("502"))
	}
	b.finish(p, 1, 2)
	b.finish(b.mustAsk("node"), 3)
	b.until("told that they are done", func() bool { return s.Status("501") == "completed" && s.Status("502") == "completed" })
	got := s.Heard()
	slices.Sort(got)
	want := []string{"501 active", "501 completed 00001.png 00002.png", "502 active", "502 completed 00003.png"}
	if diff := cmp.Diff(want, slices.DeleteFunc(got, func(l string) bool { return l == "502 active" && !slices.Contains(got, "501 active") })); diff != "" {
		t.Error(diff)
	}
	if s.Fetched != 1 {
		t.Errorf("the files of the job were fetched %d times, want once", s.Fetched)
	}
	// One that was canceled there is given again, and runs anew.
	s.Set(func() { s.Task("502").Status = "canceled" })
	b.finish(b.mustAsk("node"), 3)
	b.until("done again", func() bool { return s.Status("502") == "completed" })
}

func TestATaskThatDidNotArriveIsGivenAgain(t *testing.T) {
	t.Parallel()
	b, s := setup2016(t)
	var cuts atomic.Int32
	s.Add(flamencotest.FrameTask(501, 77, "1"))
	s.Set(func() {
		s.After = func(r *http.Request) bool {
			return r.URL.Path == "/tasks/generate" && s.Token != "" && cuts.Add(1) == 1
		}
	})
	b.finish(b.mustAsk("node"), 1)
	b.until("done", func() bool { return s.Status("501") == "completed" })
	if s.Task("501").Given != 2 {
		t.Errorf("the task was given %d times, want 2: its answer was lost once", s.Task("501").Given)
	}
}

// TestATaskThatWasGivenToADeadFarmIsGivenAgain kills the farm while the server
// answers it.
func TestATaskThatWasGivenToADeadFarmIsGivenAgain(t *testing.T) {
	t.Parallel()
	b, s := setup2016(t)
	in, out := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	s.Set(func() {
		s.After = func(r *http.Request) bool {
			if r.URL.Path != "/jobs/file/77" || once.Swap(true) {
				return false
			}
			close(in)
			<-out
			return true
		}
	})
	s.Add(flamencotest.FrameTask(501, 77, "1"))
	b.ask("node")
	<-in
	b.restart()
	close(out)
	b.finish(b.mustAsk("node"), 1)
	b.until("done", func() bool { return s.Status("501") == "completed" })
	if diff := cmp.Diff(1, strings.Count(strings.Join(s.Heard(), "\n"), "501 completed")); diff != "" {
		t.Error(diff)
	}
}

func TestWhatTheServerOffersAmiss(t *testing.T) {
	t.Parallel()
	b, s := setup2016(t)
	bad := flamencotest.FrameTask(601, 77, "1")
	bad.Settings["filepath"] = "../../etc/passwd"
	s.Add(bad)
	s.Add(flamencotest.FrameTask(602, 78, "1")) // a job without files
	s.Add(&flamencotest.Task{ID: 603, Job: 77, Type: "unknown", JobType: typeSimple, Settings: map[string]any{}})
	s.Add(flamencotest.FrameTask(604, 77, "1"))
	b.finish(b.mustAsk("node"), 1)
	b.until("the good one is done", func() bool { return s.Status("604") == "completed" })
	for id, why := range map[string]string{"601": "filepath", "602": "no files of job 78", "603": "no compiler of this name"} {
		if s.Status(id) != "failed" || !strings.Contains(s.Task(id).Log, why) {
			t.Errorf("task %s is %s: %s", id, s.Status(id), s.Task(id).Log)
		}
	}
}

// TestTheServerTakesATaskBack lets somebody end a running task, or its job, at the
// server. The job's other tasks are not rendered either.
func TestTheServerTakesATaskBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*flamencotest.Server){
		"the task": func(s *flamencotest.Server) { s.Task("501").Status = "completed" },
		"its job":  func(s *flamencotest.Server) { s.States["77"] = "canceled" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := setup2016(t)
			s.Add(flamencotest.FrameTask(501, 77, "1"))
			b.mustAsk("node")
			b.until("told that it runs", func() bool { return s.Status("501") == "active" })
			s.Set(func() { end(s) })
			b.until("the worker is stopped", func() bool { return b.send("PATCH", "/tasks/501", url.Values{"status": {"active"}}).status == 403 })
			b.status(501, "aborted")
		})
	}
}

func TestAServerThatForgotTheFarmGetsItAnew(t *testing.T) {
	t.Parallel()
	b, s := setup2016(t)
	b.until("registered", func() (ok bool) { s.Set(func() { ok = s.Token != "" }); return ok })
	s.Set(func() { s.Token = "another" })
	b.restart()
	b.until("registered anew", func() (ok bool) { s.Set(func() { ok = s.Managers == 2 }); return ok })
}

// TestAStateIsToldOnceThroughAKill kills the farm between the server's answer and
// the note of it, and, with the connection cut before, between the farm's word
// and the server's hearing it.
func TestAStateIsToldOnceThroughAKill(t *testing.T) {
	t.Parallel()
	for _, heard := range []bool{true, false} {
		t.Run(fmt.Sprint("heard ", heard), func(t *testing.T) {
			t.Parallel()
			b, s := setup2016(t)
			in, out := make(chan struct{}), make(chan struct{})
			var once atomic.Bool
			kill := func(r *http.Request) bool {
				if r.Method != "PUT" || !strings.HasPrefix(r.URL.Path, "/tasks/") || s.Status("501") == "processing" && heard || once.Swap(true) {
					return false
				}
				close(in)
				<-out
				return true
			}
			p := func() pulled {
				s.Add(flamencotest.FrameTask(501, 77, "1"))
				p := b.mustAsk("node")
				b.until("told that it runs", func() bool { return s.Status("501") == "active" })
				return p
			}()
			s.Set(func() {
				if heard {
					s.After = kill
				} else {
					s.Before = kill
				}
			})
			b.finish(p, 1)
			<-in
			b.restart()
			close(out)
			b.until("told", func() bool { return s.Status("501") == "completed" })
			b.until("closed", func() bool {
				_, err := b.f.Note(t.Context(), noteOpen(farm.FirstJob))
				return farm.CodeOf(err) == farm.NotFound
			})
			if diff := cmp.Diff([]string{"501 active", "501 completed 00001.png"}, s.Heard()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
