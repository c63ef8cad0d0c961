package sheepit

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/archive"
	"drover.farm/internal/farm"
)

func sum(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }

func entries(t *testing.T, data string) []string {
	t.Helper()
	z, err := zip.NewReader(strings.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range z.File {
		out = append(out, f.Name)
	}
	return out
}

func TestDownloadsOfAllGenerations(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{ChunkSize: 64 << 10}}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	noise := make([]byte, 150_000)
	_, _ = (noiseReader{}).Read(noise)
	b.job("1-9", func(s *farm.Submission) {
		f := b.blob(noise)
		f.Name = "tex/a/noise.bin"
		s.Spec.Files = append(s.Spec.Files, f)
	})
	c := b.client().login("rick")
	r := c.ask()
	if got := sum(c.get(pathArchive + "?type=binary&job=1000").body); got != rendererMD5(r) {
		t.Errorf("the renderer's MD5 is %s", got)
	}
	if got := sum(c.get(pathBinary + "?job=1000").body); got != rendererMD5(r) {
		t.Errorf("the renderer's MD5 by the way of 2024 is %s", got)
	}
	project := c.get(pathDownload + "?type=job&job=1000&revision=0").body
	if got := sum(project); got != r.attr("archive_md5") {
		t.Errorf("the project's MD5 is %s", got)
	}
	if d := cmp.Diff([]string{"shots/", "shots/one.blend", "tex/", "tex/a/", "tex/a/noise.bin"}, entries(t, project)); d != "" {
		t.Errorf("the project holds -want +got\n%s", d)
	}
	joined := ""
	chunks := regexp.MustCompile(`<chunk id="([^"]*)" md5="([^"]*)"/>`).FindAllStringSubmatch(r.body, -1)
	for _, m := range chunks {
		part := c.get(pathChunk + "?chunk=" + m[1])
		if part.code != 200 || sum(part.body) != m[2] {
			t.Errorf("chunk %s: %d", m[1], part.code)
		}
		joined += part.body
	}
	if len(chunks) < 3 || joined != project {
		t.Errorf("%d chunks of %d bytes do not make the project of %d", len(chunks), len(joined), len(project))
	}
	form := c.do(http.MethodPost, pathArchive, "application/x-www-form-urlencoded", strings.NewReader("type=job&job=1000"))
	if form.body != project {
		t.Error("parameters in a form are not taken")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+pathArchive+"?type=job&job=1000", nil)
	b.check(err)
	req.Header.Set("Range", "bytes=10-19")
	res, err := c.http.Do(req)
	b.check(err)
	defer res.Body.Close()
	if part, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 206 || string(part) != project[10:20] {
		t.Errorf("a range: %d, %d bytes, %v", res.StatusCode, len(part), err)
	}

	// Nobody else gets anything.
	other := b.client().login("rosa")
	id := chunks[0][1]
	for _, path := range []string{pathArchive + "?type=job&job=1000", pathArchive + "?type=binary&job=1000", pathBinary + "?job=1000", pathChunk + "?chunk=" + id} {
		for name, who := range map[string]*client{"another session": other, "no session": b.client()} {
			if a := who.get(path); a.code != 404 {
				t.Errorf("%s: %s: %d", name, path, a.code)
			}
		}
	}
	for _, path := range []string{pathArchive + "?type=job&job=1001", pathArchive + "?type=film&job=1000", pathArchive, pathChunk + "?chunk=" + id + "0",
		pathChunk + "?chunk=1000-9-" + sum("x"), pathChunk + "?chunk=1000--1-" + sum("x"), pathChunk + "?chunk=x", pathChunk} {
		if a := c.get(path); a.code != 404 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
	c.send(1000, "0001", good)
	if a := c.get(pathArchive + "?type=job&job=1000"); a.code != 404 {
		t.Errorf("without a lease any more: %d", a.code)
	}
}

type noiseReader struct{}

func (noiseReader) Read(p []byte) (int, error) { return copy(p, noiseBytes()), nil }

func TestEncryptedProjects(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1", func(s *farm.Submission) { s.Spec.Password = "open sesame" })
	c := b.client().login("rick")
	b.want(c.ask(), "0")
	data := c.get(pathArchive + "?type=job&job=1000").body
	for password, want := range map[string]bool{"open sesame": true, "wrong": false} {
		var got []byte
		err := archive.Walk(t.Context(), strings.NewReader(data), int64(len(data)), archive.Options{Password: password}, func(e archive.Entry, r io.Reader) error {
			if e.Kind != archive.File {
				return nil
			}
			var err error
			got, err = io.ReadAll(r)
			return err
		})
		if ok := err == nil && bytes.HasPrefix(got, []byte("BLENDER")); ok != want {
			t.Errorf("password %q: %v", password, err)
		}
	}
}

func TestLayouts(t *testing.T) {
	t.Parallel()
	roots := []farm.Root{{Path: "/a/film", Format: "POSIX"}, {Path: `C:\lib`, Format: "WINDOWS"}, {Path: "/out", Format: "POSIX", Output: true}}
	for _, c := range []struct {
		scene string
		files []farm.File
		want  string
		names []string
	}{
		{"/a/film/x/one.blend", []farm.File{{Name: "x/one.blend"}}, "x/one.blend", []string{"x/one.blend"}},
		{"/a/film/x/my shot.blend", []farm.File{{Name: "x/my shot.blend"}, {Name: "x/scene.blend"}}, "x/scene2.blend", []string{"x/scene2.blend", "x/scene.blend"}},
		{"/a/film/ä.blend", []farm.File{{Name: "ä.blend"}, {Name: "t.png", Root: 1}}, "0/scene.blend", []string{"0/scene.blend", "1/t.png"}},
		{`C:\LIB\a.blend`, []farm.File{{Name: "a.blend", Root: 1}}, "a.blend", []string{"a.blend"}},
	} {
		l := newLayout(&farm.Spec{Roots: roots, Files: c.files, Parameters: map[string]string{"Scene": c.scene}})
		if d := cmp.Diff(c.names, l.names); l.scene != c.want || d != "" {
			t.Errorf("%s: %s\n%s", c.scene, l.scene, d)
		}
	}
}

func TestRendererArchives(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	for system, want := range map[string][]string{
		"linux":   {"rend.exe", "blender.tgz"},
		"windows": {"blender.tgz", "rend.exe"},
		"macos": {"rend.exe", "Blender/", "Blender/blender.app/", "Blender/blender.app/Contents/", "Blender/blender.app/Contents/MacOS/", "Blender/blender.app/Contents/MacOS/blender",
			"Blender/Blender.app/", "Blender/Blender.app/Contents/", "Blender/Blender.app/Contents/MacOS/", "Blender/Blender.app/Contents/MacOS/Blender", "blender.tgz"},
	} {
		build := b.build("4.2.1", system, "x86_64")
		pack, err := b.door.packer.build(t.Context(), build, system == "macos")
		b.check(err)
		got := entries(t, string(b.content(pack.SHA256)))
		if system == "windows" {
			want = want[1:]
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", system, d)
		}
	}
}

// TestLauncher runs the script that starts Blender, with a program in Blender's
// place: it unpacks once, is silent at first, keeps arguments, exit code and all
// lines.
func TestLauncher(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // there the archive has no script
	}
	b := setup(t, Config{}, farm.Settings{})
	build := b.build("4.2.1", "linux", "x86_64")
	pack, err := b.door.packer.build(t.Context(), build, true)
	b.check(err)
	dir := t.TempDir()
	b.check(archive.Unpack(t.Context(), bytes.NewReader(b.content(pack.SHA256)), pack.Size, dir, "it's here", archive.Options{}))
	for _, name := range []string{rendProgram, rendProgram, macPaths[0], macPaths[1]} {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "it's here", name), "-b", "a b.blend", "-f", "1")
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 3 {
			t.Errorf("%s: exit code %d, %v: %s", name, code, err, &out)
		}
		if want := "Blender 4.2.1\ncalled with -b a b.blend -f 1\ndrover: the scene is open\ndone\n"; out.String() != want {
			t.Errorf("%s: %q", name, out.String())
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "it's here", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	b.check(os.RemoveAll(filepath.Join(dir, "it's here", payload+".files")))
	b.check(os.WriteFile(filepath.Join(dir, "it's here", payload), []byte("damaged"), 0o600))
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "it's here", rendProgram)).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "drover: error of the machine: Blender could not be unpacked") {
		t.Errorf("a damaged archive: %v %s", err, out)
	}
}

