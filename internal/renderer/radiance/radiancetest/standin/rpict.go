//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type vec [3]float64

func (a vec) dot(b vec) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }
func (a vec) cross(b vec) vec {
	return vec{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}
func (a vec) unit() vec {
	l := math.Sqrt(a.dot(a))
	return vec{a[0] / l, a[1] / l, a[2] / l}
}

func numbers(opts map[string][]string, name string, def ...float64) []float64 {
	list, ok := opts[name]
	if !ok {
		return def
	}
	var out []float64
	for _, w := range list {
		x, err := strconv.ParseFloat(w, 64)
		if err != nil {
			die(1, "fatal - command line error at '%s'", name)
		}
		out = append(out, x)
	}
	return out
}

func number(opts map[string][]string, name string, def float64) float64 {
	return numbers(opts, name, def)[0]
}

// rgbe is a colour that depends on a ray alone.
func rgbe(origin, dir vec) [4]byte {
	var v vec
	for k := range 3 {
		v[k] = 1.05 + math.Sin(3*dir[k]+5*dir[(k+1)%3]+origin[k])
	}
	m := max(v[0], v[1], v[2])
	frac, exp := math.Frexp(m)
	scale := frac * 256 / m
	return [4]byte{byte(v[0] * scale), byte(v[1] * scale), byte(v[2] * scale), byte(exp + 128)}
}

func rpict(args []string) {
	if len(args) == 1 && args[0] == "-version" {
		fmt.Println("RADIANCE 5.4s stand-in")
		return
	}
	opts, rest := options(args)
	if f, ok := opts["-vf"]; ok {
		viewFile(f[0], opts)
	}
	if len(rest) != 1 {
		die(1, "fatal - missing octree argument")
	}
	o := load(rest[0])
	w, h := int(number(opts, "-x", 512)), int(number(opts, "-y", 512))
	ray := camera(opts, &w, &h)
	amb := ambient(opts)
	out, done := output(args, opts, w, &h)
	report := reporter(opts)
	report(100 * float64(done) / float64(h))
	held := false
	for y := done; y < h; y++ {
		line := make([]byte, 0, 4*w)
		for x := range w {
			p := ray(x, h-1-y)
			line = append(line, p[:]...)
		}
		if _, err := out.Write(line); err != nil {
			die(2, "system - write error in render: %s", reason(err))
		}
		amb()
		if y >= h/3 && o.Hold != "" && !held {
			held = true
			report(100 * float64(y+1) / float64(h))
			hold(o.Hold)
		}
	}
	report(100)
}

// hold waits for a file.
func hold(path string) {
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// viewFile reads the last view of a file.
func viewFile(name string, opts map[string][]string) {
	text, err := os.ReadFile(name)
	if err != nil {
		die(2, "system - cannot open view file %q: %s", name, reason(err))
	}
	for line := range strings.Lines(string(text)) {
		if _, spec, ok := strings.Cut(strings.TrimSpace(line), "VIEW="); ok {
			view, _ := options(strings.Fields(spec))
			for k, v := range view {
				opts[k] = v
			}
		}
	}
}

// camera is the perspective view: the colour of the ray through each pixel, from
// the lower left.
func camera(opts map[string][]string, w, h *int) func(x, y int) [4]byte {
	three := func(name string, a, b, c float64) vec {
		l := numbers(opts, name, a, b, c)
		return vec{l[0], l[1], l[2]}
	}
	origin, dir, up := three("-vp", 0, 0, 0), three("-vd", 0, 1, 0), three("-vu", 0, 0, 1)
	if dir == (vec{}) {
		die(1, "fatal - zero view direction")
	}
	dir = dir.unit()
	hv := dir.cross(up)
	if hv.dot(hv) < 1e-12 {
		die(1, "fatal - view up parallel to view direction")
	}
	hv = hv.unit()
	vv := hv.cross(dir)
	vh, vvert := number(opts, "-vh", 45), number(opts, "-vv", 45)
	if vh <= 0 || vh >= 180 {
		die(1, "fatal - illegal horizontal view size")
	}
	hn, vn := 2*math.Tan(vh*math.Pi/360), 2*math.Tan(vvert*math.Pi/360)
	if pa := number(opts, "-pa", 1); pa > 0 {
		if va := vn / hn; va*float64(*w) > pa*float64(*h) {
			*w = int(float64(*h)/va*pa + .5)
		} else {
			*h = int(float64(*w)*va/pa + .5)
		}
	}
	vs, vl := number(opts, "-vs", 0), number(opts, "-vl", 0)
	return func(x, y int) [4]byte {
		a := ((float64(x)+.5)/float64(*w) - .5 + vs) * hn
		b := ((float64(y)+.5)/float64(*h) - .5 + vl) * vn
		var d vec
		for k := range 3 {
			d[k] = dir[k] + a*hv[k] + b*vv[k]
		}
		return rgbe(origin, d.unit())
	}
}

// output opens the picture and says how many lines it has already (-ro).
func output(args []string, opts map[string][]string, w int, h *int) (io.Writer, int) {
	head := fmt.Sprintf("#?RADIANCE\nrpict %s\nSOFTWARE= stand-in\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n", strings.Join(args, " "), *h, w)
	if name, ok := opts["-ro"]; ok {
		old, err := os.ReadFile(name[0])
		if err == nil {
			return goOn(name[0], old, h)
		}
		say("warning - new output file")
		opts["-o"] = name
	}
	var f io.Writer = os.Stdout
	if name, ok := opts["-o"]; ok {
		file, err := os.OpenFile(name[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err != nil {
			die(2, "system - cannot open output file %q: %s", name[0], reason(err))
		}
		f = file
	}
	if _, err := io.WriteString(f, head); err != nil {
		die(2, "system - error writing picture header: %s", reason(err))
	}
	return f, 0
}

// goOn recovers an unfinished picture.
func goOn(name string, old []byte, h *int) (io.Writer, int) {
	at := bytes.Index(old, []byte("\n\n-Y "))
	if at < 0 {
		die(1, "fatal - not a Radiance picture")
	}
	rest := old[at+2:]
	end := bytes.IndexByte(rest, '\n')
	width := 0
	fmt.Sscanf(string(rest[:end]), "-Y %d +X %d", h, &width)
	lines := (len(rest) - end - 1) / (4 * width)
	f, err := os.OpenFile(name, os.O_WRONLY, 0o666)
	if err != nil {
		die(2, "system - cannot open output file %q: %s", name, reason(err))
	}
	size := int64(at + 2 + end + 1 + lines*4*width)
	f.Truncate(size)
	f.Seek(size, io.SeekStart)
	return f, lines
}

// reporter writes reports if -t asks for any, and one at each SIGCONT.
func reporter(opts map[string][]string) func(percent float64) {
	if number(opts, "-t", 0) == 0 {
		return func(float64) {}
	}
	now := make(chan float64, 1)
	now <- 0
	report := func(percent float64) {
		<-now
		now <- percent
		host, _ := os.Hostname()
		say("%d rays, %4.2f%% after 0.000u 0.000s 0.000r hours on %s (PID %d)", int(percent*1000), percent, host, os.Getpid())
	}
	cont := make(chan os.Signal, 1)
	signal.Notify(cont, syscall.SIGCONT)
	go func() {
		for range cont {
			p := <-now
			now <- p
			report(p)
		}
	}()
	return report
}

const record = "ambient value\n" // of equal size, so that a torn one shows

// ambient opens the ambient file and adds a record to it at each call, under the
// lock that Radiance uses.
func ambient(opts map[string][]string) func() {
	name, ok := opts["-af"]
	if !ok || number(opts, "-ab", 0) == 0 {
		return func() {}
	}
	f, err := os.OpenFile(name[0], os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		die(2, "system - cannot open ambient file %q: %s", name[0], reason(err))
	}
	const head = "#?RADIANCE\nFORMAT=Radiance_ambval\n\n"
	lock(f, syscall.F_WRLCK)
	have := make([]byte, len(head))
	if n, _ := f.ReadAt(have, 0); n == 0 {
		f.WriteString(head)
	} else if string(have[:n]) != head {
		die(1, "fatal - (%s): bad ambient file", name[0])
	}
	lock(f, syscall.F_UNLCK)
	return func() {
		lock(f, syscall.F_WRLCK)
		f.Seek(0, io.SeekEnd)
		for i := range len(record) { // slowly, so that without the lock it would be torn
			if _, err := f.WriteString(record[i : i+1]); err != nil {
				die(2, "system - error writing to ambient file: %s", reason(err))
			}
		}
		lock(f, syscall.F_UNLCK)
	}
}

func lock(f *os.File, how int16) {
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLKW, &syscall.Flock_t{Type: how}); err != nil {
		die(2, "system - cannot lock: %s", reason(err))
	}
}

func rtrace(args []string) {
	opts, rest := options(args)
	if len(rest) != 1 {
		die(1, "fatal - missing octree argument")
	}
	if n, ok := opts["-n"]; ok && n[0] == "0" {
		die(1, "fatal - bad number of processes")
	}
	o := load(rest[0])
	amb := ambient(opts)
	w := bufio.NewWriter(os.Stdout)
	if _, no := opts["-h"]; !no {
		fmt.Fprintf(w, "#?RADIANCE\nrtrace %s\nFORMAT=ascii\n\n", strings.Join(args, " "))
	}
	in := bufio.NewReader(os.Stdin)
	for n := 0; ; n++ {
		var p [6]float64
		for i := range p {
			var word string
			if _, err := fmt.Fscan(in, &word); err != nil {
				flush(w, "write error")
				return
			}
			x, err := strconv.ParseFloat(word, 64)
			if err != nil { // the trap: it ends, with success
				flush(w, "write error")
				return
			}
			p[i] = x
		}
		if dir := (vec{p[3], p[4], p[5]}); dir == (vec{}) {
			fmt.Fprint(w, "0\t0\t0\t\n")
		} else {
			c := rgbe(vec{p[0], p[1], p[2]}, dir.unit())
			fmt.Fprintf(w, "%e\t%e\t%e\t\n", float64(c[0])/9, float64(c[1])/9, float64(c[2])/9)
		}
		flush(w, "write error")
		amb()
		if n == 20 && o.Hold != "" {
			hold(o.Hold)
		}
	}
}
