package web

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

// follower reads a stream of live events.
type follower struct {
	*browser
	lines *bufio.Scanner
	heard strings.Builder // all of it
}

func (b *browser) follow(topics string) *follower {
	b.Helper()
	ctx, end := context.WithTimeout(b.Context(), time.Minute)
	req := b.request(get, "/ui/live?on="+topics, nil).WithContext(ctx)
	res, err := b.Do(req)
	b.check(err)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		b.Fatalf("following %s: %d", topics, res.StatusCode)
	}
	b.Cleanup(func() { end(); _ = res.Body.Close() })
	return &follower{browser: b, lines: bufio.NewScanner(res.Body)}
}

// until reads events until one of a name has a text, and returns its data.
func (f *follower) until(name, text string) string {
	f.Helper()
	event, data := "", ""
	for f.lines.Scan() {
		line := f.lines.Text()
		fmt.Fprintln(&f.heard, line)
		switch {
		case strings.HasPrefix(line, "event: "):
			event = line[7:]
		case strings.HasPrefix(line, "data:"):
			data += strings.TrimPrefix(line[5:], " ") + "\n"
		case line == "":
			if event == name && strings.Contains(data, text) {
				return data
			}
			event, data = "", ""
		}
	}
	f.Fatalf("the stream ended before %s had %q: %v", name, text, f.lines.Err())
	return ""
}

func TestLive(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	j := b.submit("sam", "ball", 3)
	home, job, task := b.open("sam").follow("farm"), b.open("sam").follow("job/1000"), b.open("sam").follow("task/1000/0/0")
	home.until("farm-sentence", "no workers yet")
	task.until("task-now", "waiting")
	w := b.join("node<1>")
	home.until("farm-heat", "node&lt;1&gt;: idle")
	l := b.claim(w)
	job.until("cells", `"0-0":"running"`)
	task.until("reload", "running 1")
	b.finish(w, l, "0001.png", drawing(1))
	job.until("job-bar", "1 done")
	job.until("cells", `"0-0":"done"`)
	home.until("farm-recent", "/ui/jobs/1000/tasks/0/0/out/0?thumb=")
	home.until("job-1000", "1 done")
	task.until("task-now", "done")
	_, err := b.f.Cancel(t.Context(), farm.JobChange{By: principal("sam"), Job: j.ID})
	b.check(err)
	job.until("job-state", "canceled")
	job.until("reload", "canceled")
}

func TestLiveWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	w := b.join("node")
	list, one := b.open("rick").follow("worker/1"), b.open("sam").follow("workers,jobs")
	list.until("worker-now", "idle")
	one.until("worker-1", "idle")
	b.submit("sam", "ball", 3)
	one.until("jobs-news", "There are new jobs")
	b.join("late")
	one.until("workers-news", "There are new workers")
	b.claim(w)
	one.until("worker-1", "rendering")
	one.until("workers-rendering", "1")
	list.until("worker-now", "rendering")
}

// TestLiveForALender moves the pages of who only lends machines, and tells them
// nothing of other machines and of jobs.
func TestLiveForALender(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.join("mine")
	b.join("alien", func(r *farm.Registration) { r.By = principal("root") })
	rick := b.open("rick")
	list, home, one := rick.follow("workers"), rick.follow("farm"), rick.follow("worker/1")
	list.until("worker-1", "idle")
	list.until("workers-all", "1")
	home.until("farm-heat", "mine: idle")
	one.until("worker-now", "idle")
	b.submit("sam", "secret ball", 3)
	if _, err := b.f.Claim(t.Context(), farm.ClaimRequest{By: principal("root"), Worker: 2}); err != nil {
		t.Fatal(err)
	}
	home.until("farm-sentence", "1 worker rendering, 1 idle")
	w, err := b.f.Farmhand(t.Context(), 1)
	b.check(err)
	l := b.claim(w)
	list.until("worker-1", "job 1000, task 1")
	home.until("farm-heat", "mine: rendering")
	one.until("worker-now", "Job 1000, task 1")
	b.fails(w, l, "no such texture", "")
	list.until("worker-1", "✕ 1")
	one.until("worker-history", "no such texture")
	pages := []string{list.heard.String(), home.heard.String(), one.heard.String(), rick.page("/ui/"), rick.page("/ui/workers"), rick.page("/ui/workers/1")}
	for i, text := range pages {
		for _, bad := range []string{"alien", "secret", "/ui/jobs", "/ui/submit"} {
			if strings.Contains(text, bad) {
				t.Errorf("page %d tells a lender of %q: %s", i, bad, text)
			}
		}
	}
	if !strings.Contains(rick.page("/ui/workers"), `sse-connect="/ui/live?on=workers"`) {
		t.Error("the workers of a lender do not move")
	}
	if a := rick.get("/ui/live?on=worker/2"); a.status != http.StatusForbidden {
		t.Errorf("a lender follows a worker of another account: %d", a.status)
	}
}

func TestLiveIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{MaxLive: 1})
	b.scene()
	for path, want := range map[string]map[string]int{
		"job/1000":  {"": 303, "rick": 403},
		"jobs":      {"rick": 403},
		"jobs,farm": {"rick": 403},
		"worker/99": {"rick": 404},
		"odd":       {"sam": 404}, "job/x": {"sam": 404}, "farm,farm,farm,farm,farm,farm,farm,farm,farm": {"sam": 400},
	} {
		for who, status := range want {
			if a := b.open(who).get("/ui/live?on=" + path); a.status != status {
				t.Errorf("%s as %q: %d, not %d", path, who, a.status, status)
			}
		}
	}
	f := b.open("rick").follow("farm")
	f.until("farm-sentence", "waiting")
	if a := b.open("sam").get("/ui/live?on=farm"); a.status != http.StatusServiceUnavailable {
		t.Errorf("one stream more than there may be: %d", a.status)
	}
}

// TestLiveEnds ends a stream with its session.
func TestLiveEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Ping: 20 * time.Millisecond})
	f := b.open("sam").follow("farm")
	f.until("farm-sentence", "no workers")
	if _, err := b.f.RevokeTokens(t.Context(), principal("root"), "sam", kindSession); err != nil {
		t.Fatal(err)
	}
	for f.lines.Scan() {
	}
	if err := f.lines.Err(); err != nil {
		t.Errorf("the stream did not end in good order: %v", err)
	}
}

// TestLiveSlow gives a page that fell behind everything anew.
func TestLiveSlow(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Fresh: time.Hour})
	h := b.site.hub
	s := h.join([]kind{farmKind{}})
	defer h.leave(s)
	<-s.c
	for range streamRoom + 1 {
		h.send(work{t: s.topics[0]}, nil, []byte("x"))
	}
	if !s.behind {
		t.Fatal("a full stream is not behind")
	}
	for range streamRoom {
		<-s.c
	}
	h.again(s)
	if text := string(<-s.c); !strings.Contains(text, "event: farm-sentence") {
		t.Errorf("after falling behind came %q", text)
	}
}
