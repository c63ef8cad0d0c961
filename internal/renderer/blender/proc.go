package blender

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// SceneScript is Python for Blender 2.80 to 5 that the scripts of several parts
// of Drover begin with: moving paths, settings of a frame, output nodes. It is
// plain ASCII and does nothing by itself.
//
//go:embed scene.py
var SceneScript string

//go:embed loop.py
var loopScript string

const (
	maxLine    = 64 << 10 // longer lines of Blender are split
	lineBuffer = 256      // lines that wait for whoever reads the log
	drainTime  = 500 * time.Millisecond
)

// config is what a session's Blender is started with. The supervisor keeps it
// beside its socket, so that a new supervisor can take over.
type config struct {
	Blender  string          `json:"blender"`
	Scene    string          `json:"scene"`
	Original string          `json:"original,omitempty"`
	Rules    json.RawMessage `json:"rules,omitempty"`
	Autoexec bool            `json:"autoexec,omitempty"`
	Threads  int             `json:"threads,omitempty"`
	Idle     time.Duration   `json:"idle,omitempty"`
	Watch    int             `json:"watch,omitempty"`
	Dir      string          `json:"dir"`
}

// answer is what the loop says after the scene is loaded and after each frame.
type answer struct {
	OK      bool          `json:"ok"`
	Party   string        `json:"party,omitempty"`
	Error   string        `json:"error,omitempty"`
	Version string        `json:"version,omitempty"`
	Moved   int           `json:"moved,omitempty"`
	Missing []missingFile `json:"missing,omitempty"`
}

type missingFile struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Path string `json:"path"`
}

// process is one running Blender with the loop in it. Its calls come one at a
// time.
type process struct {
	cmd    *exec.Cmd
	mu     sync.Mutex // of group and over
	group  processGroup
	over   bool // the group has ended; its number may be another's
	stdin  io.WriteCloser
	mark   []byte
	lines  chan []byte // closed when Blender and its output have ended
	busy   atomic.Bool
	exited chan struct{} // closed after state is set
	state  *os.ProcessState
}

// errGone says that Blender ended; process.state tells how.
var errGone = errors.New("the renderer has ended")

// startProcess starts Blender on the scene of c. It lives until it is killed,
// crashes, or its standard input ends.
func startProcess(c *config) (*process, error) {
	script := filepath.Join(c.Dir, "loop.py")
	if err := os.WriteFile(script, []byte(SceneScript+loopScript), 0o600); err != nil {
		return nil, fmt.Errorf("write the loop: %w", err)
	}
	tmp := filepath.Join(c.Dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make Blender's temporary folder: %w", err)
	}
	p := &process{mark: []byte("\x1e" + rand.Text() + " "), lines: make(chan []byte, lineBuffer), exited: make(chan struct{})}
	p.cmd = exec.Command(c.Blender, c.args(script)...)
	p.cmd.Dir = tmp
	p.cmd.Env = append(os.Environ(), "DROVER_LOOP_MARK="+string(p.mark), "PYTHONUNBUFFERED=1", "TMPDIR="+tmp, "TEMP="+tmp, "TMP="+tmp)
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to Blender: %w", err)
	}
	p.stdin = stdin
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe from Blender: %w", err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	started := make(chan error)
	go p.run(out, in, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Blender, err)
	}
	return p, nil
}

// args is Blender's command line. It reads its arguments in order: what is to
// hold while the scene is opened stands before it.
func (c *config) args(script string) []string {
	args := []string{"-b"}
	if c.Autoexec {
		args = append(args, "--enable-autoexec")
	} else {
		args = append(args, "--disable-autoexec")
	}
	if c.Threads > 0 {
		args = append(args, "-t", strconv.Itoa(c.Threads))
	}
	return append(args, c.Scene, "--python-exit-code", "70", "-P", script, "--", filepath.Join(c.Dir, configName))
}

// run starts the process and stays with it to its end. The thread is kept,
// since a process that dies with its parent dies with the parent's thread.
func (p *process) run(out, in *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.group.prepare(p.cmd)
	err := p.cmd.Start()
	in.Close()
	if err == nil {
		err = p.group.started(p.cmd)
	}
	started <- err
	if err != nil {
		out.Close()
		return
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.readLines(out)
	}()
	p.cmd.Wait() // how it ended is in ProcessState
	p.end(true)
	p.state = p.cmd.ProcessState
	out.SetReadDeadline(time.Now().Add(drainTime)) // something else may hold the pipe
	<-read
	out.Close()
	close(p.exited)
}

// readLines hands on Blender's output. While nobody renders it is dropped when
// it is too much, so that Blender never waits.
func (p *process) readLines(out io.Reader) {
	defer close(p.lines)
	r := bufio.NewReaderSize(out, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			line = bytes.Clone(bytes.TrimRight(line, "\r\n"))
			if p.busy.Load() {
				p.lines <- line
			} else {
				select {
				case p.lines <- line:
				default:
				}
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// call sends one request, unless it is nil, and waits for the next answer.
// Blender's lines in between go to log. When ctx ends first, Blender is killed
// with all its children before call returns.
func (p *process) call(ctx context.Context, request any, log func(string)) (answer, error) {
	p.busy.Store(true)
	defer p.busy.Store(false)
	if request != nil {
		data, err := json.Marshal(request)
		if err != nil {
			return answer{}, fmt.Errorf("encode the request: %w", err)
		}
		if _, err := p.stdin.Write(append(data, '\n')); err != nil {
			p.kill(log)
			return answer{}, errGone
		}
	}
	for {
		select {
		case <-ctx.Done():
			p.kill(log)
			return answer{}, ctx.Err()
		case line, ok := <-p.lines:
			if !ok {
				<-p.exited
				return answer{}, errGone
			}
			if a, ok := p.parseAnswer(line, log); ok {
				return a, nil
			}
		}
	}
}

// parseAnswer tells answers from lines of the log. Text before the mark is the
// rest of a line that Blender did not finish.
func (p *process) parseAnswer(line []byte, log func(string)) (answer, bool) {
	before, data, found := bytes.Cut(line, p.mark)
	if text := cString(before); text != "" || !found {
		log(text)
	}
	var a answer
	if !found || json.Unmarshal(data, &a) != nil {
		return answer{}, false
	}
	return a, true
}

// kill ends Blender and its children and waits until they are gone.
func (p *process) kill(log func(string)) {
	p.end(false)
	for line := range p.lines {
		log(cString(line))
	}
	<-p.exited
}

// end kills the group, for the last time if Blender has ended.
func (p *process) end(last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.group.kill()
	if last {
		p.group.close()
		p.over = true
	}
}

// alive says whether Blender still runs.
func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}
