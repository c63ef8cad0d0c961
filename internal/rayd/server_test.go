package rayd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// terminal collects what a server says.
type terminal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *terminal) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *terminal) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

func diary(t *testing.T) (*Diary, *terminal, string) {
	t.Helper()
	home, out := t.TempDir(), &terminal{}
	at := time.Date(2004, 5, 6, 7, 8, 9, 0, time.UTC)
	d, err := OpenDiary(home, "ray", out, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, out, LogFile(home, "ray")
}

// TestInternalErrors: a panic and an error of what serves clients are said, and
// the server goes on with the same process.
func TestInternalErrors(t *testing.T) {
	t.Parallel()
	d, out, file := diary(t)
	signals := make(chan os.Signal, 1)
	round, ready := 0, 0
	code := Run(t.Context(), Config{
		Address: "127.0.0.1:0", PID: 2345, Diary: d, Ready: func(net.Addr) { ready++ },
		Serve: func(ctx context.Context, l net.Listener) error {
			switch round++; round {
			case 1:
				panic("a bug")
			case 2:
				return errors.New("another")
			case 3:
				return nil // it must not stop by itself
			}
			signals <- syscall.SIGTERM
			<-ctx.Done()
			return nil
		},
	}, signals)
	if code != 0 || round != 4 || ready != 4 {
		t.Errorf("exit %d after %d rounds, ready %d times", code, round, ready)
	}
	if n := strings.Count(out.String(), "Rayserver 2345 internal error. Restarting.\n"); n != 3 {
		t.Errorf("it said %d times that it restarts:\n%s", n, out)
	}
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2004-05-06 07:08:09 internal error: panic: a bug", "server_test.go", "internal error: another", "stopped by itself", "*System Exit* (caught signal 15)"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(out.String(), "a bug") {
		t.Error("the terminal has the bug's details; they belong into the log")
	}
}

func TestEndDuringThePauseAfterAnInternalError(t *testing.T) {
	t.Parallel()
	d, out, _ := diary(t)
	signals := make(chan os.Signal, 1)
	code := Run(t.Context(), Config{
		Address: "127.0.0.1:0", Restart: time.Hour, PID: 1, Diary: d,
		Serve: func(context.Context, net.Listener) error { signals <- os.Interrupt; return errors.New("a bug") },
	}, signals)
	if code != 0 || !strings.HasSuffix(out.String(), "*User Interrupt*\n") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestPortThatCannotBeHad(t *testing.T) {
	t.Parallel()
	d, out, _ := diary(t)
	code := Run(t.Context(), Config{Address: "192.0.2.1:1", PID: 1, Diary: d}, nil)
	once := "Socket Error: " + socketError(syscall.EADDRNOTAVAIL) + "\n"
	again := once + "retrying in 0 secs...\n"
	if want := again + again + once + "*System Exit*\n"; code != 1 || out.String() != want {
		t.Errorf("exit %d, said %q, want %q", code, out, want)
	}
	if !strings.HasSuffix(once, ", 'Cannot assign requested address')\n") && !strings.Contains(once, "Can't assign") {
		t.Errorf("the error is written %q", once)
	}
}

func TestSecs(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{30 * time.Second: "30", 100 * time.Second: "100", 20 * time.Millisecond: "0.02", 0: "0"} {
		if got := secs(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

// TestHandoff: what is handed over is taken once, and only by a process that was
// started for it.
func TestHandoff(t *testing.T) {
	argv := Control.Argv("/rf")
	if strings.Join(argv, " ") != "rfcore -O /rf/server/procwrap.pyo" {
		t.Errorf("command line %q", argv)
	}
	env, err := Control.Env("a text")
	if err != nil {
		t.Fatal(err)
	}
	name, value, _ := strings.Cut(env, "=")
	t.Setenv(name, value)
	if _, _, ok := Taken([]string{"drover", "-O", "x"}); ok {
		t.Error("taken by a process of another name")
	}
	role, body, ok := Taken(argv)
	var text string
	if !ok || role != Control || json.Unmarshal(body, &text) != nil || text != "a text" {
		t.Errorf("taken: %v as %s: %s", ok, role, body)
	}
	if _, _, ok := Taken(argv); ok {
		t.Error("taken twice")
	}
	for _, bad := range []string{"{", `{"role":"editor"}`} {
		t.Setenv(name, bad)
		if _, _, ok := Taken(argv); ok {
			t.Errorf("%s is taken", bad)
		}
	}
}
