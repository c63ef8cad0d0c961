package rayserver_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"drover.farm/e2e/harness"
)

// TestDaemonMode is the simplest case of the manual: no option, one line, the
// prompt returns, and ps shows the server.
func TestDaemonMode(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-d"}} {
		in := newInstall(t)
		code, out, errOut := in.run(nil, append(args, "--port", "0")...)
		if code != 0 || errOut != "" || !regexp.MustCompile(`^Rayserver \d+ switching to daemon mode\.\n$`).MatchString(out) {
			t.Fatalf("%q: exit %d, printed %q and %q", args, code, out, errOut)
		}
		pid := in.daemon(out)
		harness.Until(t, "the daemon runs", harness.Patience, func() bool {
			return strings.Contains(in.log(), fmt.Sprintf("Rayserver %d running.", pid))
		})
		ps, err := exec.Command("ps", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
		if want := "rfcore -O " + in.path("server/start.pyo"); err != nil || strings.TrimSpace(string(ps)) != want {
			t.Errorf("ps shows %q (%v), want %q", ps, err, want)
		}
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if fields[3] != strconv.Itoa(pid) || fields[4] != "0" {
			t.Errorf("session %s and terminal %s of the daemon %d: it must be apart from the shell", fields[3], fields[4], pid)
		}
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		harness.Until(t, "the daemon ends", harness.Patience, func() bool { return !alive(pid) })
		if !strings.Contains(in.log(), "*System Exit* (caught signal 15)") {
			t.Errorf("the log lacks its end:\n%s", in.log())
		}
	}
}

func TestForeground(t *testing.T) {
	t.Parallel()
	in := newInstall(t)
	s := in.foreground()
	want := fmt.Sprintf(`^render_server: adding channel <render_server  at [0-9a-f]+>
render_server: Async Rayfront Server started on port \d+

Rayserver %d running\.
$`, s.Process.Pid)
	if !regexp.MustCompile(want).MatchString(s.out.String()) {
		t.Errorf("it printed %q, want %q", s.out.String(), want)
	}
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.Process.Pid))
	if want := "rfcore\x00-O\x00" + in.path("server/start.pyo") + "\x00"; string(cmdline) != want {
		t.Errorf("its command line is %q, want %q", cmdline, want)
	}
	s.Process.Signal(os.Interrupt)
	if code := s.ends(); code != 0 || !strings.HasSuffix(s.out.String(), "\n*User Interrupt*\n") {
		t.Errorf("CTRL-C: exit %d, printed %q", code, s.out.String())
	}
	for line := range strings.Lines(s.out.String()) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(in.log(), line) {
			t.Errorf("the log lacks %q", line)
		}
	}
}

func TestDefaultPort(t *testing.T) {
	t.Parallel()
	_, out, _ := newInstall(t).run(nil, "--help")
	for _, want := range []string{"[-f | -d] [-u user] [-g group] [-m mask]", "(default 002)", "--home", "--hosts", "--port", "9182", "--listen", "--allow", "--insecure", "--retry-interval", "30s"} {
		if !strings.Contains(out, want) {
			t.Errorf("--help lacks %q:\n%s", want, out)
		}
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM} {
		s := newInstall(t).foreground()
		s.Process.Signal(sig)
		want := fmt.Sprintf("*System Exit* (caught signal %d)\n", int(sig))
		if code := s.ends(); code != 0 || !strings.HasSuffix(s.out.String(), want) {
			t.Errorf("%s: exit %d, printed %q, want %q", sig, code, s.out.String(), want)
		}
	}
}

func TestUmask(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want os.FileMode
	}{{nil, 0o664}, {[]string{"-m", "022"}, 0o644}, {[]string{"-m", "077"}, 0o600}} {
		in := newInstall(t)
		in.foreground(c.args...)
		info, err := os.Stat(in.path("srvlogs/" + hostname(t)))
		if err != nil || info.Mode().Perm() != c.want {
			t.Errorf("%q: the log has mode %v (%v), want %v", c.args, info.Mode().Perm(), err, c.want)
		}
	}
}

