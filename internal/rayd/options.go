package rayd

import (
	"fmt"
	"strings"
)

// Options are the options that the manual has. An empty text is an option that
// was not given.
type Options struct {
	Foreground bool
	User       string // name or number
	Group      string // name or number
	Umask      string // three octal digits
	Help       bool
}

// DefaultUmask lets user and group write, and others read (manual, "-m mask").
const DefaultUmask = "002"

// UsageError is a command line that is refused. Its text is the manual's.
type UsageError string

// Error returns the text.
func (e UsageError) Error() string { return string(e) }

const notHere = UsageError("Daemon mode and user/group switching not available on this platform.")

// parser reads a command line from left to right; the first fault counts.
type parser struct {
	opts       Options
	mode       string // -f or -d, "" before either
	long       func(args []string) (used int, err error)
	restricted bool // a platform without daemon mode, users and groups
}

// ParseOptions reads the arguments after the program's name. What begins with
// two dashes is left to long, which gets the arguments from there on and says
// how many are its own. On a system that is not one of unix (goos as Go names
// it) there is no daemon mode and no switching, and the server runs in the
// foreground. Errors are UsageErrors, or those of long.
func ParseOptions(args []string, goos string, long func(args []string) (used int, err error)) (Options, error) {
	p := parser{long: long, restricted: goos == "windows" || goos == "plan9" || goos == "js" || goos == "wasip1"}
	for len(args) > 0 {
		n, err := p.one(args)
		if err != nil {
			return Options{}, err
		}
		args = args[n:]
	}
	p.opts.Foreground = p.mode == "-f" || p.restricted
	return p.opts, nil
}

// one reads the first of args and says how many it took.
func (p *parser) one(args []string) (int, error) {
	switch arg := args[0]; {
	case arg == "-f" || arg == "-d":
		return 1, p.setMode(arg)
	case arg == "-u":
		return 2, p.setText(&p.opts.User, "user", "user name", args)
	case arg == "-g":
		return 2, p.setText(&p.opts.Group, "group", "group name", args)
	case arg == "-m":
		if err := p.setText(&p.opts.Umask, "umask", "umask", args); err != nil {
			return 0, err
		}
		return 2, checkUmask(p.opts.Umask)
	case arg == "--help":
		p.opts.Help = true
		return 1, nil
	case strings.HasPrefix(arg, "--") && len(arg) > 2:
		return p.long(args)
	default:
		return 0, unknownOption(arg)
	}
}

func unknownOption(arg string) error { return UsageError(fmt.Sprintf("Unknown option %q.", arg)) }

// setMode takes -f or -d. The manual has two wordings and does not say which
// belongs to which order; here the option that is one too many comes first.
func (p *parser) setMode(arg string) error {
	switch {
	case p.restricted && arg == "-d":
		return notHere
	case p.mode != "" && p.mode != arg:
		return UsageError(fmt.Sprintf("%s and %s options are mutually exclusive.", arg, p.mode))
	}
	p.mode = arg
	return nil
}

// setText takes the value of an option that may be given once. No user, group
// or mask begins with a dash, so an option in its place is a missing value.
func (p *parser) setText(to *string, what, long string, args []string) error {
	switch {
	case p.restricted:
		return notHere
	case *to != "":
		return UsageError(fmt.Sprintf("Duplicate %s argument.", long))
	case len(args) < 2 || args[1] == "" || args[1][0] == '-':
		return UsageError(fmt.Sprintf("Missing %s after %q.", what, args[0]))
	}
	*to = args[1]
	return nil
}

func checkUmask(text string) error {
	ok := len(text) == 3
	for _, c := range []byte(text) {
		ok = ok && c >= '0' && c <= '7'
	}
	if !ok {
		return UsageError("umask must be three digits between 0 and 7.")
	}
	return nil
}

// umask is the mask as a number.
func (o Options) umask() int {
	text, mask := o.Umask, 0
	if text == "" {
		text = DefaultUmask
	}
	for _, c := range []byte(text) {
		mask = mask<<3 | int(c-'0')
	}
	return mask
}

// ApplyUmask gives the process the mask for the files that it makes.
func (o Options) ApplyUmask() { setUmask(o.umask()) }
