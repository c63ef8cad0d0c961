package sheepit

import (
	"bytes"
	"image/color"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

func TestFrameStatuses(t *testing.T) {
	t.Parallel()
	big := picture(color.White)
	for _, c := range []struct {
		name string
		data []byte
		path string
		want string
	}{
		{"good", good, "?job=1000&frame=0001", "0"},
		{"unpadded", good, "?job=1000&frame=1", "0"},
		{"as in 2016", good, "?job=1000&frame=0001&rendertime=3&revision=0&memoryused=131250&extras=&cores=2", "0"},
		{"nonsense for numbers", good, "?job=1000&frame=0001&rendertime=NaN&memoryused=-1", "0"},
		{"black", black, "?job=1000&frame=0001", "301"},
		{"cut short", good[:len(good)/2], "?job=1000&frame=0001", "301"},
		{"a page", []byte("<html><body>login first</body></html>"), "?job=1000&frame=0001", "302"},
		{"a zip bomb", append([]byte("PK\x03\x04"), make([]byte, 1000)...), "?job=1000&frame=0001", "302"},
		{"nothing", nil, "?job=1000&frame=0001", "302"},
		{"no job", big, "?frame=0001", "300"},
		{"no frame", big, "?job=1000", "300"},
		{"a frame of words", big, "?job=1000&frame=first", "300"},
		{"another's frame", big, "?job=1000&frame=0002", "300"},
		{"no such job", big, "?job=4711&frame=0001", "300"},
		{"no such frame", big, "?job=1000&frame=99", "300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{}, farm.Settings{})
			b.build("4.2.1", "linux", "x86_64")
			b.job("1-9")
			one := b.client().login("rick")
			b.want(one.ask(), "0")
			b.want(one.upload(pathFrame+c.path, c.data), c.want)
			task, err := b.f.Task(t.Context(), farm.TaskKey{Job: 1000})
			b.check(err)
			if done := task.State == farm.TaskDone; done != (c.want == "0") {
				t.Errorf("the task is %s", task.State)
			}
			b.want(one.get(pathAlive), "0") // the session is alive
		})
	}
}

func TestOddUploads(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	c := b.client().login("rick")
	c.ask()
	path := pathFrame + "?job=1000&frame=0001"
	odd := "***232404jkg4220957934FW**" // of 2016: no space before boundary, no quotes, no type, no length
	part := "--" + odd + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"/tmp/1000_0001.png\"\r\n\r\n"
	for name, r := range map[string]reply{
		"no form":  c.do(http.MethodPost, path, "image/png", bytes.NewReader(good)),
		"GET":      c.get(path),
		"no part":  c.do(http.MethodPost, path, "multipart/form-data;boundary="+odd, strings.NewReader("--"+odd+"--\r\n")),
		"no file":  c.do(http.MethodPost, path, "multipart/form-data;boundary="+odd, strings.NewReader("--"+odd+"\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n--"+odd+"--\r\n")),
		"no bound": c.do(http.MethodPost, path, "multipart/form-data", strings.NewReader("x")),
	} {
		if got := r.status(); got != "300" {
			t.Errorf("%s: %s", name, got)
		}
	}
	b.want(c.do(http.MethodPost, path, "multipart/form-data;boundary="+odd, strings.NewReader(part+string(good))), "303") // cut short
	// Without a length, parameters in the form.
	body := "--" + odd + "\r\nContent-Disposition: form-data; name=\"job\"\r\n\r\n1000\r\n--" + odd + "\r\nContent-Disposition: form-data; name=\"frame\"\r\n\r\n0001\r\n" + part + string(good) + "\r\n--" + odd + "--\r\n"
	b.want(c.do(http.MethodPost, pathFrame, "multipart/form-data;boundary="+odd, struct{ io.Reader }{strings.NewReader(body)}), "0")
}

func TestTheSameFrameTwice(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	j := b.job("1-9")
	c := b.client().login("rick")
	c.ask()
	b.now.Add(int64(time.Minute))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { b.want(c.send(1000, "0001", good), "0") })
	}
	wg.Wait()
	b.want(c.send(1000, "0001", black), "0") // whatever comes later
	task, err := b.f.Task(t.Context(), farm.TaskKey{Job: j.ID})
	b.check(err)
	if len(task.Attempts) != 1 || !bytes.Equal(b.content(task.Outputs[0].SHA256), good) {
		t.Errorf("the task is %+v", task)
	}
	rows, err := b.f.Ledger(t.Context(), farm.LedgerQuery{Job: j.ID})
	b.check(err)
	var earned, spent farm.Points
	for _, e := range rows {
		earned, spent = earned+e.Earned, spent+e.Spent
	}
	if earned != 200 || spent != earned { // 12 s of a minute's point
		t.Errorf("earned %d, spent %d", earned, spent)
	}
}

func TestLateFrames(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{SessionTimeout: 2 * time.Hour, Lease: 10 * time.Minute}}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1")
	c, other := b.client().login("rick"), b.client().login("rosa")
	b.want(c.ask(), "0")
	b.pass(11 * time.Minute)
	b.want(other.ask(), "0")                                    // it went to somebody else
	b.want(c.get(pathAlive+"?job=1000&frame=0001"), "0")        // and is still wanted
	b.want(c.send(1000, "0001", good), "0")                     // so the late frame counts
	b.want(other.get(pathAlive+"?job=1000&frame=0001"), "400")  // the other is stopped
	b.want(other.send(1000, "0001", picture(color.White)), "0") // nobody wants it
	task, err := b.f.Task(t.Context(), farm.TaskKey{Job: 1000})
	b.check(err)
	if task.State != farm.TaskDone || !bytes.Equal(b.content(task.Outputs[0].SHA256), good) {
		t.Errorf("the task is %+v", task)
	}
}

func TestFramesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{FrameLimit: 100}}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1")
	c := b.client().login("rick")
	c.ask()
	if r := c.send(1000, "0001", append(bytes.Clone(good), make([]byte, 1000)...)); r.code != 413 || !strings.Contains(r.body, `status="303"`) {
		t.Errorf("%d %s", r.code, r.body)
	}
	// One of 2 GB is refused by what it says of its length: 64 KB of it are sent.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.srv.URL+pathFrame+"?job=1000&frame=0001",
		io.LimitReader(endless{}, 64<<10))
	b.check(err)
	req.ContentLength = 2 << 30
	req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	for _, k := range c.http.Jar.Cookies(mustURL(t, b.srv.URL)) {
		req.AddCookie(k)
	}
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, req)
	if w.Code != 413 || !strings.Contains(w.Body.String(), `status="303"`) {
		t.Errorf("2 GB: %d %s", w.Code, w.Body)
	}
	b.want(c.get(pathAlive+"?job=1000&frame=0001"), "0") // the session is alive
}

// endless is a stream of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCanceledFramesStop(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-3")
	b.job("1-3")
	c := b.client().login("rick")
	c.ask()
	_, err := b.f.Cancel(t.Context(), farm.JobChange{By: root, Job: 1000, Reason: "enough"})
	b.check(err)
	b.golden("stop", c.get(pathAlive+"?job=1000&frame=0001&rendertime=5"))
	b.want(c.do(http.MethodPost, pathError+"?type=22&job=1000&frame=0001&render_time=5&memoryused=0", "", nil), "0")
	if r := c.ask(); r.attr("id") != "1001" {
		t.Errorf("after the stop the session got job %s: %s", r.attr("id"), r.status())
	}
}
