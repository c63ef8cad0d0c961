//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// octree is what the stand-in keeps behind an octree's header.
type octree struct {
	Frozen bool
	Files  []sceneFile
	Hold   string // a file that pictures wait for
	Bad    string // what is wrong with a material, which only rendering finds
}

type sceneFile struct {
	Name  string
	Count int
}

func oconv(args []string) {
	opts, files := options(args)
	o := octree{}
	_, o.Frozen = opts["-f"]
	defined := map[string]bool{"void": true}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			die(2, "system - cannot open scene file %q: %s", name, reason(err))
		}
		n := o.scene(name, string(text), defined)
		o.Files = append(o.Files, sceneFile{name, n})
	}
	w := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(w, "#?RADIANCE\noconv %s\nFORMAT=Radiance_octree\n\n", strings.Join(args, " "))
	data, _ := json.Marshal(o)
	w.Write(data)
	flush(w, "write error")
}

// scene reads a scene and counts its objects.
func (o *octree) scene(name, text string, defined map[string]bool) int {
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if hold, ok := strings.CutPrefix(line, "# stand-in: hold "); ok {
			o.Hold = hold
		}
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "!"):
			words = append(words, o.command(line)...)
		default:
			words = append(words, strings.Fields(line)...)
		}
	}
	n := 0
	for len(words) >= 3 {
		mod, kind, id := words[0], words[1], words[2]
		if !defined[mod] {
			die(1, "fatal - (%s): undefined modifier %q", name, mod)
		}
		words = words[3:]
		counts := [3]int{}
		for i := range 3 {
			if len(words) == 0 {
				die(1, "fatal - (%s): bad arguments for %s %q", name, kind, id)
			}
			counts[i], _ = strconv.Atoi(words[0])
			if len(words) < 1+counts[i] {
				die(1, "fatal - (%s): bad arguments for %s %q", name, kind, id)
			}
			words = words[1+counts[i]:]
		}
		if kind == "plastic" && counts[2] != 5 {
			o.Bad = fmt.Sprintf("bad number of arguments for %s %q", kind, id)
		}
		defined[id] = true
		n++
	}
	return n
}

// command runs a scene's command; that it fails is no error of oconv's.
func (o *octree) command(line string) []string {
	cmd := exec.Command("sh", "-c", line[1:])
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		say("warning - bad status from %q", line)
	}
	if len(bytes.TrimSpace(out)) == 0 {
		say("warning - (%s): empty file", line)
	}
	return strings.Fields(string(out))
}

// load reads an octree, and its scene if it does not hold it.
func load(name string) octree {
	f, err := os.Open(name)
	if err != nil {
		die(2, "system - cannot open octree file %q: %s", name, reason(err))
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	head, body, ok := strings.Cut(string(text), "\n\n")
	var o octree
	if !ok || !strings.Contains(head, "FORMAT=Radiance_octree") {
		die(1, "fatal - (%s): incompatible octree format", name)
	}
	if json.Unmarshal([]byte(body), &o) != nil {
		die(1, "fatal - (%s): truncated octree", name)
	}
	if !o.Frozen {
		defined := map[string]bool{"void": true}
		for _, s := range o.Files {
			text, err := os.ReadFile(s.Name)
			if err != nil {
				die(2, "system - cannot open scene file %q: %s", s.Name, reason(err))
			}
			if (&octree{}).scene(s.Name, string(text), defined) != s.Count {
				die(1, "fatal - (%s): bad object count; octree stale?", name)
			}
		}
	}
	library()
	if o.Bad != "" {
		die(1, "fatal - %s", o.Bad)
	}
	return o
}

func mkillum(args []string) {
	_, rest := options(args)
	if len(rest) != 1 {
		die(1, "fatal - missing octree")
	}
	load(rest[0])
	text, _ := io.ReadAll(os.Stdin)
	w := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(w, "# mkillum %s\n%s", rest[0], text)
	flush(w, "write error")
}
