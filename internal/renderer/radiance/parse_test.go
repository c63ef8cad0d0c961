package radiance

import (
	"bytes"
	"strings"
	"testing"
)

func TestCheckOptions(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"", "-ab 2 -ad 1024 -aa .1", "-u- -i -av 0 0 0", "-vp 1 2 3 -vth -x 5", "-ae glass"} {
		if err := CheckOptions("rpict", Split(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	if err := CheckOptions("rtrace", Split("-I -h -ab 3 -u+")); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		"-o out", "-af x", "-ro x", "-e log", "-t 5", "-P x", "-PP x", "-S 1", "-z x", "-vf x", "@opts", "-f f.cal", "!rm", "-ab", "-ab x", "-ab 1e999", "-ab NaN",
		"-av 0 0", "-ae ../x", "-ae -x", "-defaults", "room.oct", "-I", "-n 4", "-", "--", "-vtx", "-aE f",
	} {
		if err := CheckOptions("rpict", Split(bad)); err == nil {
			t.Errorf("%q is allowed for rpict", bad)
		}
	}
	for _, bad := range []string{"-x 5", "-vp 0 0 0", "-o v", "-fff", "-n 2"} {
		if err := CheckOptions("rtrace", Split(bad)); err == nil {
			t.Errorf("%q is allowed for rtrace", bad)
		}
	}
	if err := CheckOptions("rpict", Split(strings.Repeat("-u ", maxOptions+1))); err == nil {
		t.Error("endless options are allowed")
	}
}

func TestAmbientKey(t *testing.T) {
	t.Parallel()
	base := AmbientKey("o", Split("-ab 2 -ad 64"))
	if same := AmbientKey("o", Split("-ab 2 -x 5 -vp 1 2 3 -ad 64 -h -I -ps 1")); same != base {
		t.Error("view and size count")
	}
	for _, other := range []string{"-ab 3 -ad 64", "-ab 2 -ad 64 -dj 1", "-ab 2"} {
		if AmbientKey("o", Split(other)) == base {
			t.Errorf("%q does not count", other)
		}
	}
	if AmbientKey("p", Split("-ab 2 -ad 64")) == base {
		t.Error("the octree does not count")
	}
}

func TestParseReport(t *testing.T) {
	t.Parallel()
	r, ok := ParseReport("rpict: 836895 rays, 4.04% after 0.000u 0.000s 0.000r hours on vm (PID 20622)")
	if !ok || r.Percent != 4.04 || r.Rays != 836895 || r.PID != 20622 {
		t.Errorf("%+v, %v", r, ok)
	}
	for _, line := range []string{"", "rpict: fatal - x", "rpict: 1 rays, 400% after 0u 0s 0r hours on vm (PID 1)"} {
		if _, ok := ParseReport(line); ok {
			t.Errorf("%q is a report", line)
		}
	}
}

func TestParseRif(t *testing.T) {
	t.Parallel()
	r, err := parseRif(strings.NewReader("# c\nmat= a.mat \\\n  b.mat\nSCENE= room.rad # here\nsce= more.rad\nview= v1 -vp 0 0 1\nvi= -vtl\nQUAL= H\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Files("materials", "scene"), " "); got != "a.mat b.mat room.rad more.rad" {
		t.Errorf("files %q", got)
	}
	if len(r.Views) != 2 || r.Views[0] != (NamedView{"v1", "-vp 0 0 1"}) || r.Views[1] != (NamedView{"2", "-vtl"}) || r.Value("QUALITY") != "H" {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"nonsense\n", "colour= red\n", "scene= a \\\n", strings.Repeat("x", 70000)} {
		if _, err := parseRif(strings.NewReader(bad)); err == nil {
			t.Errorf("%.20q is read", bad)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"room", "v1", "büro-2.a"} {
		if err := CheckName("view", good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "..", "-x", "a/b", `a\b`, "a b", "a;b", "a\x00", ".x", "\xff", strings.Repeat("x", 101)} {
		if CheckName("view", bad) == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

func TestTilesCoverThePicture(t *testing.T) {
	t.Parallel()
	for _, c := range [][5]int{{400, 297, 2, 2, 4}, {3, 2, 9, 9, 6}, {7, 1, 2, 1, 2}, {5, 5, 0, -1, 1}} {
		tiles := Tiles(c[0], c[1], c[2], c[3])
		area := 0
		for _, x := range tiles {
			area += x.Width * x.Height
		}
		if area != c[0]*c[1] || len(tiles) != c[4] {
			t.Errorf("%v: %v", c, tiles)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("view= v1 -vp 0 0 1\nscene= a\\\n b\n"), "-ab 2 -vf x -vp 1 2 3")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, args string) {
		_, _ = parseRif(bytes.NewReader(text))
		_, _, _ = CheckValues(bytes.NewReader(text))
		_, _ = CheckPoints(bytes.NewReader(text), nil)
		ParseReport(string(text))
		words := Split(args)
		Without(words, "-ab")
		AmbientKey("", words)
		if v, rest, err := ParseView(dir, words); err == nil {
			v.Tile(10, 10, Tile{Width: 5, Height: 5})
			_ = CheckOptions("rpict", rest)
		}
	})
}
