package native

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/lockout"
)

func leasePath(id int64, rest string) string { return fmt.Sprintf("/leases/%d%s", id, rest) }

// TestBadBodies is what may be wrong with a document, in the words of the answer.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("1-3", "A")
	b.submit("1-3", "A", "B/C")
	for _, c := range []struct{ who, method, path, body, want string }{
		{"sam", pat, "/jobs/1000", ``, "the body is empty"},
		{"sam", pat, "/jobs/1000", `{`, "it ends within the document"},
		{"sam", pat, "/jobs/1000", `{"priority": 5} x`, "goes on after the JSON document, at byte 15"},
		{"sam", pat, "/jobs/1000", `{"priority": 5}{"priority": 6}`, "goes on after"},
		{"sam", pat, "/jobs/1000", `priority: 5`, "the body is not JSON"},
		{"sam", pat, "/jobs/1000", `{"priority": "high"}`, "priority must be a whole number, not a string"},
		{"sam", pat, "/jobs/1000", `{"priority": 12.5}`, "priority must be a whole number, not the number 12.5"},
		{"sam", pat, "/jobs/1000", `{"priority": 99999999999999999999}`, "priority must be a whole number"},
		{"sam", pat, "/jobs/1000", `{"prioritee": 5}`, `the field "prioritee" is not known`},
		{"sam", pat, "/jobs/1000", `[]`, "the document must be an object, not an array"},
		{"sam", pat, "/jobs/1000", `{}`, "nothing to change"},
		{"sam", pat, "/jobs/1000", `{"priority": 101}`, "not between 0 and 100"},
		{"sam", pat, "/jobs/abc", `{"priority": 1}`, `"abc" is not the number of a job`},
		{"sam", pat, "/jobs/-5", `{"priority": 1}`, "is not the number of a job"},
		{"sam", pat, "/jobs/99999999999999999999", `{"priority": 1}`, "is not the number of a job"},
		{"sam", post, "/jobs", `{"template": 5}`, "template must be a string, not a number"},
		{"sam", post, "/jobs", `{"template": "x", "check": {"width": "wide"}}`, "check.width must be a whole number, not a string"},
		{"sam", post, "/jobs", `{"template": "x", "files": [{"name": "a", "size": []}]}`, "files.size must be a whole number, not an array"},
		{"sam", post, "/jobs", `{"template": "x", "files": {"a": 1}}`, "files must be an array, not an object"},
		{"sam", post, "/jobs", `{"template": "x", "paused": 1}`, "paused must be true or false, not"},
		{"sam", post, "/jobs", `{"template": ""}`, "no template"},
		{"sam", post, "/jobs", `{"template": "steps: []"}`, "the job template is refused"},
		{"sam", post, "/jobs/1000/retry", `{"tasks": ["x"]}`, `"x" is not the index of a task`},
		{"sam", post, "/jobs/1000/retry", `{"tasks": ["-1"]}`, "is not the index of a task"},
		{"sam", post, "/jobs/1001/retry", `{"tasks": ["0"]}`, "job 1001 has 2 steps: name the task"},
		{"root", post, "/users/sam/tokens", `{"expires": "tomorrow"}`, "tomorrow"},
		{"root", post, "/users/sam/tokens", `{"expires": 5}`, "the body is not what this call takes"},
		{"rick", post, "/workers", `{"key": "", "slots": 1, "machine": {}}`, "needs a key"},
		{"rick", post, "/workers", `{"key": "k", "slots": 1, "machine": {"gpus": [{"memory": true}]}}`, "machine.gpus.memory must be a whole number, not true or false"},
		{"sam", post, "/blobs/missing", `{"sha256": ["abc"]}`, "64 hexadecimal digits"},
		{"sam", post, "/blobs/missing", `{"sha256": ["` + strings.Repeat("AB", 32) + `"]}`, "not in lower case"},
		{"sam", post, "/blobs/missing", `{"sha256": [null, 5]}`, "sha256 must be a string"},
	} {
		p := b.problem(400, "invalid", c.who, c.method, c.path, c.body)
		if !strings.Contains(p.Detail, c.want) {
			t.Errorf("%s %s %s: %q does not say %q", c.method, c.path, c.body, p.Detail, c.want)
		}
	}
	for path, want := range map[string]string{"/jobs/1000/tasks/A/9": "has no task 9", "/jobs/1000/tasks/B/0": "no step", "/jobs/5": "no job 5"} {
		if p := b.problem(404, "not_found", "sam", get, path, nil); !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", path, p.Detail)
		}
	}
	// A step whose name has a slash, and "0" for a step of another name.
	for _, path := range []string{"/jobs/1001/tasks/B%2FC/0", "/jobs/1001/tasks/1/0"} {
		if task := call1[api.Task](b, 200, "sam", get, path, nil); task.Step != "B/C" {
			t.Errorf("%s: %+v", path, task)
		}
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("1")
	for kind, want := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "Application/JSON": 200,
		"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "application/jsonp": 415, ";;;": 415,
	} {
		a := b.send("sam", pat, "/jobs/1000", strings.NewReader(`{"priority": 5}`), "Content-Type", kind)
		if a.status != want {
			t.Errorf("%q: %d, not %d: %s", kind, a.status, want, a.body)
		}
	}
}

