package sheepit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer/blender"
)

//go:embed frame.py
var frameScript string

// scriptConfig is what frame.py is told of a frame.
type scriptConfig struct {
	Frame    int64        `json:"frame"`
	Threads  int64        `json:"threads"` // 0: all
	Scene    string       `json:"scene"`
	Camera   string       `json:"camera"`
	Engine   string       `json:"engine"`
	Format   string       `json:"format"`
	Width    int          `json:"width"`
	Height   int          `json:"height"`
	Samples  int          `json:"samples"`
	Original string       `json:"original"` // path of the scene where it was submitted
	Depth    int          `json:"depth"`    // folders between the archive and the scene
	Rules    []scriptRule `json:"rules"`
}

// scriptRule is an OpenJD path mapping rule whose destination lies in the
// archive.
type scriptRule struct {
	Format      string `json:"source_path_format"`
	Source      string `json:"source_path"`
	Destination string `json:"destination_path"`
}

// script is the Python that a client has Blender run once the scene is open. It
// is plain ASCII, so that it does not matter how the client writes the file.
func script(s *farm.Spec, l *layout, frame, threads int64) (string, error) {
	p := s.Parameters
	whole := func(name string) int {
		n, _ := strconv.Atoi(p[name]) // the template allows numbers only
		return n
	}
	c := scriptConfig{
		Frame: frame, Threads: min(threads, 1024), Scene: p["SceneName"], Camera: p["Camera"], Engine: p["Engine"], Format: p["Format"],
		Width: whole("Width"), Height: whole("Height"), Samples: whole("Samples"), Original: p["Scene"], Depth: strings.Count(l.scene, "/"),
	}
	for root, prefix := range l.prefix {
		c.Rules = append(c.Rules, scriptRule{s.Roots[root].Format, s.Roots[root].Path, path.Clean("./" + prefix)})
	}
	// The first rule that fits counts: the innermost folder goes first.
	slices.SortFunc(c.Rules, func(a, b scriptRule) int {
		if d := len(b.Source) - len(a.Source); d != 0 {
			return d
		}
		return strings.Compare(a.Source, b.Source)
	})
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("describe the frame to its script: %w", err)
	}
	return blender.SceneScript + strings.Replace(frameScript, "CONFIG_JSON", strconv.QuoteToASCII(string(text)), 1), nil
}
