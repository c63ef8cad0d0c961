package rayd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Bounds of a hosts file with all that it includes.
const (
	maxHostsLine  = 64 << 10
	maxHostsBytes = 1 << 20
	maxHostsFiles = 64
	maxCPUs       = 1 << 16
)

// Host is one record of a hosts file.
type Host struct {
	Name string
	// CPUs is how many simulations the host runs at once. A host with 0 is no
	// server; the manual's own way of declaring servers is not known.
	CPUs int
	// Locations are the host's local paths by the name that all hosts share.
	Locations map[string]string

	at string // file:line, for messages
}

// Hosts is a hosts file that is read anew when a location is not known. Safe for
// concurrent use.
type Hosts struct {
	file, self string

	mu   sync.Mutex
	host Host
}

// OpenHosts reads the hosts file and finds the record of this host, whose name
// is self, with or without its domain. It is an error if there is no such file,
// no such record, or if the record gives it no CPUs: such a host is no server.
func OpenHosts(file, self string) (*Hosts, error) {
	h := &Hosts{file: file, self: self}
	return h, h.reload()
}

func (h *Hosts) reload() error {
	hosts, err := ReadHosts(h.file)
	if err != nil {
		return err
	}
	host, ok := find(hosts, h.self)
	switch {
	case !ok:
		//lint:ignore ST1005 a message of its own, as the manual writes them
		return fmt.Errorf("Host %q has no record in the hosts file %q.", h.self, h.file)
	case host.CPUs == 0:
		//lint:ignore ST1005 likewise
		return fmt.Errorf("Host %q is no server: its record in %s has 0 CPUs.", h.self, host.at)
	}
	h.mu.Lock()
	h.host = host
	h.mu.Unlock()
	return nil
}

// CPUs is how many simulations this host runs at once.
func (h *Hosts) CPUs() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.host.CPUs
}

// Locate returns the local path of a location. For a name that it does not know
// it reads the file again, once (manual, "Host configuration"). ok is false if
// the name is still not known; err says if the file could not be read.
func (h *Hosts) Locate(name string) (dir string, ok bool, err error) {
	if dir, ok = h.look(name); ok {
		return dir, true, nil
	}
	if err = h.reload(); err == nil {
		dir, ok = h.look(name)
	}
	return dir, ok, err
}

func (h *Hosts) look(name string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dir, ok := h.host.Locations[name]
	return dir, ok
}

// find returns the record of a host; a short name also stands for a full one.
func find(hosts []Host, self string) (Host, bool) {
	short, _, _ := strings.Cut(self, ".")
	for _, name := range []string{self, short} {
		for _, h := range hosts {
			if strings.EqualFold(h.Name, name) {
				return h, true
			}
		}
	}
	for _, h := range hosts {
		if first, _, _ := strings.Cut(h.Name, "."); strings.EqualFold(first, short) && !strings.Contains(self, ".") {
			return h, true
		}
	}
	return Host{}, false
}

// ReadHosts reads all records of a hosts file and of those it includes. A line
// is empty, a comment (#), a record
//
//	HOSTNAME CPUS [LOCATION="LOCAL PATH" ...]
//
// or one of
//
//	__include__ HOSTFILE     (relative to the folder of this file)
//	__library__ PATH         (of Rayfront's own; not used here)
//
// A backslash at its end continues a line. Errors name file and line.
func ReadHosts(file string) ([]Host, error) {
	r := &hostsReader{left: maxHostsBytes, seen: map[string]bool{}}
	if err := r.file(file); err != nil {
		return nil, err
	}
	return r.hosts, nil
}

type hostsReader struct {
	hosts []Host
	left  int64
	seen  map[string]bool // files, so that none is read twice
}

func (r *hostsReader) file(path string) error {
	path = filepath.Clean(path)
	if r.seen[path] {
		return nil
	}
	if r.seen[path] = true; len(r.seen) > maxHostsFiles {
		return fmt.Errorf("the hosts file includes more than %d files", maxHostsFiles)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the hosts file: %w", err)
	}
	defer f.Close()
	limited := &io.LimitedReader{R: f, N: r.left + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxHostsLine)
	text, first := "", 0
	for n := 1; lines.Scan(); n++ {
		if text == "" {
			first = n
		}
		line, more := strings.CutSuffix(strings.TrimRight(lines.Text(), " \t\r"), `\`)
		if text += line; more {
			text += " "
			continue
		}
		if err := r.line(path, first, text); err != nil {
			return fmt.Errorf("%s:%d: %w", path, first, err)
		}
		text = ""
	}
	if r.left = limited.N - 1; r.left < 0 {
		return fmt.Errorf("the hosts file is larger than %d bytes", maxHostsBytes)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the hosts file %s: %w", path, err)
	}
	if strings.TrimSpace(text) != "" {
		return fmt.Errorf("%s:%d: the file ends within a line that a backslash continues", path, first)
	}
	return nil
}

func (r *hostsReader) line(path string, n int, text string) error {
	words, err := hostWords(text)
	if err != nil || len(words) == 0 {
		return err
	}
	switch words[0] {
	case "__include__":
		if len(words) != 2 {
			return fmt.Errorf("__include__ takes one file")
		}
		file := words[1]
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), file)
		}
		return r.file(file)
	case "__library__":
		return nil
	}
	h := Host{Name: words[0], Locations: map[string]string{}, at: fmt.Sprintf("%s:%d", path, n)}
	for _, other := range r.hosts {
		if strings.EqualFold(other.Name, h.Name) {
			return fmt.Errorf("the host %s has a record already, at %s", h.Name, other.at)
		}
	}
	if len(words) < 2 {
		return fmt.Errorf("the record of %s lacks its number of CPUs", h.Name)
	}
	if h.CPUs, err = strconv.Atoi(words[1]); err != nil || h.CPUs < 0 || h.CPUs > maxCPUs {
		return fmt.Errorf("the number of CPUs of %s is %q, not a number from 0 to %d", h.Name, words[1], maxCPUs)
	}
	for _, w := range words[2:] {
		if err := h.location(w); err != nil {
			return err
		}
	}
	r.hosts = append(r.hosts, h)
	return nil
}

func (h *Host) location(word string) error {
	name, dir, ok := strings.Cut(word, "=")
	switch _, twice := h.Locations[name]; {
	case !ok || name == "" || dir == "":
		return fmt.Errorf(`%q is not LOCATION="LOCAL PATH"`, word)
	case !filepath.IsAbs(dir):
		return fmt.Errorf("the local path %q of the location %q does not begin at the root", dir, name)
	case twice:
		return fmt.Errorf("the location %q is there twice", name)
	}
	h.Locations[name] = filepath.Clean(dir)
	return nil
}

// hostWords splits a line at blanks outside of double quotes, which it removes,
// and drops what follows a # outside of them.
func hostWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	quoted, within := false, false
	for _, c := range text {
		switch {
		case c == '"':
			quoted, within = !quoted, true
		case !quoted && c == '#' && !within:
			return words, nil
		case !quoted && (c == ' ' || c == '\t'):
			if within {
				words, within = append(words, word.String()), false
				word.Reset()
			}
		default:
			word.WriteRune(c)
			within = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quotation mark has no second one")
	}
	if within {
		words = append(words, word.String())
	}
	return words, nil
}
