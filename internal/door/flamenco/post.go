package flamenco

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"drover.farm/internal/renderer"
)

// The compilers that are known, by the types of tasks.
const (
	typePrint  = "print_string"
	typeSimple = "simple_blender_render"           // of both generations
	typeFrames = "blender_simple_render"           // of 2016, with a list of frames
	typeTurbo  = "blender_simple_render_turbo"     // the same command
	typeTile   = "tiled_blender_render"            // one strip of each frame
	typeMix    = "tiled_blender_render_simple_mix" // the strips put together
)

var types = []string{typePrint, typeSimple, typeFrames, typeTurbo, typeTile, typeMix}

// post is a task as somebody posted it: what the note of its job holds.
type post struct {
	ID       int64           `json:"id"`
	Type     string          `json:"type"`
	Parser   string          `json:"parser,omitempty"`
	Priority int             `json:"priority"`
	Settings json.RawMessage `json:"settings,omitempty"`
	JobID    int64           `json:"job_id,omitempty"`   // the poster's own number of the whole render
	Child    int64           `json:"child_id,omitempty"` // the task that waits for this one's files
	order    *order
}

// order is what the settings of a task ask for, checked.
type order struct {
	text     string
	file     paths // the scene, where workers share storage
	output   paths
	filepath string // the scene in the archive of the job
	script   string // of render settings
	command  string // another program than the default one, by its name in the job type
	format   string
	frames   renderer.Frames
	tile     int
	tiles    int
}

const (
	defaultCommand = "default"

	maxSettings  = 64 << 10
	maxPath      = 1024 // of OpenJD parameters
	maxTiles     = 1000
	lastFrame    = 1_048_574     // of Blender, in both directions
	firstForeign = 1_000_000_000 // ids of work that was not posted here
)

// parseOrder reads the settings of a task of a type that is known.
func parseOrder(kind string, settings []byte) (*order, error) {
	if len(settings) > maxSettings {
		return nil, wrong("settings", fmt.Sprintf("they are longer than the %d bytes that a task may have", maxSettings))
	}
	if !utf8.Valid(settings) {
		return nil, wrong("settings", "they are not UTF-8")
	}
	s := setting{}
	dec := json.NewDecoder(bytes.NewReader(settings))
	dec.UseNumber()
	if err := dec.Decode(&s.values); err != nil || s.values == nil || len(bytes.TrimSpace(settings[dec.InputOffset():])) > 0 {
		return nil, wrong("settings", "they are not the text of a JSON object")
	}
	o := &order{file: s.paths("file_path_"), output: s.paths("output_path_")}
	if kind == typePrint {
		if o.text = s.text("text"); s.err == nil && (o.text == "" || utf8.RuneCountInString(o.text) > maxPath) {
			s.fail("text", "is missing or longer than %d characters", maxPath)
		}
		return o, s.err
	}
	o.filepath, o.script, o.format = s.text("filepath"), s.text("render_settings"), s.text("format")
	s.checkFiles(o)
	if o.command = s.text("command_name"); o.command == defaultCommand {
		o.command = ""
	}
	o.frames = s.frames()
	if kind == typeTile || kind == typeMix {
		o.tiles = int(s.whole("tiles", 1, maxTiles))
	}
	if kind == typeTile && s.err == nil {
		o.tile = int(s.whole("tile", 0, int64(o.tiles)-1))
	}
	if kind == typeMix && s.err == nil && o.frames.Len() != 1 {
		s.fail("frame_end", "is another frame than frame_start: strips are put together one frame at a time")
	}
	return o, s.err
}

// setting reads members of the settings; the first fault stays.
type setting struct {
	values map[string]any
	err    error
}

func (s *setting) fail(name, format string, args ...any) {
	if s.err == nil {
		s.err = wrong("settings", name+" "+fmt.Sprintf(format, args...))
	}
}

func (s *setting) text(name string) string {
	switch v := s.values[name].(type) {
	case nil:
		return ""
	case string:
		if strings.ContainsFunc(v, isControl) && name != "text" || strings.ContainsRune(v, 0) {
			s.fail(name, "has control characters")
		}
		return v
	default:
		s.fail(name, "is no text")
		return ""
	}
}

// whole is a number, also one that is written as a text.
func (s *setting) whole(name string, min, max int64) int64 {
	text := ""
	switch v := s.values[name].(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < min || n > max {
		s.fail(name, "is missing or no whole number from %d to %d", min, max)
		return min
	}
	return n
}

// paths are the members name_linux, name_win and name_osx. None may be taken for
// an option of the program that gets it.
func (s *setting) paths(name string) paths {
	p := make(paths)
	for _, sys := range systems {
		v := s.text(name + string(sys))
		if v == "" {
			continue
		}
		if v[0] == '-' || len(v) > maxPath || slices.Contains(parts(sys, v), "..") {
			s.fail(name+string(sys), "begins with -, has .. in it or is longer than %d bytes", maxPath)
		}
		p[sys] = v
	}
	return p
}

func (s *setting) checkFiles(o *order) {
	switch {
	case o.filepath != "" && (len(o.filepath) > maxPath || path.Clean(o.filepath) != o.filepath || strings.ContainsAny(o.filepath, `\:`) ||
		o.filepath[0] == '/' || o.filepath[0] == '-' || strings.HasPrefix(o.filepath, "..")):
		s.fail("filepath", "is no relative path with slashes, without .. and :")
	case o.script != "" && checkScript(o.script) != nil:
		s.fail("render_settings", "%v", checkScript(o.script))
	case strings.Trim(o.format, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || len(o.format) > 32:
		s.fail("format", "is no picture format")
	case o.filepath == "" && len(o.file) == 0:
		s.fail("file_path_linux", "is missing: a render needs file_path_linux, file_path_win, file_path_osx, or filepath and an archive")
	}
}

// checkScript accepts the name of a file in the folder of render settings.
func checkScript(name string) error {
	if name == "" || len(name) > 255 || name[0] == '-' || name[0] == '.' || strings.ContainsAny(name, `/\:`) || strings.ContainsFunc(name, isControl) {
		return fmt.Errorf("%q is not the name of a file in the folder of render settings", clip(name, 50))
	}
	return nil
}

// frames are the member frames, such as "1-3,7", or frame_start to frame_end.
func (s *setting) frames() renderer.Frames {
	var f renderer.Frames
	var err error
	if list := s.text("frames"); list != "" {
		f, err = renderer.ParseFrames(list)
	} else {
		first := s.whole("frame_start", -lastFrame, lastFrame)
		last := s.whole("frame_end", -lastFrame, lastFrame)
		if s.err != nil {
			return f
		}
		f, err = renderer.FrameRange(first, last, 1)
	}
	switch runs := f.Runs(); {
	case err != nil:
		s.fail("frames", "cannot be read: %v", err)
	case runs[0].Start < -lastFrame || runs[len(runs)-1].End > lastFrame || len(f.String()) > maxPath:
		s.fail("frames", "lie outside of what Blender has, or are too many parts")
	}
	return f
}

// first and last are the ends of the frames, 0 for a task without.
func (o *order) ends() (first, last int64) {
	runs := o.frames.Runs()
	if len(runs) == 0 {
		return 0, 0
	}
	return runs[0].Start, runs[len(runs)-1].End
}

// want is the order of a post, read again from its settings.
func (p *post) want() (*order, error) {
	if p.order == nil {
		o, err := parseOrder(p.Type, p.Settings)
		if err != nil {
			return nil, fmt.Errorf("the settings of task %d: %w", p.ID, err)
		}
		p.order = o
	}
	return p.order, nil
}