// TestQueries is what may be wrong with parameters.
func TestQueries(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("1-3", "A")
	for _, path := range []string{
		"/jobs?state=asleep", "/jobs?state=done,", "/jobs?limit=0", "/jobs?limit=1001", "/jobs?limit=many", "/jobs?after=x", "/jobs?after=-4",
		"/jobs?limit=5&limit=6", "/jobs?x=1", "/jobs/1000?full=1",
		"/jobs/1000/tasks?limit=5001", "/jobs/1000/tasks?limit=-1", "/jobs/1000/tasks?after=5", "/jobs/1000/tasks?after=0/-3", "/jobs/1000/tasks?state=asleep",
		"/jobs/1000/outputs?after=0", "/jobs/1000/outputs?after=0/1x", "/jobs/1000/outputs?limit=x",
		"/jobs/1000/tasks/A/x", "/jobs/1000/tasks/A/-1", "/jobs/1000/tasks/A/0/log?attempt=0", "/jobs/1000/tasks/A/0/log?follow=yes",
		"/events?after=x", "/events?after=-1", "/events?job=film", "/blobs/xyz", "/blobs/" + strings.Repeat("0", 63),
	} {
		b.problem(400, "invalid", "sam", get, path, nil)
	}
	for _, path := range []string{"/jobs/1000/tasks?step=B", "/jobs/1000/outputs?step=7", "/jobs/1000/tasks/B/0", "/jobs/1000/tasks/A/3", "/jobs/1000/outputs.zip"} {
		b.problem(404, "not_found", "sam", get, path, nil)
	}
	for _, path := range []string{"/leases/5/work", "/leases/x/work?worker=1", "/leases/5/work?worker=x"} {
		b.problem(400, "invalid", "rick", get, path, nil)
	}
	b.problem(410, "gone", "rick", get, "/leases/5/work?worker=1", nil)
	b.problem(400, "invalid", "rick", put, "/leases/5/log?worker=1&offset=-1", strings.NewReader("x"))
	if jobs := call1[api.JobList](b, 200, "sam", get, "/jobs?state=waiting,running&state=done&owner=sam&name=film&limit=1000", nil); len(jobs.Jobs) != 1 {
		t.Errorf("%+v", jobs)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	for range 5 {
		b.submit("1-3", "A", "B")
	}
	var ids []int64
	for next, pages := "", 0; ; pages++ {
		l := call1[api.JobList](b, 200, "sam", get, "/jobs?limit=2&after="+next, nil)
		for _, j := range l.Jobs {
			ids = append(ids, j.ID)
		}
		if next = l.Next; next == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if fmt.Sprint(ids) != "[1004 1003 1002 1001 1000]" {
		t.Errorf("jobs %v", ids)
	}
	var tasks []string
	for next := ""; ; {
		l := call1[api.TaskList](b, 200, "sam", get, "/jobs/1000/tasks?limit=2&after="+next, nil)
		for _, x := range l.Tasks {
			tasks = append(tasks, fmt.Sprintf("%s/%d=%s", x.Step, x.Index, x.Parameters["Frame"]))
		}
		if next = l.Next; next == "" {
			break
		}
	}
	if fmt.Sprint(tasks) != "[A/0=1 A/1=2 A/2=3 B/0=1 B/1=2 B/2=3]" {
		t.Errorf("tasks %v", tasks)
	}
}

// TestLargeBodies refuses what is too much before, or while, it is read.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{UploadLimit: 1000})
	b.submit("1")
	b.worker("rick", "box")
	huge := `{"priority": 5, "x": "` + strings.Repeat("x", smallBody) + `"}`
	b.problem(413, "invalid", "sam", pat, "/jobs/1000", huge)
	// Without a length the bound counts while reading.
	if a := b.send("sam", pat, "/jobs/1000", io.MultiReader(strings.NewReader(huge)), "Content-Type", "application/json"); a.status != 413 {
		t.Errorf("chunked: %d %s", a.status, a.body)
	}
	l := b.claim("rick", api.Worker{ID: 1})
	b.problem(413, "invalid", "rick", put, leasePath(l.ID, "/log?worker=1"), strings.NewReader(strings.Repeat("x", maxLogPart+1)))
	b.problem(413, "invalid", "sam", put, "/blobs/"+strings.Repeat("0a", 32), strings.NewReader(strings.Repeat("x", 1001)))
	if a := b.send("sam", put, "/blobs/"+strings.Repeat("0a", 32), io.MultiReader(strings.NewReader(strings.Repeat("x", 1001)))); a.status != 413 {
		t.Errorf("chunked blob: %d %s", a.status, a.body)
	}
	if a := b.send("sam", post, "/uploads/", nil, "Tus-Resumable", "1.0.0", "Upload-Length", "1001"); a.status != 413 {
		t.Errorf("upload: %d %s", a.status, a.body)
	}
	many := api.Hashes{SHA256: make([]string, maxHashes+1)}
	for i := range many.SHA256 {
		many.SHA256[i] = fmt.Sprintf("%064x", i)
	}
	b.problem(400, "invalid", "sam", post, "/blobs/missing", many)
	b.problem(400, "invalid", "sam", post, "/jobs/1000/retry", api.Retry{Tasks: make([]string, maxRetries+1)})
	b.problem(400, "invalid", "rick", post, "/workers/1/heartbeat", api.Pulse{Leases: make([]api.Progress, maxLeases+1)})
	b.problem(400, "invalid", "rick", post, "/workers/1/claim", api.Claim{Key: strings.Repeat("k", maxKey+1)})
}

// rawRequest sends bytes as they are and returns the connection.
func (b *bundle) rawRequest(text string) net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp", b.srv.Listener.Addr().String())
	b.check(err)
	b.t.Cleanup(func() { c.Close() })
	_, err = io.WriteString(c, text)
	b.check(err)
	return c
}

