package flamenco

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"drover.farm/internal/farm"
)

// endless is a log of so many bytes that nobody holds in memory.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, logChunk[:min(e.left, int64(len(logChunk)), int64(len(p)))])
	e.left -= int64(n)
	return n, nil
}

var logChunk = []byte(strings.Repeat("Fra:1 Mem:8.00M (0.00M, Peak 8.00M)\n", 1000))

// flood sends a PATCH of a task whose log has size bytes, and returns the answer.
func (b *bundle) flood(path, kind, head, end string, size int64, chunked bool) answer {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.srv.URL, "http://"))
	b.check(err)
	defer conn.Close()
	body := io.MultiReader(strings.NewReader(head), &endless{size}, strings.NewReader(end))
	req, err := http.NewRequest("PATCH", b.srv.URL+path, body)
	b.check(err)
	req.Header.Set("Content-Type", kind)
	if !chunked {
		req.ContentLength = int64(len(head)) + size + int64(len(end))
	}
	go req.Write(conn) // the answer comes before it is through
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	b.check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	b.check(err)
	return answer{res.StatusCode, res.Header, string(text)}
}

// TestALogOf100MB is about memory, so nothing else runs beside it.
func TestALogOf100MB(t *testing.T) { //nolint:paralleltest // it measures
	const (
		form  = "application/x-www-form-urlencoded"
		parts = "multipart/form-data; boundary=x"
		log   = "--x\r\nContent-Disposition: form-data; name=\"log\"\r\n\r\n"
	)
	for _, c := range []struct {
		kind, head, end string
		chunked         bool
	}{
		{form, "status=finished&log=", "", false},
		{form, "status=finished&log=", "", true},
		{parts, log, "\r\n--x--\r\n", false},
		{parts, log, "\r\n--x--\r\n", true},
		{"application/json", `{"status":"finished","log":"`, `"}`, true},
	} {
		t.Run(fmt.Sprint(c.kind, " chunked ", c.chunked), func(t *testing.T) { //nolint:paralleltest // it measures
			set := quick()
			set.LogLimit = 2
			b := setup(t, set)
			p := b.pusher("node")
			b.want(202, b.post(5, typePrint, `{"text":"x"}`))
			p.task()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a := b.flood("/tasks/5", c.kind, c.head, c.end, 100<<20, c.chunked)
			runtime.ReadMemStats(&after)
			if a.status != 413 || !strings.Contains(a.body, `"message"`) {
				t.Errorf("%d %s", a.status, a.body)
			}
			// The limit is 2 MiB; a few copies of that are made.
			got := (after.TotalAlloc - before.TotalAlloc) >> 20
			if t.Logf("%d MiB were allocated", got); got > 16 {
				t.Errorf("%d MiB were allocated", got)
			}
			p.set(func() { p.status = statusEnabled })
			b.failedBy("log_limit")
			p.end(p.task(), "finished", "ok") // the door still serves
			b.status(5, "finished")
		})
	}
}

// failedBy waits until the first try of the first job has failed for a reason.
func (b *bundle) failedBy(why string) {
	b.t.Helper()
	b.until("the try has failed by "+why, func() bool {
		tasks, _, err := b.f.TaskPage(b.t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
		return err == nil && len(tasks) == 1 && len(tasks[0].Attempts) > 0 && strings.Contains(tasks[0].Attempts[0].Error, why)
	})
}

// TestLogsAreNotKeptInMemory lets workers send logs as long as they may be.
func TestLogsAreNotKeptInMemory(t *testing.T) { //nolint:paralleltest // it measures
	s := newServer(t, `{"uuid":"u-1"}`)
	s.down = true // so that no task is closed
	set := quick()
	set.LogLimit, set.Server = 8, s.URL
	b := setup(t, set)
	p := b.pusher("node")
	log := "Blender 2.73 (sub 0)\n" + strings.Repeat("Fra:1 Mem:8.00M (0.00M, Peak 8.00M) | Scene, RenderLayer | Path Tracing\n", 80_000) + "Error: none\nSaved: /r/1/00001.png Time: 00:01.50\n"
	var before, after runtime.MemStats
	for i := range 6 {
		b.want(202, b.post(10+i, typePrint, `{"text":"x"}`))
		v := p.task()
		b.want(204, b.send("PATCH", "/tasks/"+v.Get("task_id"), url.Values{"status": {"finished"}, "log": {log}}))
		p.set(func() { p.status = statusEnabled })
		b.status(10+i, "finished")
		if i == 0 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 5<<20 {
		t.Errorf("%d logs of %d MiB left %d MiB in memory", 5, len(log)>>20, got>>20)
	}
}

// TestAWorkerWhoseInfoIsTooLong is one of 2015 whose log, all of which /info has,
// grew beyond the limit: the task has failed, and the render is killed.
func TestAWorkerWhoseInfoIsTooLong(t *testing.T) {
	t.Parallel()
	set := quick()
	set.LogLimit, set.Lease = 1, 1<<40
	b := setup(t, set)
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	p.task()
	p.set(func() { p.log = strings.Repeat("x", 2<<20) })
	b.failedBy("log_limit")
	p.set(func() {
		if p.kills == 0 {
			t.Error("the render goes on")
		}
		p.status, p.log = statusEnabled, ""
	})
	p.end(p.task(), "finished", "ok")
	b.status(5, "finished")
}

// TestALastWordThatTakesLong is a worker of 2015 that says it is free while its
// log is on its way, as the originals did.
func TestALastWordThatTakesLong(t *testing.T) {
	t.Parallel()
	b := setup(t, quick())
	p := b.pusher("node")
	b.post(5, typePrint, `{"text":"x"}`)
	p.task()
	r, w := io.Pipe()
	got := make(chan answer, 1)
	go func() { got <- b.send("PATCH", "/tasks/5", r, "Content-Type", "application/x-www-form-urlencoded") }()
	io.WriteString(w, "status=finished&")
	b.until("the door listens", func() bool {
		b.door.mu.Lock()
		defer b.door.mu.Unlock()
		return b.door.work[5].words == 1
	})
	asked := 0
	p.set(func() { p.status, asked = statusEnabled, p.infos })
	b.until("it was asked often", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.infos > asked+8
	})
	io.WriteString(w, "log=done")
	w.Close()
	b.want(204, <-got)
	b.status(5, "finished")
	tasks, _, err := b.f.TaskPage(t.Context(), farm.TaskPageQuery{Job: farm.FirstJob, Step: -1})
	b.check(err)
	if n := len(tasks[0].Attempts); n != 1 {
		t.Errorf("the task was tried %d times, want once", n)
	}
}
