// Package blender is what Drover knows of Blender: it reads scenes (.blend)
// without running them, plans a render of them as an OpenJD job, keeps Blender
// loaded while it renders frame after frame, and reads what Blender prints.
package blender

import (
	"fmt"
	"math"
)

// Scene is what a .blend says about rendering it.
type Scene struct {
	Version int        `json:"version"` // of the Blender that saved it: 304 is 3.4, 402 is 4.2
	Active  string     `json:"active"`  // name of the scene that is shown when the file is opened
	Scenes  []Settings `json:"scenes"`  // every scene in it
	Cameras []string   `json:"cameras"` // names of all camera objects, sorted
	Files   []File     `json:"files"`   // files beside the .blend that it needs
	// Folder is where paths that begin with // start; "" until Resolve.
	Folder string `json:"folder,omitempty"`
	// Cut says that the file has more cameras or files than are kept.
	Cut bool `json:"cut,omitempty"`
}

// Settings are the render settings of one scene.
type Settings struct {
	Name       string `json:"name"`
	Start      int    `json:"start"`
	End        int    `json:"end"`
	Step       int    `json:"step"`
	Current    int    `json:"current"`
	Width      int    `json:"width"`  // before Percentage
	Height     int    `json:"height"` // before Percentage
	Percentage int    `json:"percentage"`
	Engine     string `json:"engine"` // CYCLES, BLENDER_EEVEE, BLENDER_EEVEE_NEXT, BLENDER_WORKBENCH, …
	Samples    int    `json:"samples"`
	Format     string `json:"format"`      // PNG, JPEG, OPEN_EXR, FFMPEG, … as Blender's Python names them
	ColorMode  string `json:"color_mode"`  // BW, RGB or RGBA
	ColorDepth int    `json:"color_depth"` // bits of a channel
	Output     string `json:"output"`      // where the scene itself would write
	Camera     string `json:"camera"`      // the active camera; "" when there is none
	// Border and Crop: only a part of the picture is rendered, and the file has
	// only that part if Crop is set too. Region is that part from 0 to 1.
	Border bool   `json:"border"`
	Crop   bool   `json:"crop"`
	Region Region `json:"region"`
	// Multiview: several views (stereo) are rendered. ViewFormat says how they
	// are written: INDIVIDUAL, STEREO_3D or MULTIVIEW; Views names them.
	Multiview  bool     `json:"multiview"`
	ViewFormat string   `json:"view_format,omitempty"`
	Views      []View   `json:"views,omitempty"`
	Stereo     Stereo3D `json:"stereo,omitzero"`
}

// Region is a part of a picture, in shares of its width and height from the
// lower left corner.
type Region struct {
	MinX, MaxX, MinY, MaxY float32
}

// View is one view of a multiview render. Suffix goes between the name of the
// picture and its extension.
type View struct {
	Name   string `json:"name"`
	Suffix string `json:"suffix"`
	Off    bool   `json:"off,omitempty"`
}

// Stereo3D says how two views share one picture.
type Stereo3D struct {
	Display  string // ANAGLYPH, INTERLACE, TIMESEQUENTIAL, SIDEBYSIDE or TOPBOTTOM
	Squeezed bool
}

// FileKind says what an external file is to the scene.
type FileKind string

// The kinds of a File.
const (
	ImageFile   FileKind = "image"
	LibraryFile FileKind = "library"
	SoundFile   FileKind = "sound"
	ClipFile    FileKind = "movie-clip"
	FontFile    FileKind = "font"
	VolumeFile  FileKind = "volume"
	CacheFile   FileKind = "cache"       // Alembic or USD
	MeshCache   FileKind = "mesh-cache"  // MDD or PC2
	PointCache  FileKind = "point-cache" // a folder
	SimCache    FileKind = "simulation"  // a folder of baked fluid, ocean or geometry nodes
	StripFile   FileKind = "strip"       // of the video sequencer
	IESFile     FileKind = "ies"
	ScriptFile  FileKind = "script" // Open Shading Language
)

