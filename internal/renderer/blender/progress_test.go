package blender

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/renderer"
	"github.com/google/go-cmp/cmp"
)

func TestParseLine(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, c := range map[string]struct {
		line string
		want Progress
	}{
		"2.8 tiles and samples": {
			"Fra:12 Mem:15.50M (0.00M, Peak 16.25M) | Time:00:00.50 | Remaining:00:02.30 | Mem:8.33M, Peak:8.33M | Scene, View Layer | Rendered 12/40 Tiles",
			Progress{Frame: 12, HasFrame: true, Percent: 30, Memory: 15.5 * mib, Peak: 16.25 * mib, Remaining: 2300 * time.Millisecond, What: "Rendered 12/40 Tiles"},
		},
		"2.8 one tile": {
			"Fra:1 Mem:15M (0.00M, Peak 16M) | Time:00:00.50 | Scene, View Layer | Rendered 0/4 Tiles, Sample 8/16",
			Progress{Frame: 1, HasFrame: true, Percent: 12.5, Memory: 15 * mib, Peak: 16 * mib, What: "Rendered 0/4 Tiles, Sample 8/16"},
		},
		"3.4 Cycles": {
			"Fra:7 Mem:10.50M (Peak 11.25M) | Time:00:00.19 | Remaining:01:02:03.50 | Mem:0.76M, Peak:0.76M | Scene, ViewLayer | Sample 32/128",
			Progress{Frame: 7, HasFrame: true, Percent: 25, Memory: 10.5 * mib, Peak: 11.25 * mib, Remaining: time.Hour + 2*time.Minute + 3500*time.Millisecond, What: "Sample 32/128"},
		},
		"3.4 preparing": {
			"Fra:7 Mem:9.50M (Peak 9.50M) | Time:00:00.17 | Mem:0.00M, Peak:0.00M | Scene, ViewLayer | Updating Objects | Copying Transformations to device",
			Progress{Frame: 7, HasFrame: true, Percent: -1, Memory: 9.5 * mib, Peak: 9.5 * mib, What: "Updating Objects"},
		},
		"Eevee": {
			"Fra:3 Mem:60M (Peak 62M) | Time:00:00.18 | Rendering 16 / 64 samples",
			Progress{Frame: 3, HasFrame: true, Percent: 25, Memory: 60 * mib, Peak: 62 * mib, What: "Rendering 16 / 64 samples"},
		},
		"4.x gigabytes": {
			"Fra:-3 Mem:1.5G (Peak 2G) | Time:00:10.00 | Mem:1.2G, Peak:1.2G | Scene, ViewLayer | Path Tracing Sample 4/16",
			Progress{Frame: -3, HasFrame: true, Percent: 25, Memory: 3 << 29, Peak: 2 << 30, What: "Path Tracing Sample 4/16"},
		},
		"5 with its clock": {
			"00:03.204  render           | Fra: 5 | Remaining: 00:04.00 | Mem: 20M | Sample 1/2",
			Progress{Frame: 5, HasFrame: true, Percent: 50, Memory: 20 * mib, Remaining: 4 * time.Second, What: "Sample 1/2"},
		},
		"compositing": {
			"Fra:7 Mem:9.50M (Peak 10.50M) | Time:00:00.20 | Compositing | Tile 1-1",
			Progress{Frame: 7, HasFrame: true, Percent: -1, Memory: 9.5 * mib, Peak: 10.5 * mib, What: "Compositing"},
		},
		"saved":            {"Saved: '/out/it's_0001.png'", Progress{Percent: -1, Saved: "/out/it's_0001.png"}},
		"saved, Blender 5": {`Saved: "/out/0001.png"`, Progress{Percent: -1, Saved: "/out/0001.png"}},
	} {
		got, ok := ParseLine(c.line)
		if diff := cmp.Diff(c.want, got); diff != "" || !ok {
			t.Errorf("%s: %v\n%s", name, ok, diff)
		}
	}
	for _, line := range []string{"", "Blender 3.4.1", "Read blend: /x.blend", " Time: 00:01.31 (Saving: 00:00.00)", "a | b", "Fra:x", "Fra:99999999999999 Mem"} {
		if p, ok := ParseLine(line); ok {
			t.Errorf("%q was read as %+v", line, p)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{
		"Fra:12 Mem:15.50M (0.00M, Peak 16.25M) | Time:00:00.50 | Remaining:00:02.30 | Rendered 12/40 Tiles, Sample 3/9",
		"Fra: 1 | Rendering 1 / 64 samples", "Saved: 'x'", "Fra:1 Sample 9/0 | Mem:99999999999999T",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, _ := ParseLine(s)
		if !(p.Percent == -1 || p.Percent >= 0 && p.Percent <= 100) || p.Memory < 0 || p.Peak < 0 || p.Remaining < 0 {
			t.Fatalf("%q: %+v", s, p)
		}
	})
}

func TestReporter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	r := newReporter(&out)
	r.now = func() time.Time { return now }
	for i, line := range []string{
		"Fra:1 Mem:1M (Peak 2048M) | Scene, L | Sample 1/100",
		"Fra:1 Mem:1M (Peak 2M) | Scene, L | Sample 2/100", // too soon
		"openjd_env: A=B",
		"Fra:1 Mem:1M (Peak 2M) | Scene, L | Sample 100/100",
	} {
		if i == 3 {
			now = now.Add(time.Second)
		}
		if err := r.line(line); err != nil {
			t.Fatal(err)
		}
	}
	r.done()
	want := `Fra:1 Mem:1M (Peak 2048M) | Scene, L | Sample 1/100
openjd_progress: 1
openjd_status: frame 1, Sample 1/100, 2048 MiB at most
Fra:1 Mem:1M (Peak 2M) | Scene, L | Sample 2/100
 openjd_env: A=B
Fra:1 Mem:1M (Peak 2M) | Scene, L | Sample 100/100
openjd_progress: 99
openjd_status: frame 1, Sample 100/100, 2048 MiB at most
openjd_progress: 100
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestCauses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		party renderer.Party
		says  string
		fatal bool
	}{
		"Error: System is out of GPU memory":                                          {renderer.WorkerFault, "out of memory", true},
		"CUDA error: Out of memory in cuMemAlloc":                                     {renderer.WorkerFault, "out of memory", true},
		"OptiX error OPTIX_ERROR_LAUNCH_FAILURE in optixLaunch":                       {renderer.WorkerFault, "GPU error", true},
		"blender: error while loading shared libraries: libX11.so.6: cannot open":     {renderer.WorkerFault, "shared library", false},
		"Error: Could not write image: No space left on device, /out/x.png":           {renderer.WorkerFault, "no space", false},
		"Error: Build without OpenImageDenoiser":                                      {renderer.JobFault, "without the denoiser", false},
		"Unable to open a display":                                                    {renderer.WorkerFault, "display", false},
		"Error: Cannot render, no camera":                                             {renderer.JobFault, "camera", false},
		"Warning: Cannot find lib '/x/lib.blend'":                                     {renderer.JobFault, "missing", false},
		"Traceback (most recent call last):":                                          {renderer.JobFault, "Python", false},
		"Warning: File written by newer Blender binary (306.2), expect loss of data!": {renderer.JobFault, "cannot open the scene", false},
	} {
		tail := newTail()
		tail.add("Fra:1 Mem:1M")
		tail.add(line)
		f := tail.failure(answer{Error: "RuntimeError"})
		if f.Party != want.party || !strings.Contains(f.Message, want.says) {
			t.Errorf("%q: %s: %s", line, f.Party, f.Message)
		}
		if good := tail.failure(answer{OK: true}); (good != nil) != want.fatal {
			t.Errorf("%q with a picture: %v", line, good)
		}
		if c := tail.crash("crashed (signal 11)", false); c.Party != want.party || !strings.Contains(c.Message, "signal 11") {
			t.Errorf("%q in a crash: %v", line, c)
		}
	}
	for text, party := range map[string]renderer.Party{"worker": renderer.WorkerFault, "job": renderer.JobFault, "": renderer.JobFault} {
		if f := newTail().failure(answer{Error: "odd\nthing", Party: text}); f.Party != party || f.Message != "odd thing" {
			t.Errorf("%q: %+v", text, f)
		}
	}
	if f := newTail().crash("was killed", true); f.Party != renderer.WorkerFault {
		t.Errorf("%+v", f)
	}
	long := newTail()
	for range 100 {
		long.add(strings.Repeat("x", 5000))
	}
	if f := long.crash("crashed", false); len(f.Message) > 2000 || f.Party != renderer.JobFault {
		t.Errorf("a message of %d bytes", len(f.Message))
	}
}

func TestSayFail(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	sayFail(&out, &renderer.Fault{Party: renderer.WorkerFault, Message: "no space\nleft"})
	sayFail(&out, errors.New("bad"))
	if want := "openjd_fail: this worker is at fault: no space left\nopenjd_fail: bad\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

// FuzzCauses holds the words of each cause to its expression.
func FuzzCauses(f *testing.F) {
	for _, s := range []string{
		"Out of GPU memory", "CL_MEM_OBJECT_ALLOCATION_FAILURE", "Malloc returns null", "OptiX error", "Metal device error", "Error: HIP_ERROR", "Illegal address in x", "Launch failed",
		"error while loading shared libraries", "cannot open shared object file", "Library not loaded", "No space left on device", "Disk quota exceeded", "disk full",
		"Read-only file system", "Input/output error", "Too many open files", "Unable to open a display", "Failed to create a GL context", "EGL Error", "GHOST: no display",
		"no compatible GPU found", "No devices available to render", "Build without OpenDenois", "Build without OpenImageDenois", "No device available to denoise",
		"File written by newer Blender binary", "Not a blend file", "Failed to read blend file", "Unable to read file", "Cannot read file", "Cannot render, no camera",
		"No camera found in scene", "no active camera", "Image too small", "No render output node", "No Composite output node", "can't find lib", "unable to open library", "Traceback", "Python script failed",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lower := strings.ToLower(s)
		for i := range causes {
			if c := &causes[i]; len(lower) == len(s) && c.pattern.MatchString(s) && !c.fits(s, lower) {
				t.Errorf("%q fits %v and has none of %q", s, c.pattern, c.words)
			}
		}
	})
}

func TestCausesHaveWords(t *testing.T) {
	t.Parallel()
	for _, c := range causes {
		if len(c.words) == 0 {
			t.Errorf("%v has no words: it never fits", c.pattern)
		}
	}
}

// blenderLines are lines as Blender prints them, by the kind.
var blenderLines = map[string]string{
	"sample": "Fra:7 Mem:10.50M (Peak 11.25M) | Time:00:00.19 | Remaining:01:02:03.50 | Mem:0.76M, Peak:0.76M | Scene, ViewLayer | Sample 32/128",
	"step":   "Fra:7 Mem:9.50M (Peak 9.50M) | Time:00:00.17 | Mem:0.00M, Peak:0.00M | Scene, ViewLayer | Updating Objects | Copying Transformations to device",
	"other":  "Info: Read library: '//textures/forest.blend', '/scenes/forest.blend', parent '<direct>'",
	"saved":  "Saved: '/out/frame-0001.png'",
}

func BenchmarkParseLine(b *testing.B) {
	for name, line := range blenderLines {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ParseLine(line)
			}
		})
	}
}

// BenchmarkTail measures what it takes to look for causes in them.
func BenchmarkTail(b *testing.B) {
	for name, line := range blenderLines {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			t := newTail()
			for b.Loop() {
				t.add(line)
			}
		})
	}
}