func (b *bundle) rawHead(method, path string, length int, headers string) string {
	return fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n",
		method, Prefix, path, b.token["sam"], length, headers)
}

// TestSlowBody gives up on a client that never finishes its document.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{BodyTime: 50 * time.Millisecond, Idle: 50 * time.Millisecond})
	for _, c := range []struct{ method, path string }{{pat, "/jobs/1000"}, {put, "/blobs/" + strings.Repeat("0a", 32)}} {
		conn := b.rawRequest(b.rawHead(c.method, c.path, 20, "") + `{"prio`)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		b.check(err)
		var p api.Problem
		b.check(json.NewDecoder(res.Body).Decode(&p))
		if res.StatusCode != 408 || p.Code != "invalid" {
			t.Errorf("%s %s: %d %+v", c.method, c.path, res.StatusCode, p)
		}
		b.check(res.Body.Close())
	}
}

// TestCutBody changes nothing when a request ends in the middle.
func TestCutBody(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("1")
	hash := "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // hello
	for _, c := range []struct{ method, path, body string }{{pat, "/jobs/1000", `{"priority": 5}`}, {put, "/blobs/" + hash, "hello"}} {
		conn := b.rawRequest(b.rawHead(c.method, c.path, len(c.body)+1, "") + c.body)
		b.check(conn.(*net.TCPConn).CloseWrite())
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		b.check(err)
		if res.StatusCode != 400 {
			t.Errorf("%s %s: %d", c.method, c.path, res.StatusCode)
		}
		b.check(res.Body.Close())
	}
	if j := call1[api.Job](b, 200, "sam", get, "/jobs/1000", nil); j.Priority != 50 {
		t.Errorf("half a document counted: priority %d", j.Priority)
	}
	b.problem(404, "not_found", "sam", get, "/blobs/"+hash, nil)
}

