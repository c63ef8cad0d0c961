package web

import (
	"fmt"
	"strings"
	"testing"

	"drover.farm/internal/farm"
	"drover.farm/internal/library"
)

// program is enough of an ELF file to be told its system by.
var program = "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x3e\x00" + strings.Repeat("\x00", 100)

func TestBuildsAreAddedByThePage(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Imports: func() []library.File {
		return []library.File{{Name: "vray.zip", State: library.FileAside, Reason: "<i>torn</i>"}}
	}})
	olga, rick, sam := b.open("olga"), b.open("rick"), b.open("sam")
	if p := olga.page("/ui/renderers"); !strings.Contains(p, "data-drop") || !strings.Contains(p, "&lt;i&gt;torn") {
		t.Errorf("the empty library: %s", textOf(p))
	}
	blender := zipped("blender-4.2.1-linux-x64/blender", program, "blender-4.2.1-linux-x64/4.2/scripts/x.py", "pass\n")
	file := olga.uploadFile("blender-4.2.1-linux-x64.zip", blender)
	for _, want := range []string{"published", "known"} {
		if a := olga.post("/ui/renderers", "file", file); a.status != 303 || a.header.Get("Location") != "/ui/renderers?said="+want {
			t.Fatalf("adding: %d to %q: %s", a.status, a.header.Get("Location"), textOf(a.body))
		}
	}
	if p := olga.page("/ui/renderers"); !strings.Contains(p, "blender 4.2.1") || !strings.Contains(p, "new jobs get it") || !strings.Contains(p, "blender-4.2.1-linux-x64.zip") {
		t.Errorf("the library: %s", textOf(p))
	}
	// What is not recognised is asked for, and need not be uploaded again.
	odd := olga.uploadFile("nuke.zip", zipped("Nuke15/Nuke15.1", program))
	a := olga.post("/ui/renderers", "file", odd, "version", "15.1")
	if a.status != 400 || !strings.Contains(a.body, "no renderer that Drover knows") || !strings.Contains(a.body, `value="`+odd+`"`) || !strings.Contains(a.body, `value="15.1"`) {
		t.Fatalf("something unknown: %d %s", a.status, textOf(a.body))
	}
	if a := olga.post("/ui/renderers", "file", odd, "product", "Nuke", "version", "15.1", "program", "Nuke15/Nuke15.1"); a.status != 303 {
		t.Errorf("described: %d %s", a.status, textOf(a.body))
	}
	// Who lends machines offers; who does neither is refused; uploads of others are not there.
	mine := rick.uploadFile("blender-4.3.0-linux-x64.zip", zipped("blender-4.3.0-linux-x64/blender", program, "blender-4.3.0-linux-x64/4.3/scripts/x.py", "pass\n"))
	if a := rick.post("/ui/renderers", "file", mine); a.header.Get("Location") != "/ui/renderers?said=offered" {
		t.Errorf("an offer: %d %s", a.status, textOf(a.body))
	}
	for _, c := range []struct {
		who  *browser
		file string
		want int
	}{{sam, sam.uploadFile("blender.zip", blender), 403}, {olga, mine, 404}, {olga, "x y", 400}} {
		if a := c.who.post("/ui/renderers", "file", c.file); a.status != c.want {
			t.Errorf("%q: %d, not %d", c.file, a.status, c.want)
		}
	}
	if p := olga.page("/ui/renderers"); !strings.Contains(p, "offered by rick") || strings.Count(p, "new jobs get it") != 2 {
		t.Errorf("the library with an offer: %s", textOf(p))
	}
	if p := sam.page("/ui/renderers"); strings.Contains(p, "data-drop") || strings.Contains(p, "Set aside…") {
		t.Error("who may not change the library is shown how")
	}
}

// TestBuildsAreRolledOut takes a build through its states, with who has it.
func TestBuildsAreRolledOut(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.build("4.2.1")
	hash := func() string { x, _ := b.f.Build(t.Context(), id); return x.SHA256 }()
	w := b.join("node1", func(r *farm.Registration) { r.Machine.Fetches, r.Machine.Held = []string{farm.Any}, []string{hash} })
	b.join("node2", func(r *farm.Registration) {
		r.Machine.Renderers = []farm.Renderer{{Product: "blender", Version: "3.4.1"}}
	})
	olga := b.open("olga")
	path := fmt.Sprintf("/ui/renderers/%d", id)
	if a := b.open("sam").post(path, "do", "retire"); a.status != 403 {
		t.Errorf("a submitter retires a build: %d", a.status)
	}
	for _, c := range []struct {
		form  []string
		want  int
		shown string
	}{
		{[]string{"do", "try", "workers", "1"}, 303, "0 of 1 worker have done a task with it"}, {[]string{"do", "use"}, 303, "has fetched it"},
		{[]string{"do", "try", "workers", "none"}, 400, ""}, {[]string{"do", "aside"}, 400, ""},
		{[]string{"do", "aside", "reason", "<b>black</b> frames"}, 303, "&lt;b&gt;black&lt;/b&gt; frames"}, {[]string{"do", "try", "workers", "1"}, 409, ""},
		{[]string{"do", "use"}, 303, "new jobs get it"}, {[]string{"do", "retire"}, 303, "Use it"}, {[]string{"do", "use"}, 303, "3.4.1"}, {[]string{"do", "burn"}, 400, ""},
	} {
		if a := olga.post(path, c.form...); a.status != c.want {
			t.Errorf("%q: %d %s", c.form, a.status, textOf(a.body))
		}
		if p := olga.page("/ui/renderers"); !strings.Contains(p, c.shown) {
			t.Errorf("%q: the page lacks %q: %s", c.form, c.shown, textOf(p))
		}
	}
	b.submit("sam", "ball", 3, func(s *farm.Spec) { s.Renderer = "blender" })
	b.claim(w)
	if p := olga.page("/ui/renderers"); !strings.Contains(p, "1 job under way with it") {
		t.Errorf("a build in use: %s", textOf(p))
	}
	if a := olga.post(path, "do", "remove"); a.status != 409 {
		t.Errorf("a build in use is removed: %d", a.status)
	}
	if p := b.open("root").page("/ui/settings"); !strings.Contains(p, "on trial with 1 worker") || !strings.Contains(p, "aside: &lt;b&gt;black") {
		t.Errorf("the audit list: %s", textOf(p))
	}
	stream := b.open("sam").follow("builds")
	stream.until(fmt.Sprintf("build-%d", id), "has fetched it")
}
