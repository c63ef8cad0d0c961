package blender

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"drover.farm/internal/renderer"
)

// EnvSessionPID names the environment variable with the process whose end ends
// the session. Without it the command's parent counts if it is a Drover too.
const EnvSessionPID = "DROVER_SESSION_PID"

const (
	startWait  = 30 * time.Second
	cancelWait = 5 * time.Second
)

// OpenOptions say which scene to keep loaded, and where.
type OpenOptions struct {
	Dir      string        // the session's folder for Blender's state; made if it is missing
	Scene    string        // the .blend on this machine
	Original string        // its path as the submitter had it, "" for Scene; relative paths are mapped from there
	Rules    string        // file with the session's path mapping rules, "" for none
	Blender  string        // the program, "" to find one
	Autoexec bool          // let scripts in the scene run
	Threads  int           // 0 for all cores
	Idle     time.Duration // end after so long without a frame; 0 for DefaultIdle
	Watch    int           // end with this process; 0 for none
	Serve    []string      // command that runs Serve for the folder in its last argument, "" for this program's own
}

// Open starts Blender with the scene and returns when it is loaded. Blender
// stays, with a supervisor, until Close, or until the session's folder or the
// watched process is gone. Blender's lines go to stdout. It is made for a command
// that ends soon after: the supervisor is a child that nobody waits for here. The
// error is a
// *renderer.Fault when Blender or the scene is at fault.
func Open(ctx context.Context, o OpenOptions, stdout io.Writer) error {
	cfg, err := o.config(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("make the session's folder: %w", err)
	}
	if err := writeJSON(filepath.Join(cfg.Dir, configName), cfg); err != nil {
		return err
	}
	if err := startSupervisor(ctx, cfg.Dir, o.Serve); err != nil {
		return err
	}
	end, err := ask(ctx, cfg.Dir, request{Verb: "load"}, lineWriter(stdout))
	if err != nil {
		return err
	}
	if !end.OK {
		Close(context.WithoutCancel(ctx), o.Dir)
		return end.fault()
	}
	fmt.Fprintf(stdout, "drover: Blender %s has the scene loaded; %d paths were mapped, %d files are missing\n", end.Version, end.Moved, len(end.Missing))
	return nil
}

func (o *OpenOptions) config(ctx context.Context) (*config, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the session's folder: %w", err)
	}
	scene, err := filepath.Abs(o.Scene)
	if err != nil {
		return nil, fmt.Errorf("find the scene: %w", err)
	}
	if st, err := os.Stat(scene); err != nil || !st.Mode().IsRegular() {
		return nil, &renderer.Fault{Party: renderer.JobFault, Message: fmt.Sprintf("the scene %s is not there: send it with the job", scene), Err: err}
	}
	cfg := &config{Dir: dir, Scene: scene, Original: o.Original, Blender: o.Blender, Autoexec: o.Autoexec, Threads: o.Threads, Idle: o.Idle, Watch: o.Watch}
	if cfg.Original == "" {
		cfg.Original = scene
	}
	if cfg.Blender == "" {
		if cfg.Blender, err = Find(ctx); err != nil {
			return nil, err
		}
	}
	if o.Rules != "" {
		cfg.Rules, err = readRules(o.Rules)
	}
	return cfg, err
}

// readRules takes the rules out of a path mapping rules file (How Jobs Are Run
// of OpenJD 2023-09, "Path Mapping"). An empty file has none.
func readRules(path string) (json.RawMessage, error) {
	const largest = 4 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the path mapping rules: %w", err)
	}
	defer f.Close()
	var doc struct {
		Version string            `json:"version"`
		Rules   []json.RawMessage `json:"path_mapping_rules"`
	}
	if err := json.NewDecoder(io.LimitReader(f, largest)).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the path mapping rules: %w", err)
	}
	return json.Marshal(doc.Rules)
}

// startSupervisor runs Serve in a process of its own and waits until commands
// can reach it.
func startSupervisor(ctx context.Context, dir string, command []string) error {
	if len(command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		command = []string{self, "blender", "serve"}
	}
	logFile, err := os.OpenFile(filepath.Join(dir, "supervisor.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the supervisor's log: %w", err)
	}
	defer logFile.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(command[0], append(command[1:], dir)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, in, logFile
	detach(cmd)
	err = cmd.Start()
	in.Close()
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	out.SetReadDeadline(time.Now().Add(startWait))
	stop := context.AfterFunc(ctx, func() { out.SetReadDeadline(time.Now()) })
	defer stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		cmd.Process.Kill()
		cmd.Wait() // killed: how it ended does not matter
		return fmt.Errorf("the supervisor did not start; see %s: %w", logFile.Name(), errors.Join(err, ctx.Err()))
	}
	// It outlives this command: whoever gets it then waits for it.
	if err := cmd.Process.Release(); err != nil {
		return fmt.Errorf("let the supervisor go: %w", err)
	}
	return nil
}

// ask sends a request to the supervisor of dir and hands on the lines that come
// until the end. When ctx ends, it tells the supervisor and waits a little for
// it to stop Blender.
func ask(ctx context.Context, dir string, req request, log func(string) error) (*ending, error) {
	var st state
	data, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return nil, fmt.Errorf("find the supervisor: %w", err)
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return nil, fmt.Errorf("find the supervisor: %w", err)
	}
	c, err := (&net.Dialer{}).DialContext(ctx, st.Network, st.Address)
	if err != nil {
		return nil, fmt.Errorf("reach the supervisor: %w", err)
	}
	defer c.Close()
	req.Token = st.Token
	if err := json.NewEncoder(c).Encode(req); err != nil {
		return nil, fmt.Errorf("ask the supervisor: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		c.SetReadDeadline(time.Now().Add(cancelWait))
		if w, ok := c.(interface{ CloseWrite() error }); ok {
			w.CloseWrite()
		}
	})
	defer stop()
	dec := json.NewDecoder(bufio.NewReaderSize(c, maxLine))
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("the supervisor of Blender went away: %w", errors.Join(ctx.Err(), err))
		}
		if m.End != nil {
			return m.End, nil
		}
		if err := log(m.Line); err != nil {
			return nil, err
		}
	}
}

func (e *ending) fault() error {
	return &renderer.Fault{Party: e.Party, Message: e.Error}
}

// lineWriter writes lines of Blender's log. A line that a session would take
// for a directive gets a space before it: only Drover gives directives.
func lineWriter(w io.Writer) func(string) error {
	return func(line string) error {
		if strings.HasPrefix(line, "openjd_") {
			line = " " + line
		}
		_, err := io.WriteString(w, line+"\n")
		return err
	}
}

// Close ends Blender and the supervisor of the session's folder. It is no
// error if they are gone already.
func Close(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, stateName)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	_, err := ask(ctx, dir, request{Verb: "close"}, func(string) error { return nil })
	os.Remove(filepath.Join(dir, stateName))
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("close Blender: %w", ctx.Err())
	}
	return nil
}
