package native

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

// TestConversation is the life of a job as its submitter and a worker speak of
// it, answer by answer.
func TestConversation(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	scene, tex := b.put("the scene"), b.put("a texture")

	b.golden("missing", b.send("sam", post, "/blobs/missing", api.Hashes{SHA256: []string{scene, strings.Repeat("ab", 32), tex}}))
	prio := 70
	b.golden("submit", b.send("sam", post, "/jobs", api.Submission{
		Name: "Fïlm \"2\"", Priority: &prio, Template: template("1-3", "Render", "Comp"), Parameters: map[string]string{"Quality": "9"},
		Files: []api.File{{Name: "scene.txt", SHA256: scene, Size: 9}, {Name: "tex/a.png", SHA256: tex, Size: 9, Mode: 0o755}},
		Roots: []api.Root{{Path: "/home/sam/film", Format: "POSIX"}, {Path: "/home/sam/out", Format: "POSIX", Output: true}}, Tags: []string{"big"},
	}))
	b.golden("why-no-workers", b.send("sam", get, "/jobs/1000/why", nil))

	b.golden("register", b.send("rick", post, "/workers", api.Registration{
		Key: "k1", Name: "box", Slots: 2, Rules: api.Rules{Hours: "00:00-24:00", LeaveFree: 1},
		Machine: api.Machine{Hostname: "box.local", OS: "linux", Arch: "x86_64", CPU: "Fast", Cores: 8, Memory: 16 << 30, Disk: 1 << 40, Version: "1.0",
			GPUs: []api.GPU{{Name: "GPU", Memory: 8 << 30}}, Renderers: []api.Renderer{{Product: "blender", Version: "3.4.1", Path: "/usr/bin/blender"}}},
	}))
	b.golden("claim-nothing", b.send("rick", post, "/workers/1/claim", api.Claim{}))
	b.golden("worker-tags", b.send("olga", pat, "/workers/1", api.WorkerPatch{Tags: &[]string{"big"}}))
	a := b.send("rick", post, "/workers/1/claim", api.Claim{Key: "c1"})
	b.golden("claim", a)
	if again := b.send("rick", post, "/workers/1/claim", api.Claim{Key: "c1"}); !bytes.Equal(a.body, again.body) {
		t.Errorf("a repeated claim gave %s", again.body)
	}
	const lease = 1<<32 + 1
	path := fmt.Sprintf("/leases/%d", lease)
	b.golden("work", b.send("rick", get, path+"/work?worker=1", nil))
	b.golden("inputs-none", b.send("rick", get, path+"/inputs?worker=1", nil))
	if a := b.send("rick", get, "/blobs/"+scene, nil); a.status != 200 || string(a.body) != "the scene" {
		t.Errorf("scene: %d %s", a.status, a.body)
	}
	b.golden("heartbeat", b.send("rick", post, "/workers/1/heartbeat", api.Pulse{Leases: []api.Progress{
		{Lease: lease, Percent: 42.5, Message: "Sample 3/8", Memory: 1 << 28}, {Lease: 77}}}))
	b.golden("log-put", b.send("rick", put, path+"/log?worker=1&offset=0", strings.NewReader("Fra:1 Mem:10M\n")))
	b.golden("log-live", b.send("sam", get, "/jobs/1000/tasks/Render/0/log", nil))
	b.golden("task-running", b.send("sam", get, "/jobs/1000/tasks/Render/0", nil))
	b.golden("workers", b.send("sam", get, "/workers", nil))
	b.golden("farm", b.send("sam", get, "/farm", nil))

	frame, log := b.put("frame 1"), b.put("Fra:1 Mem:10M\nSaved\n")
	res := api.Result{Worker: 1, Job: 1000, Index: 0, Seconds: 3.5, Memory: 1 << 29, Log: log, Build: "blender 3.4.1",
		Outputs: []api.File{{Name: "0001.png", SHA256: frame, Root: 1}}, Next: &api.Claim{Key: "c2", Warm: 1000}}
	b.golden("complete", b.send("rick", post, path+"/complete", res))
	b.golden("complete-again", b.send("rick", post, path+"/complete", res))
	b.golden("log-stored", b.send("sam", get, "/jobs/1000/tasks/0/0/log", nil))
	b.golden("fail", b.send("rick", post, fmt.Sprintf("/leases/%d/fail", lease+1), api.Result{
		Worker: 1, Job: 1000, Index: 1, Exit: 11, Cause: "worker", Error: "killed by signal 11"}))
	b.golden("tasks", b.send("sam", get, "/jobs/1000/tasks?limit=4", nil))
	b.golden("tasks-next", b.send("sam", get, "/jobs/1000/tasks?limit=4&after=1/0", nil))
	b.golden("task-waiting-again", b.send("sam", get, "/jobs/1000/tasks/Render/1", nil))
	b.golden("job", b.send("sam", get, "/jobs/1000", nil))
	b.golden("jobs", b.send("sam", get, "/jobs", nil))
	b.golden("outputs", b.send("sam", get, "/jobs/1000/outputs", nil))

	b.golden("pause", b.send("sam", post, "/jobs/1000/pause", api.Reason{Reason: "wrong colour"}))
	b.golden("why-paused", b.send("sam", get, "/jobs/1000/why", nil))
	b.golden("resume", b.send("sam", post, "/jobs/1000/resume", nil))
	b.golden("priority", b.send("olga", pat, "/jobs/1000", map[string]int{"priority": 3}))
	b.golden("cancel", b.send("sam", post, "/jobs/1000/cancel", nil))
	b.golden("cancel-again", b.send("sam", post, "/jobs/1000/cancel", nil))
	b.golden("retry", b.send("sam", post, "/jobs/1000/retry", api.Retry{Tasks: []string{"Render/1"}}))
	b.golden("signoff", b.send("rick", post, "/workers/1/signoff", nil))
	b.golden("remove-running", b.send("sam", del, "/jobs/1000", nil))
	b.golden("remove-worker", b.send("olga", del, "/workers/1", nil))
	b.golden("claim-removed-worker", b.send("rick", post, "/workers/1/claim", nil))
}

