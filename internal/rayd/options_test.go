package rayd

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// noLong takes no long options.
func noLong(args []string) (int, error) { return 0, errors.New("long " + args[0]) }

func TestParseOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want Options
		mask int
	}{
		{nil, Options{}, 0o002},
		{[]string{"-d"}, Options{}, 0o002},
		{[]string{"-f"}, Options{Foreground: true}, 0o002},
		{[]string{"-f", "-f"}, Options{Foreground: true}, 0o002},
		{[]string{"-u", "ray", "-g", "100", "-m", "027"}, Options{User: "ray", Group: "100", Umask: "027"}, 0o027},
		{[]string{"-f", "--help"}, Options{Foreground: true, Help: true}, 0o002},
	} {
		got, err := ParseOptions(c.args, "linux", noLong)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.args, d)
		}
		if got.umask() != c.mask {
			t.Errorf("%q: umask %o", c.args, got.umask())
		}
	}
}

// TestRefusals is every argument error of the manual.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const mask = "umask must be three digits between 0 and 7."
	for _, c := range []struct {
		args []string
		goos string
		want string
	}{
		{[]string{"-u", "a", "-u", "a"}, "linux", "Duplicate user name argument."},
		{[]string{"-g", "a", "-g", "b"}, "linux", "Duplicate group name argument."},
		{[]string{"-m", "002", "-m", "002"}, "linux", "Duplicate umask argument."},
		{[]string{"-f", "-d"}, "linux", "-d and -f options are mutually exclusive."},
		{[]string{"-d", "-f"}, "linux", "-f and -d options are mutually exclusive."},
		{[]string{"-x"}, "linux", `Unknown option "-x".`},
		{[]string{"-fd"}, "linux", `Unknown option "-fd".`},
		{[]string{"now"}, "linux", `Unknown option "now".`},
		{[]string{"--"}, "linux", `Unknown option "--".`},
		{[]string{""}, "linux", `Unknown option "".`},
		{[]string{"-u"}, "linux", `Missing user after "-u".`},
		{[]string{"-u", "-g", "x"}, "linux", `Missing user after "-u".`},
		{[]string{"-f", "-g"}, "linux", `Missing group after "-g".`},
		{[]string{"-m"}, "linux", `Missing umask after "-m".`},
		{[]string{"-m", ""}, "linux", `Missing umask after "-m".`},
		{[]string{"-m", "8aa"}, "linux", mask},
		{[]string{"-m", "02"}, "linux", mask},
		{[]string{"-m", "0022"}, "linux", mask},
		{[]string{"-x", "-u"}, "linux", `Unknown option "-x".`},
		{[]string{"--what"}, "linux", "long --what"},
		{[]string{"-d"}, "windows", string(notHere)},
		{[]string{"-u", "ray"}, "windows", string(notHere)},
		{[]string{"-g", "ray"}, "windows", string(notHere)},
		{[]string{"-m", "002"}, "windows", string(notHere)},
	} {
		_, err := ParseOptions(c.args, c.goos, noLong)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q on %s: %v, want %s", c.args, c.goos, err, c.want)
		}
	}
	if got, err := ParseOptions(nil, "windows", noLong); err != nil || !got.Foreground {
		t.Errorf("Windows without options: %+v, %v; it runs in the foreground there", got, err)
	}
}