func TestSpeedTest(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{SpeedBytes: 3<<20 + 7, Mirrors: []string{"https://mirror.example/a?b&c"}}}, farm.Settings{})
	c := b.client()
	r := c.post(hello("rick", password))
	if !strings.Contains(r.body, `<target url="`+b.srv.URL+`/server/speedtest.zip"/>`) || !strings.Contains(r.body, `<target url="https://mirror.example/a?b&amp;c"/>`) {
		t.Errorf("the targets are missing: %s", r.body)
	}
	if p := b.client().get(pathSpeedFile); p.code != 200 || len(p.body) != 3<<20+7 {
		t.Errorf("the payload: %d, %d bytes", p.code, len(p.body))
	}
	post := func(body string) reply {
		return c.do(http.MethodPost, pathSpeed, "application/xml", strings.NewReader(body))
	}
	speed := func() float64 {
		w, err := b.f.Farmhand(t.Context(), 1)
		b.check(err)
		return w.Machine.Amounts[amountDownload]
	}
	b.golden("speedtest", post(`<speedtest><result target="a" speed="724155" ping="26"/><result target="b" speed="99" ping="2147483647"/></speedtest>`))
	if speed() != 724155 {
		t.Errorf("the speed is %v", speed())
	}
	b.want(post(`<speedtest/>`), "0")
	if speed() != 0 {
		t.Errorf("after an empty answer the speed is %v", speed())
	}
	b.want(post(`<speedtest><result target="a" speed="-5" ping="x"/><result/></speedtest>`), "0")
	b.want(post(``), "0")
	if r := post(`<speedtest><result`); r.code != 400 {
		t.Errorf("cut short: %d", r.code)
	}
	if w, err := b.f.Farmhand(t.Context(), 1); err != nil || len(w.Leases) != 0 {
		t.Errorf("%+v, %v", w, err)
	}
	off := setup(t, Config{Settings: Settings{SpeedBytes: -1}}, farm.Settings{})
	if r := off.client().post(hello("rick", password)); strings.Contains(r.body, "speedtest>") {
		t.Error("a farm that measures nothing names targets")
	}
	if p := off.client().get(pathSpeedFile); p.code != 404 {
		t.Errorf("its payload: %d", p.code)
	}
}