// TestCancelReachesHeldHeartbeat tells a worker to stop by the heartbeat that it
// has left open.
func TestCancelReachesHeldHeartbeat(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	job := b.submit("1-2")
	w := b.worker("rick", "box")
	l := b.claim("rick", w)
	type got struct {
		reply api.PulseReply
		err   error
	}
	pulse := b.request(t.Context(), "rick", post, fmt.Sprintf("/workers/%d/heartbeat", w.ID), api.Pulse{Wait: 60, Leases: []api.Progress{{Lease: l.ID}}})
	ch := make(chan got, 1)
	go func() {
		res, err := b.srv.Client().Do(pulse)
		g := got{err: err}
		if err == nil {
			g.err = decodeBody(res, &g.reply)
		}
		ch <- g
	}()
	for b.door.held.Load() == 0 {
		if b.f.Metrics(); t.Context().Err() != nil {
			t.Fatal("the heartbeat never came")
		}
	}
	call1[api.Job](b, 200, "sam", post, fmt.Sprintf("/jobs/%d/cancel", job.ID), api.Reason{Reason: "enough"})
	g := <-ch
	b.check(g.err)
	if d := cmp.Diff([]api.Stop{{Lease: l.ID, Reason: "enough"}}, g.reply.Stop); d != "" {
		t.Error(d)
	}
	v := call1[api.Verdict](b, 200, "rick", post, fmt.Sprintf("/leases/%d/fail", l.ID), result(w, l))
	if v.Accepted || v.Reason != "enough" {
		t.Errorf("verdict %+v", v)
	}
}

// TestHeldClaimGetsTheTask gives a submitted task to a claim that waited.
func TestHeldClaimGetsTheTask(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	w := b.worker("rick", "box")
	claim := b.request(t.Context(), "rick", post, fmt.Sprintf("/workers/%d/claim", w.ID), api.Claim{Wait: 60})
	ch := make(chan error, 1)
	var l api.Lease
	go func() {
		res, err := b.srv.Client().Do(claim)
		if err == nil {
			err = decodeBody(res, &l)
		}
		ch <- err
	}()
	job := b.submit("5")
	b.check(<-ch)
	if l.Job != job.ID || len(l.Parameters) != 1 || l.Parameters[0] != (api.TaskParameter{Name: "Frame", Type: "INT", Value: "5"}) {
		t.Errorf("lease %+v", l)
	}
}

// TestWholeFilm renders two steps by two workers and fetches what they made.
func TestWholeFilm(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	job := b.submit("1-4", "Render", "Comp")
	ws := map[string]api.Worker{"rick": b.worker("rick", "a"), "rosa": b.worker("rosa", "b")}
	want := make(map[string]string)
	for n := 0; n < 8; n++ {
		who := []string{"rick", "rosa"}[n%2]
		w := ws[who]
		l := b.claim(who, w)
		content := fmt.Sprintf("%s %d", l.StepName, l.Index)
		if l.StepName == "Comp" {
			in := call1[api.Outputs](b, 200, who, get, fmt.Sprintf("/leases/%d/inputs?worker=%d", l.ID, w.ID), nil)
			if len(in.Files) != 4 || in.Files[2].Name != "Render/2.txt" {
				t.Fatalf("inputs %+v", in)
			}
			if a := b.send(who, get, "/blobs/"+in.Files[2].SHA256, nil); string(a.body) != "Render 2" {
				t.Errorf("input: %d %s", a.status, a.body)
			}
		}
		name := fmt.Sprintf("%s/%d.txt", l.StepName, l.Index)
		want[name] = content
		if v := b.complete(who, w, l, api.File{Name: name, SHA256: b.put(content)}); !v.Accepted {
			t.Fatalf("verdict %+v", v)
		}
	}
	j := call1[api.Job](b, 200, "sam", get, fmt.Sprintf("/jobs/%d", job.ID), nil)
	if j.State != "done" || j.Progress != 100 || j.Tasks.Done != 8 {
		t.Errorf("job %+v", j)
	}
	if d := cmp.Diff(want, b.unzip(b.send("sue", get, fmt.Sprintf("/jobs/%d/outputs.zip", job.ID), nil))); d != "" {
		t.Error(d)
	}
	call1[nothing](b, 204, "sam", del, fmt.Sprintf("/jobs/%d", job.ID), nil)
	b.problem(404, "not_found", "sam", get, fmt.Sprintf("/jobs/%d", job.ID), nil)
}

// unzip reads the zip file of an answer.
func (b *bundle) unzip(a answer) map[string]string {
	b.t.Helper()
	if a.status != 200 {
		b.t.Fatalf("%d: %s", a.status, a.body)
	}
	z, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body)))
	b.check(err)
	got := make(map[string]string)
	for _, f := range z.File {
		r, err := f.Open()
		b.check(err)
		text, err := io.ReadAll(r)
		b.check(err)
		b.check(r.Close())
		if _, twice := got[f.Name]; twice {
			b.t.Errorf("%q is in the zip twice", f.Name)
		}
		got[f.Name] = string(text)
	}
	return got
}
