package blender

import (
	"regexp"
	"slices"
	"strings"

	"drover.farm/internal/renderer"
)

// cause is a line by which Blender, a driver or the system says why a render
// failed.
type cause struct {
	pattern *regexp.Regexp
	words   []string // in lower case; a line that fits has one of them
	party   renderer.Party
	says    string
	// fatal causes fail a frame even though Blender wrote a picture.
	fatal bool
}

var causes = []cause{
	{re(`out of (gpu |device )?memory|CL_MEM_OBJECT_ALLOCATION_FAILURE|Malloc returns null`), []string{"out of ", "cl_mem_object_alloc", "malloc returns"}, renderer.WorkerFault, "out of memory", true},
	{re(`(CUDA|HIP|OptiX|oneAPI|Metal|OpenCL) (error|device error)|Error: (CUDA|HIP|OPTIX)_ERROR|Illegal address in|Launch failed`), []string{" error", "error: ", "illegal address", "launch failed"}, renderer.WorkerFault, "a GPU error", true},
	{re(`error while loading shared libraries|cannot open shared object file|Library not loaded`), []string{"shared ", "library not"}, renderer.WorkerFault, "a shared library is missing on this machine", false},
	{re(`No space left on device|Disk quota exceeded|disk full`), []string{"no space", "quota", "disk full"}, renderer.WorkerFault, "no space left on the disk", false},
	{re(`Read-only file system|Input/output error|Too many open files`), []string{"read-only", "input/output", "too many open"}, renderer.WorkerFault, "this machine's disk refused a file", false},
	{re(`Unable to open a display|Failed to (create|initialize).*(GL|GPU|Vulkan) context|EGL Error|GHOST.*(display|context)`), []string{"display", "context", "egl error"}, renderer.WorkerFault, "this machine has no display or GPU for this render engine", false},
	{re(`no compatible GPUs? found|No devices? available to render`), []string{"compatible gpu", "available to render"}, renderer.WorkerFault, "no GPU that Blender can use", false},
	// Every worker with the build that the job is pinned to lacks it alike.
	{re(`Build without Open(Image)?Denois`), []string{"build without open"}, renderer.JobFault, "this Blender was built without the denoiser that the scene asks for; turn denoising off in the scene, or give the workers a Blender that has it", false},
	{re(`No device available to denoise`), []string{"no device available"}, renderer.WorkerFault, "there is no device for the denoiser that the scene asks for", false},
	{re(`File written by newer Blender binary|Not a blend file|Failed to read blend file|Unable to read file|Cannot read file`), []string{"newer blender", "a blend file", "read blend file", "read file"}, renderer.JobFault, "this Blender cannot open the scene", false},
	{re(`Cannot render, no camera|No camera found in scene|no active camera`), []string{"camera"}, renderer.JobFault, "the scene has no active camera", false},
	{re(`Image too small`), []string{"image too small"}, renderer.JobFault, "the picture or its render region is less than one pixel", false},
	{re(`No (render output node|Composite output node)`), []string{"output node"}, renderer.JobFault, "the compositor has no output", false},
	{re(`(cannot|unable to|can't) (find|open|read) (lib|library|file)`), []string{"cannot ", "unable to ", "can't "}, renderer.JobFault, "a file of the scene is missing or unreadable", false},
	{re(`^Traceback|Python script (error|failed)`), []string{"traceback", "python script"}, renderer.JobFault, "a Python error", false},
}

// fits reports whether a line shows the cause. Blender prints a line for each
// sample, so the expression is only asked where one of its words is.
func (c *cause) fits(line, lower string) bool {
	return slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(lower, w) }) && c.pattern.MatchString(line)
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(`(?i)` + s) }

const (
	tailLines  = 20
	tailLength = 300 // characters of a line
)

// tail keeps the end of a log and the causes seen anywhere in it.
type tail struct {
	lines []string
	cause *cause
	at    string // the line that showed the cause
}

func newTail() *tail { return &tail{} }

func (t *tail) add(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	lower := strings.ToLower(line)
	for i := range causes {
		c := &causes[i]
		if (t.cause == nil || c.fatal && !t.cause.fatal) && c.fits(line, lower) {
			t.cause, t.at = c, clip(line)
		}
	}
	if len(t.lines) == tailLines {
		t.lines = t.lines[1:]
	}
	t.lines = append(t.lines, clip(line))
}

func clip(line string) string {
	if len(line) > tailLength {
		return strings.ToValidUTF8(line[:tailLength], "") + "…"
	}
	return line
}

// crash explains the end of Blender. A crash whose cause is not known counts
// against the job, a kill from outside against the worker.
func (t *tail) crash(how string, killed bool) *renderer.Fault {
	f := &renderer.Fault{Party: renderer.JobFault, Message: "Blender " + how}
	switch {
	case t.cause != nil:
		f.Party, f.Message = t.cause.party, t.cause.says+": "+t.at+" (Blender "+how+")"
	case killed:
		f.Party = renderer.WorkerFault
	}
	if t.cause == nil && len(t.lines) > 0 {
		f.Message += "; its last lines: " + strings.Join(t.lines[max(0, len(t.lines)-3):], " | ")
	}
	return f
}

// failure explains an answer, nil when the frame is good.
func (t *tail) failure(a answer) *renderer.Fault {
	if a.OK && (t.cause == nil || !t.cause.fatal) {
		return nil
	}
	if t.cause == nil {
		t.match(a.Error)
	}
	if t.cause != nil {
		text := t.cause.says
		if a.Error != "" && !strings.Contains(t.at, a.Error) {
			text += ": " + oneLine(a.Error)
		} else if t.at != "" {
			text += ": " + t.at
		}
		return &renderer.Fault{Party: t.cause.party, Message: text}
	}
	party := renderer.Party(a.Party)
	if party != renderer.WorkerFault {
		party = renderer.JobFault
	}
	return &renderer.Fault{Party: party, Message: oneLine(a.Error)}
}

// Diagnose looks in Blender's log for a line that says why a render failed, nil
// when there is none.
func Diagnose(log string) *renderer.Fault {
	t := newTail()
	for line := range strings.Lines(log) {
		t.add(strings.TrimRight(line, "\r\n"))
	}
	if t.cause == nil {
		return nil
	}
	return &renderer.Fault{Party: t.cause.party, Message: t.cause.says + ": " + t.at}
}

func (t *tail) match(text string) {
	for i := range causes {
		if causes[i].fits(text, strings.ToLower(text)) {
			t.cause, t.at = &causes[i], oneLine(text)
			return
		}
	}
}

// oneLine makes a text of several lines fit a message.
func oneLine(s string) string {
	return clip(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " "))
}