// TestNamesOfAnyCharacters gives back names that could leave JSON or a header.
func TestNamesOfAnyCharacters(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	name := "<script>\"'\\ Zürich 東京 🎬 \u2028"
	j := call1[api.Job](b, 201, "sam", post, "/jobs", api.Submission{Name: name, Template: template("1", "Ünï \"step\" / <b>")})
	if j.Name != name {
		t.Errorf("name %q", j.Name)
	}
	a := b.send("sam", get, "/jobs/1000", nil)
	if strings.Contains(string(a.body), "<script>") {
		t.Errorf("markup in the answer: %s", a.body)
	}
	for _, bad := range []string{"a\nb", "\x00", strings.Repeat("x", 300), " "} {
		b.problem(400, "invalid", "sam", post, "/jobs", api.Submission{Name: bad, Template: template("1", "A")})
	}
	for _, bad := range []string{"../x", "/etc/passwd", "a\\b", "a\nb", "a//b", "C:x", strings.Repeat("y", 300), ""} {
		b.problem(400, "invalid", "sam", post, "/jobs", api.Submission{Template: template("1", "A"), Roots: []api.Root{{Path: "/x", Format: "POSIX"}},
			Files: []api.File{{Name: bad, SHA256: b.put("x"), Size: 1}}})
	}
	w := b.worker("rick", "box")
	l := b.claim("rick", w)
	b.complete("rick", w, l, api.File{Name: name[:8] + "/ö \".png", SHA256: b.put("x")})
	zip := b.send("sam", get, "/jobs/1000/outputs.zip", nil)
	if d := zip.header.Get("Content-Disposition"); strings.ContainsAny(d, "<>\\\n\u2028") || !strings.HasPrefix(d, "attachment; filename=") {
		t.Errorf("disposition %q", d)
	}
}

// FuzzRequest throws requests at the door: whatever comes, the answer is well
// formed and never an internal error.
func FuzzRequest(f *testing.F) {
	for i, path := range []string{
		"/jobs?state=done&limit=5&after=1001", "/jobs/1000/tasks?after=0/1", "/jobs/1000/tasks/0/0/log?attempt=2", "/jobs/1000/outputs?after=1/2",
		"/workers/1/claim", "/workers/1/heartbeat", "/leases/4294967297/complete", "/leases/4294967297/fail", "/blobs/missing", "/uploads/", "/limits/%2e%2e",
		"/jobs/1000/retry", "/users/sam", "/jobs", "/events?after=9", "/blobs/" + strings.Repeat("0a", 32),
	} {
		f.Add(uint8(i), uint8(i%6), path, `{"tasks": ["Render/0"], "worker": 1, "job": 1000, "step": 9, "index": 7, "leases": [{"lease": 1}]}`)
	}
	b := setup(f, Config{Fails: lockout.New(1000, time.Second)})
	b.submit("1-3", "Render")
	b.claim("rick", b.worker("rick", "box"))
	f.Fuzz(func(t *testing.T, who, method uint8, path, body string) {
		m := []string{get, post, put, pat, del, http.MethodHead, http.MethodOptions}[int(method)%7]
		req, err := newRecorded(t, m, Prefix+path, body)
		if err != nil {
			return // no request that a server would ever see
		}
		login := people[int(who)%len(people)].login
		req.Header.Set("Authorization", "Bearer "+b.token[login])
		res := b.record(req)
		if res.Code >= 500 {
			t.Errorf("%s %q %q: %d %s", m, path, body, res.Code, res.Body)
		}
		if k := res.Header().Get("Content-Type"); res.Code >= 400 && m != http.MethodHead && k != "application/problem+json" {
			t.Errorf("%s %q: %d as %q", m, path, res.Code, k)
		}
		if k := res.Header().Get("Content-Type"); strings.HasSuffix(k, "json") && m != http.MethodHead && !json.Valid(res.Body.Bytes()) {
			t.Errorf("%s %q: %s", m, path, res.Body)
		}
	})
}

