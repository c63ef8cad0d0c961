package blender

import "strconv"

// Values of RenderData and ImageFormatData, proved against files that Blender
// 3.4 wrote.
const (
	modeCrop       = 1 << 11
	modeBorder     = 1 << 9
	scemodeViews   = 1 << 21
	viewOff        = 1 << 0
	stereoSqueezed = 1 << 2
)

var imageTypes = map[int64]string{
	0: "TARGA", 1: "IRIS", 4: "JPEG", 14: "TARGA_RAW", 15: "AVI_RAW", 16: "AVI_JPEG", 17: "PNG",
	20: "BMP", 21: "HDR", 22: "TIFF", 23: "OPEN_EXR", 24: "FFMPEG", 26: "CINEON", 27: "DPX",
	28: "OPEN_EXR_MULTILAYER", 29: "DDS", 30: "JPEG2000", 31: "FFMPEG", 32: "FFMPEG", 33: "FFMPEG",
	34: "PSD", 35: "WEBP", 36: "AVIF",
}

var (
	colorModes    = map[int64]string{8: "BW", 24: "RGB", 32: "RGBA"}
	colorDepths   = map[int64]int{1: 1, 2: 8, 4: 10, 8: 12, 16: 16, 32: 24, 64: 32}
	viewFormats   = map[int64]string{0: "INDIVIDUAL", 1: "STEREO_3D", 2: "MULTIVIEW"}
	stereoDisplay = map[int64]string{0: "ANAGLYPH", 1: "INTERLACE", 2: "TIMESEQUENTIAL", 3: "SIDEBYSIDE", 4: "TOPBOTTOM"}
)

// settings reads the render settings of a scene.
func settings(o *owner) Settings {
	r := o.rec
	s := Settings{
		Name:       r.idName(),
		Start:      int(r.int("r.sfra")),
		End:        int(r.int("r.efra")),
		Step:       max(1, int(r.int("r.frame_step"))),
		Current:    int(r.int("r.cfra")),
		Width:      int(r.int("r.xsch")),
		Height:     int(r.int("r.ysch")),
		Percentage: int(r.int("r.size")),
		Engine:     r.text("r.engine"),
		Format:     imageType(r.int("r.im_format.imtype")),
		ColorMode:  colorModes[r.int("r.im_format.planes")],
		ColorDepth: colorDepths[r.int("r.im_format.depth")],
		Output:     r.text("r.pic"),
		Border:     r.int("r.mode")&modeBorder != 0,
		Crop:       r.int("r.mode")&modeCrop != 0,
		Region: Region{
			MinX: r.float("r.border.xmin"), MaxX: r.float("r.border.xmax"),
			MinY: r.float("r.border.ymin"), MaxY: r.float("r.border.ymax"),
		},
		Multiview: r.int("r.scemode")&scemodeViews != 0,
	}
	if s.Multiview {
		s.Views = o.views
		s.ViewFormat = viewFormats[r.int("r.im_format.views_format")]
		s.Stereo = Stereo3D{
			Display:  stereoDisplay[r.int("r.im_format.stereo3d_format.display_mode")],
			Squeezed: r.int("r.im_format.stereo3d_format.flag")&stereoSqueezed != 0,
		}
	}
	s.Samples = samples(o, s.Engine)
	return s
}

func imageType(n int64) string {
	if name := imageTypes[n]; name != "" {
		return name
	}
	return "UNKNOWN_" + strconv.FormatInt(n, 10)
}

// samples finds how many samples a pixel gets; 0 when the scene leaves it to
// Blender's default. Cycles keeps its settings as custom properties of the
// scene, since Blender 5 among the system's properties.
func samples(o *owner, engine string) int {
	switch engine {
	case "CYCLES":
		for _, root := range []string{"id.system_properties", "id.properties"} {
			if group, ok := o.child(o.props[o.rec.ptr(root)], "cycles"); ok {
				if p, ok := o.child(group, "samples"); ok {
					return int(p.int("data.val"))
				}
			}
		}
	case "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT":
		return int(o.rec.int("eevee.taa_render_samples"))
	}
	return 0
}

// child finds the property called name in a group. A list that leads back to
// itself ends after as many steps as there are properties.
func (o *owner) child(group record, name string) (record, bool) {
	addr := group.ptr("data.group.first")
	for range len(o.props) {
		p, ok := o.props[addr]
		if !ok {
			return record{}, false
		}
		if p.text("name") == name {
			return p, true
		}
		addr = p.ptr("next")
	}
	return record{}, false
}
