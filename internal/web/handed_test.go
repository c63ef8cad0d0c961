package web

import (
	"archive/zip"
	"fmt"
	"strings"
	"testing"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
)

// TestLuminance: a picture of light values is shown in false colours by one call;
// one of display colours is not.
func TestLuminance(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "x", 2, func(s *farm.Spec) { s.Check = nil })
	w := b.join("node")
	b.finish(w, b.claim(w), "v1.hdr", []byte("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 2\n\x80\x80\x80\x80\x80\x80\x80\x8a"))
	b.finish(w, b.claim(w), "real.png", drawing(2))
	sam := b.open("sam")
	const at = "/ui/jobs/1000/tasks/0/0/out/0"
	seen := map[string]bool{}
	for _, query := range []string{"?luminance", "?luminance=10-100000", "?luminance=10-100000&linear"} {
		a := sam.get(at + query)
		if a.status != 200 || a.header.Get("Content-Type") != "image/png" || !strings.HasPrefix(a.body, "\x89PNG") {
			t.Fatalf("%s: %d %v", query, a.status, a.header)
		}
		seen[a.body] = true
	}
	if len(seen) != 3 {
		t.Errorf("three scales give %d pictures", len(seen))
	}
	for path, want := range map[string]string{
		at + "?luminance=5-1":                           "no range of luminance",
		"/ui/jobs/1000/tasks/0/1/out/0?luminance&v=abc": "display colours",
	} {
		if a := sam.get(path); a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if p := sam.page("/ui/jobs/1000/tasks/0/0"); !strings.Contains(p, "data-luminance") {
		t.Error("the page does not offer it")
	}
}

// TestHandedOnIsNoOutput: what tasks hand on to others is neither shown nor packed.
func TestHandedOnIsNoOutput(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.submit("sam", "x", 2, func(s *farm.Spec) { s.Check = nil })
	w := b.join("node")
	b.finish(w, b.claim(w), renderer.PartsDir+"/tile_0.png", drawing(1))
	b.finish(w, b.claim(w), "whole.png", drawing(2))
	sam := b.open("sam")
	a := sam.get("/ui/jobs/1000/outputs.zip")
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if fmt.Sprint(names) != "[whole.png]" {
		t.Errorf("the zip holds %v", names)
	}
	for path, want := range map[string]bool{"/ui/jobs/1000/tasks/0/0": false, "/ui/jobs/1000/tasks/0/1": true} {
		if p := sam.page(path); strings.Contains(p, "data-viewer") != want || strings.Contains(p, "tile_0") {
			t.Errorf("%s: a picture is shown: %t", path, !want)
		}
	}
	if p := sam.page("/ui/jobs/1000/cells?by=picture"); strings.Contains(p, "tasks/0/0/out/") || strings.Contains(p, "tasks/0/1/out/0?thumb") != strings.Contains(p, "?thumb") {
		t.Errorf("the grid shows a part: %s", p)
	}
}
