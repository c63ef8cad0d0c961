package sheepit

import (
	"bytes"
	"image/color"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

// lenient never gives up on a job or sets a worker aside.
var lenient = farm.Settings{Tries: 1e6, WorkerTries: 1e6, AsideFaults: 1e6, AsideJobs: 1e6, AvoidAfter: 1e6}

// FuzzUpload delivers anything as a frame: the answer is one of the documents',
// and the session goes on. FRAME in a query is a frame that the session has.
func FuzzUpload(f *testing.F) {
	part := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"1000_0001.png\"\r\n\r\n"
	for _, data := range [][]byte{good, black, good[:len(good)/2], []byte("<html>"), nil} {
		f.Add("job=1000&frame=FRAME&rendertime=3", "multipart/form-data; boundary=x", part+string(data)+"\r\n--x--\r\n")
	}
	f.Add("job=1000&job=2&frame=FRAME", "multipart/form-data;boundary=x", part+string(good))
	f.Add("", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"job\"\r\n\r\n1000\r\n"+part+string(good)+"\r\n--x--\r\n")
	f.Add("job=%zz&frame=-1", "image/png", string(good))
	b := setup(f, Config{Settings: Settings{Rate: 1e9, FrameLimit: 64 << 10, Repeats: 1e9}}, lenient)
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-1000000")
	c := b.client().login("rick")
	f.Cleanup(func() { b.t = f })
	f.Fuzz(func(t *testing.T, query, contentType, body string) {
		b.t = t
		b.now.Add(int64(11 * time.Second)) // no repetition
		r := c.ask()
		b.want(r, "0")
		if !plainHeader(contentType) {
			return
		}
		query = strings.ReplaceAll(query, "FRAME", r.attr("frame"))
		u := mustURL(t, "http://x"+pathFrame)
		u.RawQuery = query
		req := &http.Request{Method: http.MethodPost, URL: mustURL(t, b.srv.URL+pathFrame), Header: http.Header{"Content-Type": {contentType}},
			Body: http.NoBody}
		if body != "" {
			req.Body = readCloser{strings.NewReader(body)}
		}
		req.URL.RawQuery = u.Query().Encode()
		res, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer bytes.Buffer
		if _, err := answer.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		got := reply{http.StatusOK, res.Header, answer.String()}
		if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("HTTP %d: %s", res.StatusCode, &answer)
		}
		if s := got.status(); !slices.Contains([]string{"0", "300", "301", "302", "303"}, s) {
			t.Errorf("status %s", s)
		}
		b.want(c.get(pathAlive), "0")
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// plainHeader reports whether a client could send the value at all.
func plainHeader(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' })
}

// documented are the statuses that an answer may have, by path.
var documented = map[string][]string{
	pathRequest: {"0", "200", "202"}, pathFrame: {"0", "300", "301", "302", "304"}, pathAlive: {"0", "400"}, pathError: {"0"},
}

// FuzzSession has a client do anything in any order, while time passes and the
// farm starts anew: each answer is one of the documents', each frame is done at
// most once, and the ledger adds up.
func FuzzSession(f *testing.F) {
	f.Add([]byte{1, 3, 1, 3, 1, 3, 1})
	f.Add([]byte{1, 4, 1, 5, 22, 1, 5, 7, 1, 3, 3, 5, 25, 6, 2, 8})
	f.Add([]byte{1, 9, 5, 1, 9, 40, 3, 1, 10, 3, 7, 0, 1, 3, 7, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		b := setup(t, Config{Settings: Settings{Rate: 1e9}}, lenient)
		b.build("4.2.1", "linux", "x86_64")
		b.job("1-3")
		c := b.client()
		key := keyRE.FindString(c.post(hello("rick", password)).body)
		frame := "0001"
		next := func() (n int) {
			if len(ops) > 0 {
				n, ops = int(ops[0]), ops[1:]
			}
			return n
		}
		say := func(path, query string) {
			if s := c.get(path + query).status(); !slices.Contains(documented[path], s) {
				t.Fatalf("%s: status %s", path, s)
			}
		}
		for steps := 0; len(ops) > 0 && steps < 40; steps++ {
			switch next() % 11 {
			case 0:
				b.want(c.post(hello("rick", key)), "0")
			case 1:
				r := c.ask()
				if s := r.status(); !slices.Contains(documented[pathRequest], s) {
					t.Fatalf("a request for work: status %s", s)
				} else if s == "0" {
					frame = r.attr("frame")
				}
			case 2:
				frame = []string{"0001", "0002", "0003", "0004"}[next()%4]
			case 3, 4:
				data := [][]byte{good, black, picture(color.White), nil}[next()%4]
				if s := c.send(1000, frame, data).status(); !slices.Contains(documented[pathFrame], s) {
					t.Fatalf("a frame: status %s", s)
				}
			case 5:
				say(pathError, "?type="+number(next())+"&job=1000&frame="+frame)
			case 6:
				say(pathAlive, "?job=1000&frame="+frame+"&rendertime=%25!d&remainingtime=-5")
			case 7:
				if r := c.get(pathAccount + "?mode=logout&worker=1"); r.code != http.StatusOK {
					t.Fatalf("logout: %d", r.code)
				}
			case 8:
				say(pathAlive, "?paused=true")
			case 9:
				b.pass(time.Duration(next()) * time.Minute)
			case 10:
				b.restart()
			}
		}
		b.addsUp(t)
	})
}

// addsUp holds what the farm has kept of job 1000 to its rules.
func (b *bundle) addsUp(t *testing.T) {
	t.Helper()
	done := 0
	for i := range int64(3) {
		task, err := b.f.Task(t.Context(), farm.TaskKey{Job: 1000, Index: i})
		if farm.CodeOf(err) == farm.NotFound {
			continue // it was never given to anybody
		}
		b.check(err)
		n := 0
		for _, a := range task.Attempts {
			if a.Outcome == farm.OutcomeDone {
				n++
			}
		}
		if n > 1 || (n == 1) != (task.State == farm.TaskDone) || len(task.Outputs) != n {
			t.Errorf("frame %d is %s after %d attempts that did it, with %d pictures", i+1, task.State, n, len(task.Outputs))
		}
		done += n
	}
	rows, err := b.f.Ledger(t.Context(), farm.LedgerQuery{Job: 1000})
	b.check(err)
	var earned, spent farm.Points
	for _, e := range rows {
		earned, spent = earned+e.Earned, spent+e.Spent
	}
	if earned != spent || earned > farm.Points(200*done) { // at most 12 s each, and no more than have passed
		t.Errorf("for %d frames %d points were earned and %d spent", done, earned, spent)
	}
}
