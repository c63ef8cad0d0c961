//go:build unix

// Standin plays Radiance's programs for tests, by the name that it is called by.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

var progname = filepath.Base(os.Args[0])

func main() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() { <-term; die(3, "signal - Terminate") }()
	do := map[string]func([]string){"oconv": oconv, "rpict": rpict, "rtrace": rtrace, "mkillum": mkillum, "pfilt": pfilt, "pcompos": pcompos, "rad": rad}[progname]
	if do == nil {
		die(1, "fatal - the stand-in does not play this")
	}
	do(os.Args[1:])
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, progname+": "+format+"\n", args...)
}

func die(code int, format string, args ...any) {
	say(format, args...)
	os.Exit(code)
}

// reason is what the system says of an error, as C has it.
func reason(err error) string {
	var no syscall.Errno
	if errors.As(err, &no) {
		text := no.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// words are the arguments of options.
var words = map[string]int{
	"-vp": 3, "-vd": 3, "-vu": 3, "-av": 3, "-me": 3, "-ma": 3, "-b": 3,
	"-vh": 1, "-vv": 1, "-vs": 1, "-vl": 1, "-vo": 1, "-va": 1, "-vf": 1, "-x": 1, "-y": 1, "-pa": 1, "-pj": 1, "-ps": 1, "-pt": 1, "-pd": 1, "-pm": 1,
	"-ab": 1, "-aa": 1, "-ar": 1, "-ad": 1, "-as": 1, "-aw": 1, "-af": 1, "-dj": 1, "-dt": 1, "-dc": 1, "-dr": 1, "-dp": 1, "-ds": 1, "-ss": 1, "-st": 1,
	"-lr": 1, "-lw": 1, "-ms": 1, "-mg": 1, "-t": 1, "-e": 1, "-o": 1, "-ro": 1, "-n": 1, "-r": 1, "-m": 1, "-v": 1,
	"-1": 0, "-h": 0, "-f": 0, "-w": 0, "-vtv": 0, "-vtl": 0, "-u": 0, "-u-": 0, "-u+": 0, "-I": 0, "-I+": 0, "-i": 0, "-version": 0,
}

// options reads a command line; the last of equal options counts.
func options(args []string) (opts map[string][]string, rest []string) {
	opts = map[string][]string{}
	for len(args) > 0 {
		a := args[0]
		n, ok := words[a]
		if !strings.HasPrefix(a, "-") {
			return opts, args
		}
		if !ok || len(args) <= n {
			die(1, "fatal - command line error at '%s'", a)
		}
		opts[a] = args[1 : 1+n]
		args = args[1+n:]
	}
	return opts, nil
}

// library fails as Radiance does when RAYPATH does not lead to its library.
func library() {
	for _, dir := range filepath.SplitList(os.Getenv("RAYPATH")) {
		if _, err := os.Stat(filepath.Join(dir, "rayinit.cal")); err == nil {
			return
		}
	}
	die(2, `system - cannot find function file "rayinit.cal"`)
}

// flush writes what is in a writer, or dies as a full disk makes Radiance die.
func flush(w *bufio.Writer, what string) {
	if err := w.Flush(); err != nil {
		die(2, "system - %s: %s", what, reason(err))
	}
}