func TestPieces(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 9, 10, 11, 20, 35} {
		p := &pieces{size: 10, h: md5.New()}
		data := bytes.Repeat([]byte("x"), n)
		for _, b := range data {
			_, _ = p.Write([]byte{b})
		}
		var want []string
		for i := 0; i == 0 || i < n; i += 10 {
			want = append(want, sum(string(data[i:min(i+10, n)])))
		}
		if d := cmp.Diff(want, p.end()); d != "" {
			t.Errorf("%d bytes: %s", n, d)
		}
	}
}

func FuzzParseCache(f *testing.F) {
	f.Add([]byte(`<cache><file md5="db26b54689516484633b7d4855fb1567"/></cache>`))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY a "b">]><cache/>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseCache(data)
		for _, m := range list {
			if err == nil && !isMD5(m) {
				t.Errorf("%q is no MD5", m)
			}
		}
		if len(list) > maxCached {
			t.Error("too many")
		}
	})
}

func FuzzParseSpeed(f *testing.F) {
	f.Add([]byte(`<speedtest><result target="a" speed="1" ping="2147483647"/></speedtest>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, _ := parseSpeed(data)
		for _, r := range out {
			if r.speed < 0 || r.ping < 0 || len(r.target) > 4*300 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add("a & b <c> \"d\"\x00\n", "script\r\n\ufffe")
	f.Fuzz(func(t *testing.T, name, text string) {
		var b strings.Builder
		e := el("job", "name", name)
		e.text = text
		el("x").add(e).write(&b, 0)
		list, err := parseCache([]byte(b.String()))
		if err != nil {
			t.Errorf("%q %q cannot be read: %v in %s %v", name, text, err, b.String(), list)
		}
	})
}
