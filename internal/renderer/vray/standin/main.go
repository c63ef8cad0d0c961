// Standin is a program that stands in for V-Ray Standalone in tests: it takes the
// documented options, prints the documented lines and writes a picture whose
// colour tells the frame. It renders nothing. What it does not know it refuses, so
// that a wrong option shows.
package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var known = regexp.MustCompile(`^-(sceneFile|imgFile|frames|noFrameNumbers|display|autoClose|progressUseColor|progressUseCR|verboseLevel|numThreads|imgWidth|imgHeight|region|camera|rtEngine|remapPath|include)=(.*)$`)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "-version" {
		fmt.Println("V-Ray core version is 6.20.10")
		return
	}
	opts := map[string]string{"display": "1", "imgWidth": "0", "imgHeight": "0"}
	for _, a := range os.Args[1:] {
		m := known.FindStringSubmatch(a)
		if m == nil {
			fail("unknown option %q", a)
		}
		opts[m[1]] = m[2]
	}
	if opts["display"] != "0" {
		fail("no display is there")
	}
	scene, err := os.ReadFile(opts["sceneFile"])
	if err != nil {
		fail("%v", err)
	}
	if strings.Contains(string(scene), "standin_fail_licence") {
		fail("Could not obtain a license (server %s)", os.Getenv("VRAY_AUTH_CLIENT_FILE_PATH"))
	}
	read(opts, string(scene))
	render(opts, string(scene))
	if strings.Contains(string(scene), "standin_exit_3") {
		os.Exit(3)
	}
}

func fail(format string, args ...any) {
	fmt.Printf("[2026/Jan/31|12:00:00] error: "+format+"\n", args...)
	os.Exit(1)
}

// read opens the files that the scene names, where -remapPath says they are.
func read(opts map[string]string, scene string) {
	for _, m := range regexp.MustCompile(`(?:file\s*=\s*|#include\s+)"([^"]+)"`).FindAllStringSubmatch(scene, -1) {
		p := m[1]
		for pair := range strings.SplitSeq(opts["remapPath"], ";") {
			if from, to, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(p, from) {
				p = to + strings.TrimPrefix(p, from)
				break
			}
		}
		if !filepath.IsAbs(p) {
			p = filepath.Join(filepath.Dir(opts["sceneFile"]), p)
		}
		text, err := os.ReadFile(p)
		if err != nil {
			fail("Could not open %q", p)
		}
		fmt.Printf("read %s: %d bytes\n", m[1], len(text))
	}
}

func number(opts map[string]string, option, scene, name string) int {
	if n, _ := strconv.Atoi(opts[option]); n > 0 {
		return n
	}
	if m := regexp.MustCompile(name + `\s*=\s*(\d+)`).FindStringSubmatch(scene); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 16
}

func render(opts map[string]string, scene string) {
	w, h := number(opts, "imgWidth", scene, "img_width"), number(opts, "imgHeight", scene, "img_height")
	frame, err := strconv.Atoi(opts["frames"])
	if err != nil {
		fail("frames %q", opts["frames"])
	}
	region := image.Rect(0, 0, w, h)
	if r := opts["region"]; r != "" {
		if n, _ := fmt.Sscanf(r, "%d;%d;%d;%d", &region.Min.X, &region.Min.Y, &region.Max.X, &region.Max.Y); n != 4 {
			fail("region %q", r)
		}
	}
	fmt.Printf("Starting frame %d\n", frame)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := region.Min.Y; y < region.Max.Y; y++ {
		for x := region.Min.X; x < region.Max.X; x++ {
			img.Set(x, y, color.RGBA{uint8(frame * 10), uint8(x * 255 / w), uint8(y * 255 / h), 255})
		}
		fmt.Printf("Rendering image (this is no V-Ray)...: %5.1f%%\n", float64(y+1-region.Min.Y)*100/float64(region.Dy()))
	}
	fmt.Println("Rendering image (this is no V-Ray)...: done")
	name := opts["imgFile"]
	if opts["noFrameNumbers"] != "1" || strings.Contains(scene, "standin_numbers") {
		ext := filepath.Ext(name)
		name = fmt.Sprintf("%s.%04d%s", strings.TrimSuffix(name, ext), frame, ext)
	}
	f, err := os.Create(name)
	if err == nil {
		err = png.Encode(f, img)
	}
	if err != nil {
		fail("%v", err)
	}
	f.Close()
	fmt.Println("Frame took 0.01 s.")
}