func TestADecoderIsUsedAgainAndAgain(t *testing.T) {
	t.Parallel()
	type doc struct {
		A int   `json:"a"`
		B []int `json:"b"`
	}
	const bad, long, unknown = ` {"a": x}`, `{"a":1} {"a":2}`, `{"c":1}`
	alone := map[string]string{}
	for _, text := range []string{bad, long, unknown, "", "{"} {
		var d doc
		alone[text] = decode([]byte(text), &d).Error()
	}
	if want := "at byte 8"; !strings.Contains(alone[bad], want) {
		t.Errorf("%q does not say %q", alone[bad], want)
	}
	for i := range 200 {
		var d doc
		if err := decode(fmt.Appendf(nil, `{"a":%d,"b":[%d,2]}`, i, i), &d); err != nil || d.A != i || len(d.B) != 2 || d.B[0] != i {
			t.Fatalf("%+v, %v", d, err)
		}
		if err := decode(fmt.Appendf(nil, "{\"a\":%d}\n", i), &d); err != nil || d.A != i {
			t.Fatalf("%+v, %v", d, err)
		}
		for text, want := range alone {
			if err := decode([]byte(text), &d); err == nil || err.Error() != want {
				t.Fatalf("%q after other documents: %v, want %s", text, err, want)
			}
			break // one of them, so that decoders with a past are met too
		}
	}
}

// TestDocumentsOfVeryManyValuesAreRefused: a few megabytes of empty objects take
// gigabytes of memory.
func TestDocumentsOfVeryManyValuesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	many := func(n int, what string) *strings.Reader {
		return strings.NewReader(`{"template": "x", "files": [` + strings.TrimSuffix(strings.Repeat(what+",", n), ",") + `]}`)
	}
	for _, what := range []string{"{}", "[]", "null"} {
		if a := b.send("sam", post, "/jobs", many(1_100_000, what), "Content-Type", "application/json"); a.status != 400 || !strings.Contains(string(a.body), "values that are read at once") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	// Text is no value, whatever is in it.
	text := strings.NewReader(`{"template": "` + strings.Repeat(`,[{\"`, 300_000) + `"}`)
	if a := b.send("sam", post, "/jobs", text, "Content-Type", "application/json"); a.status != 400 || strings.Contains(string(a.body), "values that are read at once") {
		t.Errorf("text: %d %s", a.status, a.body)
	}
}

// TestLargeDocumentsWaitForOneAnother: however many come at once, what they take
// is bounded; small ones are not held up.
func TestLargeDocumentsWaitForOneAnother(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{BodyTime: 3 * time.Second})
	b.check(b.door.bodies.Acquire(t.Context(), allBodies))
	large := func() *strings.Reader {
		return strings.NewReader(`{"template": "` + strings.Repeat("x", freeBody) + `"}`)
	}
	if a := b.send("sam", post, "/jobs", large(), "Content-Type", "application/json"); a.status != 503 || !strings.Contains(string(a.body), "large documents") {
		t.Errorf("without room: %d %s", a.status, a.body)
	}
	b.submit("1-1")
	b.door.bodies.Release(allBodies)
	for range 2 {
		if a := b.send("sam", post, "/jobs", large(), "Content-Type", "application/json"); a.status != 400 {
			t.Errorf("with room: %d %s", a.status, a.body)
		}
	}
	if !b.door.bodies.TryAcquire(allBodies) {
		t.Error("room was not given back")
	}
}

// TestAnswersSayTheirLength covers small ones, whose length net/http finds out,
// and others.
func TestAnswersSayTheirLength(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	for range 9 {
		b.submit("1-2")
	}
	for path, least := range map[string]int64{"/farm": 1, "/jobs": saysLength + 1} {
		r := b.open(t.Context(), "sam", get, path, nil)
		n, err := io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if err != nil || r.ContentLength != n || n < least {
			t.Errorf("%s: the answer says that it has %d bytes, and has %d: %v", path, r.ContentLength, n, err)
		}
	}
}
