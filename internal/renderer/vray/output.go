package vray

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"drover.farm/internal/renderer"
)

// The lines of V-Ray Standalone that tell how far a frame is; colours and line
// ends within a line are turned off by the command line.
var (
	startRE    = regexp.MustCompile(`Starting frame ([0-9]+)`)
	progressRE = regexp.MustCompile(`Rendering image.*:[ ]+([0-9]+(?:\.[0-9]+)?)%`)
	doneRE     = regexp.MustCompile(`Rendering image.*: done|Frame took|Closing log`)
	errorRE    = regexp.MustCompile(`(?i)\berror: *(.*)`)
	workerRE   = regexp.MustCompile(`(?i)licen[cs]e|cannot open shared object|error while loading shared libraries|out of memory|no space left|not enough memory|CUDA|OptiX`)
)

// watcher passes V-Ray's output on, without what is not to be shown, and tells
// the session of progress.
type watcher struct {
	out    io.Writer
	hide   *strings.Replacer
	rest   []byte
	done   bool
	errors []string
	shown  float64
}

const (
	maxOutputLine = 8 << 10
	maxErrors     = 20
)

// Write implements io.Writer; it never fails.
func (w *watcher) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		at := strings.IndexAny(string(w.rest), "\r\n")
		if at < 0 && len(w.rest) < maxOutputLine {
			return len(p), nil
		}
		if at < 0 {
			at = len(w.rest) - 1
		}
		w.line(strings.TrimSpace(string(w.rest[:at])))
		w.rest = w.rest[at+1:]
	}
}

// end takes the last line.
func (w *watcher) end() {
	w.line(strings.TrimSpace(string(w.rest)))
	w.rest = nil
}

func (w *watcher) line(s string) {
	if s == "" {
		return
	}
	s = w.hide.Replace(s)
	// What V-Ray prints is no order to the session.
	fmt.Fprintln(w.out, strings.Replace(s, "openjd_", "openjd-", 1))
	if m := progressRE.FindStringSubmatch(s); m != nil {
		if v, err := strconv.ParseFloat(m[1], 64); err == nil && v >= w.shown+0.5 && v <= 100 {
			w.shown = v
			fmt.Fprintf(w.out, "openjd_progress: %g\n", v)
		}
	}
	if m := startRE.FindStringSubmatch(s); m != nil {
		fmt.Fprintf(w.out, "openjd_status: rendering frame %s\n", m[1])
	}
	w.done = w.done || doneRE.MatchString(s)
	if m := errorRE.FindStringSubmatch(s); m != nil && len(w.errors) < maxErrors {
		w.errors = append(w.errors, strings.TrimSpace(m[1]))
	}
}

// verdict says whether V-Ray failed: err is how its process ended, pictures how
// many it left. It is known to end with 3 when a plug-in that is not needed lacks
// a library; with its picture there and without an error that counts for nothing.
func (w *watcher) verdict(err error, pictures int) error {
	if len(w.errors) == 0 && pictures > 0 && (err == nil || w.done) {
		return nil
	}
	text := strings.Join(w.errors, "; ")
	if text == "" && err != nil {
		text = err.Error()
	}
	if text == "" {
		text = "V-Ray ended without an error but wrote no picture"
	}
	f := &renderer.Fault{Party: renderer.JobFault, Message: "V-Ray: " + text, Err: err}
	if workerRE.MatchString(text) || strings.Contains(text, "signal: ") {
		f.Party = renderer.WorkerFault
	}
	return f
}

// secrets are the values of the environment that lead to licences.
func secrets(env []string) *strings.Replacer {
	var pairs []string
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if (strings.HasPrefix(name, "VRAY_AUTH_") || strings.Contains(name, "LICENSE") || strings.Contains(name, "LICENCE")) && len(value) >= 4 {
			pairs = append(pairs, value, "(hidden)")
		}
	}
	return strings.NewReplacer(pairs...)
}

func environment() []string { return os.Environ() }