// TestArgumentErrors is the manual's list; what each text belongs to in detail is
// tested beside the parser.
func TestArgumentErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-u", "a", "-u", "b"}, "Duplicate user name argument."},
		{[]string{"-g", "a", "-g", "b"}, "Duplicate group name argument."},
		{[]string{"-m", "022", "-m", "022"}, "Duplicate umask argument."},
		{[]string{"-f", "-d"}, "-d and -f options are mutually exclusive."},
		{[]string{"-d", "-f"}, "-f and -d options are mutually exclusive."},
		{[]string{"-q"}, `Unknown option "-q".`},
		{[]string{"--quick"}, `Unknown option "--quick".`},
		{[]string{"-u"}, `Missing user after "-u".`},
		{[]string{"-g"}, `Missing group after "-g".`},
		{[]string{"-m"}, `Missing umask after "-m".`},
		{[]string{"-m", "8aa"}, "umask must be three digits between 0 and 7."},
		{[]string{"-u", "no-such-user"}, `User name "no-such-user" not found.`},
		{[]string{"-u", "3999999"}, `User ID "3999999" not found.`},
		{[]string{"-g", "no-such-group"}, `group name "no-such-group" not found.`},
		{[]string{"-g", "3999999"}, `group ID "3999999" not found.`},
		{[]string{"--insecure"}, "--insecure needs --allow CIDR: without keys, everyone who is let in can run simulations."},
	} {
		in := newInstall(t)
		code, out, errOut := in.run(nil, c.args...)
		if code != 2 || out != "" || errOut != c.want+"\n" {
			t.Errorf("%q: exit %d, printed %q and %q, want %q", c.args, code, out, errOut, c.want)
		}
		if !strings.Contains(in.log(), c.want) {
			t.Errorf("%q: the log is %q", c.args, in.log())
		}
	}
}

// nobody is a user that tests switch to, with its group.
func nobody(t *testing.T) (*user.User, *user.Group) {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	g, err := user.LookupGroup("nogroup")
	if err != nil {
		t.Fatal(err)
	}
	return u, g
}

// TestSwitchingUserAndGroup needs root; anyone else is told that it cannot be.
func TestSwitchingUserAndGroup(t *testing.T) {
	t.Parallel()
	u, g := nobody(t)
	in := newInstall(t)
	if os.Getuid() != 0 {
		code, _, errOut := in.run(nil, "-u", u.Username)
		if want := fmt.Sprintf("Unable to run as user %q (%s).\n", u.Username, u.Uid); code != 1 || errOut != want {
			t.Errorf("exit %d, printed %q, want %q", code, errOut, want)
		}
		return
	}
	if err := os.Chmod(in.path("srvlogs"), 0o777); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := in.run(nil, "-u", u.Username, "-g", g.Gid, "--port", "0")
	want := fmt.Sprintf("Rayserver running as user %q (%s).\nRayserver running as group %q (%s).\nRayserver ", u.Username, u.Uid, g.Name, g.Gid)
	if code != 0 || errOut != "" || !strings.HasPrefix(out, want) {
		t.Fatalf("exit %d, printed %q and %q, want %q", code, out, errOut, want)
	}
	pid := in.daemon(out)
	harness.Until(t, "the daemon runs", harness.Patience, func() bool { return strings.Contains(in.log(), " running.") })
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Uid:" + strings.Repeat("\t"+u.Uid, 4), "Gid:" + strings.Repeat("\t"+g.Gid, 4)} {
		if !strings.Contains(string(status), line+"\n") { // real, effective, saved: no way back
			t.Errorf("the daemon's status lacks %q:\n%s", line, status)
		}
	}
	groups := regexp.MustCompile(`(?m)^Groups:\s*(.*?)\s*$`).FindStringSubmatch(string(status))
	if ids, err := u.GroupIds(); err != nil || len(strings.Fields(groups[1])) != len(ids) {
		t.Errorf("the daemon is in the groups %q, the user in %q", groups[1], ids)
	}
	info, err := os.Stat(in.path("srvlogs/" + hostname(t)))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); strconv.Itoa(int(owner.Uid)) != u.Uid {
		t.Errorf("the log belongs to %d", owner.Uid)
	}
}

// asNobody runs a command without privileges.
func asNobody(t *testing.T) func(*exec.Cmd) {
	u, _ := nobody(t)
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return func(c *exec.Cmd) {
		c.Dir = "/"
		if os.Getuid() == 0 {
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		}
	}
}