// File is one external file of a scene, or a set of them.
type File struct {
	Kind     FileKind `json:"kind"`
	Name     string   `json:"name"` // of the data-block that uses it
	Path     string   `json:"path"` // as written; // at its beginning stands for the scene's folder
	Sequence bool     `json:"sequence,omitempty"`
	UDIM     bool     `json:"udim,omitempty"`
	Folder   bool     `json:"folder,omitempty"`
	// Optional files are results that Blender works without.
	Optional bool   `json:"optional,omitempty"`
	Resolved string `json:"resolved,omitempty"` // set by Resolve
	Exists   bool   `json:"exists"`             // set by Resolve
}

// ActiveScene gives the settings of the scene that renders unless another is
// named; nil when the file has none, as libraries may.
func (s *Scene) ActiveScene() *Settings {
	if a := s.Find(s.Active); a != nil {
		return a
	}
	if len(s.Scenes) > 0 {
		return &s.Scenes[0]
	}
	return nil
}

// Find gives the settings of the scene called name, nil when there is none.
func (s *Scene) Find(name string) *Settings {
	for i := range s.Scenes {
		if s.Scenes[i].Name == name {
			return &s.Scenes[i]
		}
	}
	return nil
}

// Missing lists the files that Resolve did not find and the scene needs.
func (s *Scene) Missing() []File {
	var out []File
	for _, f := range s.Files {
		if !f.Exists && !f.Optional {
			out = append(out, f)
		}
	}
	return out
}

// VersionText is the version as people write it, such as "3.4".
func (s *Scene) VersionText() string { return header{version: s.Version}.versionText() }

// Size is the width and height of a picture.
type Size struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// ExpectedSize is the size of each picture as Blender rounds it: percentage and
// region cut down to whole pixels, the region's edges each on their own. The
// error of a size that Blender refuses says so. When a scene writes its views
// as separate files, each has this size.
func (s *Settings) ExpectedSize() (Size, error) {
	return s.SizeFor(0, 0)
}

// SizeFor is ExpectedSize with the scene's width and height replaced, and its
// percentage with them, by those that are not 0.
func (s *Settings) SizeFor(width, height int) (Size, error) {
	size := Size{s.Width * s.Percentage / 100, s.Height * s.Percentage / 100}
	if width > 0 || height > 0 {
		size = scaled(s.Width, s.Height, width, height)
	}
	if size.Width < 1 || size.Height < 1 {
		return Size{}, fmt.Errorf("%dx%d at %d%% is less than one pixel: Blender refuses to render it", s.Width, s.Height, s.Percentage)
	}
	if size.Width > math.MaxUint16 || size.Height > math.MaxUint16 {
		return Size{}, fmt.Errorf("%dx%d is larger than Blender renders (%d)", size.Width, size.Height, math.MaxUint16)
	}
	if s.Border {
		part := Size{span(s.Region.MinX, s.Region.MaxX, size.Width), span(s.Region.MinY, s.Region.MaxY, size.Height)}
		if part.Width < 1 || part.Height < 1 {
			return Size{}, fmt.Errorf("the render region is less than one pixel of %dx%d: Blender refuses to render it", size.Width, size.Height)
		}
		if s.Crop {
			size = part
		}
	}
	if s.Multiview && s.ViewFormat == "STEREO_3D" && !s.Stereo.Squeezed {
		switch s.Stereo.Display {
		case "SIDEBYSIDE":
			size.Width *= 2
		case "TOPBOTTOM":
			size.Height *= 2
		}
	}
	return size, nil
}

// scaled gives the asked size; one side that was not asked for follows the
// scene's shape.
func scaled(sceneW, sceneH, w, h int) Size {
	switch {
	case h == 0 && sceneW > 0:
		h = max(1, int(math.Round(float64(w)*float64(sceneH)/float64(sceneW))))
	case w == 0 && sceneH > 0:
		w = max(1, int(math.Round(float64(h)*float64(sceneW)/float64(sceneH))))
	}
	return Size{w, h}
}

// span is how many of n pixels lie between two shares of them. Blender works
// in single precision here.
func span(lo, hi float32, n int) int { return int(hi*float32(n)) - int(lo*float32(n)) }
