package rayd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadHosts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "more", "hosts"), "sirius 8 projects=/vol/projects\n__include__ ../hosts\n")
	file := write(t, filepath.Join(dir, "hosts"), `# our hosts
ray.example.com 4 projects="/mnt/our projects" \
   archive="/mnt/archive/"	# two locations

desk 0
__library__ lib/more
__include__ more/hosts
`)
	got, err := ReadHosts(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{
		{Name: "ray.example.com", CPUs: 4, Locations: map[string]string{"projects": "/mnt/our projects", "archive": "/mnt/archive"}},
		{Name: "desk", Locations: map[string]string{}},
		{Name: "sirius", CPUs: 8, Locations: map[string]string{"projects": "/vol/projects"}},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Host{})); d != "" {
		t.Error(d)
	}
	for self, want := range map[string]string{"ray.example.com": "ray.example.com", "RAY": "ray.example.com", "sirius.other.org": "sirius", "ray.other.org": "", "vega": ""} {
		if h, _ := find(got, self); h.Name != want {
			t.Errorf("the host %s has the record of %q, want %q", self, h.Name, want)
		}
	}
}

func TestHostsFaultsSayWhere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ray\n":                           "hosts:1: the record of ray lacks",
		"\nray many\n":                    `hosts:2: the number of CPUs of ray is "many"`,
		"ray -1\n":                        "from 0 to",
		"ray 1 projects\n":                `"projects" is not LOCATION=`,
		"ray 1 p=\"\n":                    "quotation mark",
		"ray 1 p=here\n":                  "does not begin at the root",
		"ray 1 p=/a p=/b\n":               "there twice",
		"ray 1\nRAY 2\n":                  "has a record already, at ",
		"__include__\n":                   "takes one file",
		"__include__ nowhere\n":           "nowhere",
		"ray 1 \\\n":                      "ends within a line",
		strings.Repeat("#", 70000):        "token too long",
		strings.Repeat("# many\n", 1<<18): "larger than",
	} {
		file := write(t, filepath.Join(t.TempDir(), "hosts"), text)
		_, err := ReadHosts(file)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
	}
	dir := t.TempDir()
	for i := range maxHostsFiles + 1 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), fmt.Sprintf("__include__ %d\n", i+1))
	}
	if _, err := ReadHosts(filepath.Join(dir, "0")); err == nil || !strings.Contains(err.Error(), "more than 64 files") {
		t.Errorf("a chain of includes: %v", err)
	}
}

func TestOpenHostsRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenHosts(filepath.Join(dir, "none"), "ray"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
	file := write(t, filepath.Join(dir, "hosts"), "desk 0 p=/p\n")
	for self, want := range map[string]string{"ray": `Host "ray" has no record in the hosts file`, "desk": "0 CPUs"} {
		if _, err := OpenHosts(file, self); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", self, err, want)
		}
	}
}

func TestUnknownLocationReadsTheFileOnceMore(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(t.TempDir(), "hosts"), "ray 2 p=/p\n")
	h, err := OpenHosts(file, "ray")
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, "ray 3 p=/elsewhere q=/q\n")
	for _, c := range []struct {
		name, dir string
		cpus      int
	}{{"p", "/p", 2}, {"q", "/q", 3}, {"p", "/elsewhere", 3}, {"r", "", 3}} {
		dir, ok, err := h.Locate(c.name)
		if err != nil || dir != c.dir || ok != (c.dir != "") || h.CPUs() != c.cpus {
			t.Errorf("%s is %q (%v, %v), with %d CPUs; want %+v", c.name, dir, ok, err, h.CPUs(), c)
		}
	}
	write(t, file, "nonsense\n")
	if _, ok, err := h.Locate("r"); ok || err == nil {
		t.Errorf("a file that broke: %v, %v", ok, err)
	}
	if dir, ok, err := h.Locate("q"); !ok || err != nil || dir != "/q" {
		t.Errorf("what was known is forgotten: %v, %v", ok, err)
	}
}

func FuzzHosts(f *testing.F) {
	f.Add("ray 4 p=\"/mnt/x y\" \\\n q=/z\n# c\n__library__ x\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "__include__") {
			return // other files of this machine
		}
		file := write(t, filepath.Join(dir, "hosts"), text)
		hosts, err := ReadHosts(file)
		if err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		for _, h := range hosts {
			if h.Name == "" || h.CPUs < 0 {
				t.Errorf("%q gives %+v", text, h)
			}
		}
	})
}