func TestSwitchingWithoutPrivileges(t *testing.T) {
	t.Parallel()
	for option, want := range map[string]string{
		"-u": `Unable to run as user "root" (0).`, "-g": `Unable to run as group "root" (0).`,
	} {
		in := newInstall(t)
		code, out, errOut := in.run(asNobody(t), option, "root")
		if code != 1 || out != "" || errOut != want+"\n" {
			t.Errorf("%s root: exit %d, printed %q and %q, want %q", option, code, out, errOut, want)
		}
	}
}

// TestLogThatCannotBeWritten: the daemon dies without a word, the foreground
// server says so and goes on.
func TestLogThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	in := newInstall(t)
	if os.Getuid() != 0 {
		if err := os.Chmod(in.path("srvlogs"), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errOut := in.run(asNobody(t), "--port", "0")
	pid := in.daemon(out)
	if code != 0 || errOut != "" {
		t.Errorf("exit %d, printed %q", code, errOut)
	}
	harness.Until(t, "the daemon ends", harness.Patience, func() bool { return !alive(pid) })
	if log := in.log(); log != "" {
		t.Errorf("the log has %q", log)
	}
	s := in.start(asNobody(t), "-f", "--port", "0")
	s.says(`write the log: .*permission denied`)
	s.says(`Rayserver \d+ running`)
}

func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	in := newInstall(t)
	code, out, _ := in.run(nil, "-f", "--port", port, "--retry-interval", "20ms")
	once := "Socket Error: (98, 'Address already in use')\n"
	again := once + "retrying in 0.02 secs...\n"
	if want := again + again + once + "*System Exit*\n"; code != 1 || out != want {
		t.Errorf("exit %d, printed %q, want %q", code, out, want)
	}
	if n := strings.Count(in.log(), "Address already in use"); n != 3 {
		t.Errorf("the log has the error %d times:\n%s", n, in.log())
	}

	s := in.start(nil, "-f", "--port", port, "--retry-interval", "1m")
	s.says(`retrying in 60 secs\.\.\.`)
	s.Process.Signal(os.Interrupt)
	if code := s.ends(); code != 0 {
		t.Errorf("CTRL-C during the pause: exit %d", code)
	}

	s = in.start(nil, "-f", "--port", port, "--retry-interval", "1s")
	s.says(`retrying in 1 secs\.\.\.`)
	taken.Close()
	s.says(`Rayserver \d+ running`)
}

func TestHostsFileIsRequired(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "has no record in the hosts file",
		"elsewhere 4\n":                "has no record in the hosts file",
		hostname(t) + " 0\n":           "is no server: its record in",
		hostname(t) + " 1 p=relative/": "does not begin at the root",
	} {
		in := newInstall(t)
		in.write("config/hosts", text)
		if code, out, errOut := in.run(nil); code != 1 || out != "" || !strings.HasPrefix(errOut, "Rayserver refuses to run: ") || !strings.Contains(errOut, want) {
			t.Errorf("%q: exit %d, printed %q and %q, want %q", text, code, out, errOut, want)
		}
	}
	in := newInstall(t)
	os.Remove(in.path("config/hosts"))
	if code, _, errOut := in.run(nil); code != 1 || !strings.Contains(errOut, "no such file") || !strings.Contains(in.log(), "no such file") {
		t.Errorf("no hosts file: exit %d, printed %q, logged %q", code, errOut, in.log())
	}
	in.write("other", hostname(t)+" 1\n")
	in.foreground("--hosts", in.path("other"))
}

// TestSystemd is a unit of Type=notify with -f.
func TestSystemd(t *testing.T) {
	t.Parallel()
	in := newInstall(t)
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	s := in.start(func(c *exec.Cmd) { c.Env = append(c.Env, "NOTIFY_SOCKET="+path) }, "-f", "--port", "0")
	buf := make([]byte, 100)
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		n, err := socket.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("systemd is told %q (%v), want %q", buf[:n], err, want)
		}
		s.Process.Signal(syscall.SIGTERM)
	}
	if code := s.ends(); code != 0 {
		t.Errorf("exit %d", code)
	}
}
