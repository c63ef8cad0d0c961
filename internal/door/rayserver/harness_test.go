package rayserver

import (
	"bufio"
	"context"
	"flag"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"drover.farm/internal/simulation"
)

var update = flag.Bool("update", false, "write the golden conversations anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is simulations that remember what was asked.
type fake struct {
	mu    sync.Mutex
	asked []simulation.Request
	did   []string
	fault error
	panic string
	tell  chan simulation.Job
}

var at = time.Date(2004, 5, 6, 7, 8, 9, 0, time.UTC)

func job(id string) simulation.Job {
	return simulation.Job{
		ID: id, Location: "projects", Project: "house", Variation: "room", Name: "v1", Type: simulation.Image, Options: []string{"-ab", "2"},
		User: "anna", State: simulation.Running, Stage: simulation.Render, Percent: 13.7, Host: "sirius", Platform: "posix",
		PID: 411, SubPID: 415, Command: "rpict -ab 2 <options>", Submitted: at, Started: at, Updated: at,
	}
}

func (f *fake) do(what, id string) (simulation.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panic != "" {
		panic(f.panic)
	}
	f.did = append(f.did, what+" "+id)
	return job(id), f.fault
}

func (f *fake) Submit(_ context.Context, r simulation.Request) (simulation.Job, error) {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	f.mu.Unlock()
	return f.do("submit", "room_v1")
}

func (f *fake) List(_ context.Context, location, project string) ([]simulation.Job, error) {
	j, err := f.do("list", location+"/"+project)
	if project == "many" {
		jobs := make([]simulation.Job, 1000)
		for i := range jobs {
			jobs[i] = j
			jobs[i].Message = strings.Repeat("x", 500)
		}
		return jobs, err
	}
	return []simulation.Job{j}, err
}

func (f *fake) Log(_ context.Context, id string, offset int64, most int) (string, bool, error) {
	_, err := f.do("log", id)
	text := "rpict: 5 rays\n"
	return text[min(int(offset), len(text)):], false, err
}

func (f *fake) Job(_ context.Context, id string) (simulation.Job, error) { return f.do("info", id) }
func (f *fake) Suspend(_ context.Context, id string) (simulation.Job, error) {
	return f.do("suspend", id)
}
func (f *fake) Resume(_ context.Context, id string) (simulation.Job, error) {
	return f.do("resume", id)
}
func (f *fake) Kill(_ context.Context, id string) (simulation.Job, error) { return f.do("kill", id) }
func (f *fake) Restart(_ context.Context, id string) (simulation.Job, error) {
	return f.do("restart", id)
}

func (f *fake) Watch(ctx context.Context, id string, tell func(simulation.Job) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case j := <-f.tell:
			if err := tell(j); err != nil {
				return err
			}
		}
	}
}

var anna = Key{"anna", "a-key-of-enough-characters"}

// running is a server under test.
type running struct {
	t     *testing.T
	jobs  *fake
	addr  string
	err   chan error
	notes chan string
}

// serve starts a server that has anna's key, changed as the test wants.
func serve(t *testing.T, change func(*Config)) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, jobs: &fake{tell: make(chan simulation.Job)}, addr: l.Addr().String(), err: make(chan error, 1), notes: make(chan string, 1000)}
	cfg := Config{
		Host: "sirius", Platform: "posix", CPUs: func() int { return 8 }, Jobs: r.jobs, Keys: Keys{anna.Name: anna.Secret},
		Connections: 50, AuthTime: time.Minute, IdleTime: time.Minute, LineTime: time.Minute, Note: func(s string) { r.notes <- s },
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.err <- Serve(ctx, l, cfg); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// dial connects as anna.
func (r *running) dial() *Client {
	r.t.Helper()
	c, err := Dial(r.t.Context(), DialOptions{Address: r.addr, Key: anna, Within: time.Minute})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return c
}

// raw is a connection whose every byte the test says.
type raw struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (r *running) raw() *raw {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return &raw{r.t, c, bufio.NewReader(c)}
}

func (c *raw) say(line string) {
	c.t.Helper()
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads a line; "" when the server has hung up.
func (c *raw) hear() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("the server neither answers nor hangs up")
	}
	return strings.TrimSpace(line)
}
