package session

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// dirPrefix begins the names of session directories.
	dirPrefix = "openjd-session-"
	// stateName is the file in a session directory by which Sweep knows whose it
	// is: a header, then a line for each process started.
	stateName = "state.jsonl"
	// workName is the working directory, apart from the state so that jobs may
	// empty it.
	workName = "work"
	// maxState bounds what Sweep reads of a state file.
	maxState = 64 << 20
	// youngDir is the age below which a directory without state may belong to a
	// session that is being made.
	youngDir = time.Minute
)

// procID names a process for good: a number is used again, together with the time
// of the start it is not.
type procID struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// stateHeader is the first line of a state file.
type stateHeader struct {
	Session string `json:"session"`
	Owner   procID `json:"owner"`
	Boot    string `json:"boot"`
}

// stateFile is the state of a live session.
type stateFile struct{ f *os.File }

func createState(dir, id string) (*stateFile, error) {
	owner := procID{Pid: os.Getpid()}
	owner.Start, _ = startOf(owner.Pid)
	f, err := os.OpenFile(filepath.Join(dir, stateName), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the session's state file: %w", err)
	}
	if !lockFile(f) {
		f.Close()
		return nil, fmt.Errorf("lock the session's state file %s: it is locked already, or the file system has no locks", f.Name())
	}
	s := &stateFile{f: f}
	if err := s.add(stateHeader{Session: id, Owner: owner, Boot: bootID()}); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// add appends a line. It survives the end of this program; a power cut ends the
// processes as well.
func (s *stateFile) add(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the session's state: %w", err)
	}
	if _, err := s.f.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write the session's state: %w", err)
	}
	return nil
}

func (s *stateFile) close() { s.f.Close() }

// errLive means that the program that made a session still runs.
var errLive = errors.New("the session's program runs")

// readState reads the state file of a session directory, unless its program still
// runs. A last line that was cut short is left out.
func readState(dir string) (stateHeader, []procID, error) {
	var head stateHeader
	f, err := os.OpenFile(filepath.Join(dir, stateName), os.O_RDWR, 0)
	if err != nil {
		return head, nil, err
	}
	defer f.Close()
	if !lockFile(f) {
		return head, nil, errLive
	}
	lines := bufio.NewScanner(io.LimitReader(f, maxState))
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.Session == "" {
		return head, nil, fmt.Errorf("%s does not begin with the state of a session", f.Name())
	}
	if head.ownerLives() {
		return head, nil, errLive
	}
	var procs []procID
	for lines.Scan() {
		var p procID
		if json.Unmarshal(lines.Bytes(), &p) == nil && p.Pid > 1 {
			procs = append(procs, p)
		}
	}
	return head, procs, nil
}

// ownerLives reports whether the process that made the session is there, besides
// holding the lock, for file systems that do not keep locks.
func (h stateHeader) ownerLives() bool {
	if h.Boot != bootID() {
		return false
	}
	start, ok := startOf(h.Owner.Pid)
	return ok && start == h.Owner.Start
}

// Sweep removes the session directories beneath parent whose program has ended
// without closing them, and kills the processes that they left running: those
// that carry the session's mark, and those of its state file that still are the
// ones that were started. Sessions of live programs are left alone. It is meant
// for the start of a worker; a parent that does not exist is swept. What is no
// session's directory is not touched.
func Sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep sessions: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), dirPrefix) {
			continue
		}
		if err := sweepOne(filepath.Join(parent, e.Name())); err != nil {
			errs = append(errs, fmt.Errorf("sweep session %s: %w", e.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func sweepOne(dir string) error {
	head, procs, err := readState(dir)
	if errors.Is(err, errLive) {
		return nil
	}
	if err != nil {
		return sweepUnborn(dir)
	}
	var killErr error
	if head.Boot == bootID() {
		killErr = killLeft(head.Session, procs)
	}
	return errors.Join(killErr, removeTree(dir))
}

// sweepUnborn removes a directory that holds nothing but the beginnings of a
// session. Anything else that merely bears such a name is somebody else's.
func sweepUnborn(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || time.Since(info.ModTime()) < youngDir {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 1 || len(entries) == 1 && entries[0].Name() != stateName {
		return nil
	}
	return removeTree(dir)
}

// killLeft kills what a session of another program has left running.
func killLeft(id string, procs []procID) error {
	g, err := newGroup(sessionVar+"="+id, nil)
	if err != nil {
		return err
	}
	defer g.close()
	for _, p := range procs {
		g.adopt(p)
	}
	return g.kill()
}

// removeTree removes dir, also where its owner took away his own permissions.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the session's directory: %w", err)
	}
	return nil
}
