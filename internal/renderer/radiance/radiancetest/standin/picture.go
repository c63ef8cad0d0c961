//go:build unix

package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"drover.farm/internal/renderer/radiance"
)

// picture is one of the stand-in's own: flat pixels.
type picture struct {
	head string
	w, h int
	pix  []byte
}

func readPicture(name string) picture {
	text, err := os.ReadFile(name)
	if err != nil {
		die(1, "fatal - cannot open picture %q: %s", name, reason(err))
	}
	head, rest, ok := strings.Cut(string(text), "\n\n")
	size, pix, ok2 := strings.Cut(rest, "\n")
	p := picture{head: head, pix: []byte(pix)}
	if n, _ := fmt.Sscanf(size, "-Y %d +X %d", &p.h, &p.w); !ok || !ok2 || n != 2 || len(pix) < 4*p.w*p.h {
		die(1, "fatal - error reading Radiance picture %q", name)
	}
	return p
}

func (p picture) write() {
	w := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(w, "%s\n\n-Y %d +X %d\n", p.head, p.h, p.w)
	w.Write(p.pix[:4*p.w*p.h])
	flush(w, "write error")
}

// pfilt keeps every nth pixel: enough to see that it was run, and with what.
func pfilt(args []string) {
	opts, rest := options(args)
	p := readPicture(rest[0])
	step := 1
	if x, ok := opts["-x"]; ok && strings.HasPrefix(x[0], "/") {
		step, _ = strconv.Atoi(x[0][1:])
	}
	out := picture{w: p.w / step, h: p.h / step}
	out.head = strings.Replace(p.head, "\nFORMAT", fmt.Sprintf("\npfilt %s\nEXPOSURE=%g\nFORMAT", strings.Join(args, " "), number(opts, "-e", 1)), 1)
	for y := range out.h {
		for x := range out.w {
			at := 4 * (y*step*p.w + x*step)
			out.pix = append(out.pix, p.pix[at:at+4]...)
		}
	}
	out.write()
}

// pcompos puts pictures together: FILE X Y, from the lower left.
func pcompos(args []string) {
	opts, rest := options(args)
	out := picture{w: int(number(opts, "-x", 0)), h: int(number(opts, "-y", 0))}
	out.pix = make([]byte, 4*out.w*out.h)
	out.head = "#?RADIANCE\npcompos " + strings.Join(args, " ") + "\nFORMAT=32-bit_rle_rgbe"
	for ; len(rest) >= 3; rest = rest[3:] {
		p := readPicture(rest[0])
		x0, _ := strconv.Atoi(rest[1])
		y0, _ := strconv.Atoi(rest[2])
		for y := range p.h {
			row := out.h - y0 - p.h + y
			copy(out.pix[4*(row*out.w+x0):4*(row*out.w+min(out.w, x0+p.w))], p.pix[4*y*p.w:4*(y+1)*p.w])
		}
	}
	out.write()
}

// rad prints what it would do.
func rad(args []string) {
	opts, rest := options(args)
	rif, err := radiance.ReadRif(rest[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rad:", err)
		os.Exit(1)
	}
	view := opts["-v"][0]
	name, spec := view, ""
	for _, v := range rif.Views {
		if v.Name == view {
			spec = v.Spec
		}
	}
	if strings.HasPrefix(view, "-") {
		name, spec = "0", view
	}
	if spec == "" {
		return // the trap: nothing is rendered, with success
	}
	mult := map[byte]int{'L': 1, 'M': 2, 'H': 3}[(strings.ToUpper(rif.Value("QUALITY")) + "L")[0]]
	size := strings.Fields(rif.Value("RESOLUTION") + " 512")
	x, _ := strconv.Atoi(size[0])
	y := x
	if len(size) > 2 {
		y, _ = strconv.Atoi(size[1])
	}
	fmt.Printf("\trpict %s -x %d -y %d -dp 64 -av 0.09 0.09 0.09 %s %s > raw_%s.unf\n", spec, mult*x, mult*y, rif.Value("render"), rif.Value("OCTREE"), name)
	filter := ""
	if e := rif.Value("EXPOSURE"); e != "" {
		filter = "-1 -e " + e + " "
	}
	if mult > 1 {
		filter += "-r .6 "
	}
	fmt.Printf("\tpfilt %s-x /%d -y /%d raw_%s.unf > picture_%s.hdr\n", filter, mult, mult, name, name)
	fmt.Printf("\tmv raw_%s.unf raw_%s.hdr\n", name, name)
}
