package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// envSpec tells this program, started anew, that it is the inside of a sandbox.
const envSpec = "DROVER_SANDBOX_INSIDE"

// Bounds of what a program in a sandbox may use.
const (
	maxMemory   = 8 << 30
	maxFileSize = 32 << 30
)

// systemFolders are what every program may read.
var systemFolders = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/etc/ld.so.cache"}

// Run runs a program to its end and returns what it printed. It fails when the
// program does, with the end of what it printed.
func Run(ctx context.Context, s Spec) ([]byte, error) {
	if s.Time <= 0 {
		s.Time = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, s.Time)
	defer cancel()
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp("", "drover-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the sandbox: %w", err)
	}
	defer os.Remove(root)
	out := &limited{}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = []string{envSpec + "=" + string(text), "DROVER_SANDBOX_ROOT=" + root}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// The first process of a PID namespace takes all others with it.
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
		Setpgid:     true,
	}
	err = cmd.Run()
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("it took longer than %v", s.Time)
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC):
		return nil, fmt.Errorf("%w: user namespaces are not allowed (%w)", ErrUnsupported, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %s", err, tail(out.buf.Bytes()))
	}
	return out.buf.Bytes(), nil
}

func tail(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) > 500 {
		b = b[len(b)-500:]
	}
	return strings.ToValidUTF8(string(b), "?")
}

// Inside must be called first thing by every program that calls Run: in the
// process that Run starts it closes the sandbox, becomes the program and does not
// return.
func Inside() {
	text, inside := os.LookupEnv(envSpec)
	if !inside {
		return
	}
	var s Spec
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = enter(os.Getenv("DROVER_SANDBOX_ROOT"), &s)
	}
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	os.Exit(125)
}

// enter builds the file system that the program sees, gives up all rights and
// becomes the program.
func enter(root string, s *Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part from the system's mounts: %w", err)
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=64m,mode=755"); err != nil {
		return fmt.Errorf("mount a root: %w", err)
	}
	for _, p := range append(append(append([]string{}, systemFolders...), s.Read...), s.Program) {
		if err := bind(root, p, false); err != nil {
			return err
		}
	}
	for _, p := range []string{"/dev/null", "/dev/zero", "/dev/urandom"} {
		if err := bind(root, p, true); err != nil {
			return err
		}
	}
	if s.Write != "" {
		if err := bind(root, s.Write, true); err != nil {
			return err
		}
	}
	for _, dir := range []string{"proc", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			return err
		}
	}
	// Where an outer sandbox hides parts of /proc the kernel refuses a new one;
	// programs get along without.
	_ = unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err := change(root); err != nil {
		return err
	}
	if err := giveUp(); err != nil {
		return err
	}
	env := []string{"PATH=/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"}
	return unix.Exec(s.Program, append([]string{s.Program}, s.Args...), env)
}

// bind shows a file or folder of the system at the same path below root; one that
// does not exist is left out.
func bind(root, p string, write bool) error {
	st, err := os.Stat(p)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	to := filepath.Join(root, p)
	if _, err := os.Lstat(to); err == nil && !write {
		return nil // it lies in a folder that is shown
	}
	if st.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
		err = os.WriteFile(to, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(p, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", p, err)
	}
	if write {
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(to, &fs); err != nil {
		return err
	}
	// Flags that the file system has cannot be taken away in a user namespace.
	keep := uintptr(fs.Flags) & (unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME | unix.ST_NODIRATIME | unix.ST_RELATIME)
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|keep, ""); err != nil {
		return fmt.Errorf("protect %s: %w", p, err)
	}
	return nil
}

// change makes root the only file system that there is.
func change(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Chdir("/tmp")
}

// giveUp bounds what the program may use and takes all rights away for good.
func giveUp() error {
	for _, l := range []struct {
		what int
		max  uint64
	}{{unix.RLIMIT_AS, maxMemory}, {unix.RLIMIT_FSIZE, maxFileSize}, {unix.RLIMIT_CORE, 0}} {
		var old unix.Rlimit
		if err := unix.Getrlimit(l.what, &old); err != nil {
			return err
		}
		most := min(l.max, old.Max)
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("bound the program: %w", err)
		}
	}
	for c := range unix.CAP_LAST_CAP + 1 {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("give up rights: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up rights: %w", err)
	}
	return nil
}
