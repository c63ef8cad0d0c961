package flamenco

import (
	"fmt"
	"strconv"
	"strings"
)

// Scripts go to Blender as one argument after --python-expr (since Blender
// 2.72), so nothing has to be written where workers find it. They are made of
// numbers and of texts quoted by quote.

// quote writes a text as a literal of Python; Go's ASCII literals are ones.
func quote(s string) string { return strconv.QuoteToASCII(s) }

// sizeScript sets what the well-known render settings scripts set.
func sizeScript(p preset) string {
	return fmt.Sprintf("import bpy;r=bpy.context.scene.render;r.resolution_x=%d;r.resolution_y=%d", p.width, p.height)
}

// tileScript lets a horizontal strip of the picture be rendered, counted from
// below, into files that keep all passes.
func tileScript(tile, tiles int) string {
	return fmt.Sprintf("import bpy;r=bpy.context.scene.render;r.use_border=True;r.use_crop_to_border=False;r.use_compositing=False;"+
		"r.image_settings.file_format='OPEN_EXR_MULTILAYER';r.border_min_x=0;r.border_max_x=1;r.border_min_y=%d/%d;r.border_max_y=%d/%d",
		tile, tiles, tile+1, tiles)
}

// mixScript puts the strips of a frame, which lie in the output folder, together:
// each over the ones before, since a strip is transparent where it ends.
func mixScript(tiles int, frame int64) string {
	return strings.Join([]string{
		"import bpy,os", "s=bpy.context.scene", "s.render.use_border=False", "s.render.use_compositing=True", "s.use_nodes=True",
		"t=s.node_tree", "t.nodes.clear()", "d=os.path.dirname(bpy.path.abspath(s.render.filepath))", fmt.Sprintf("k=%d", tiles),
		"new=lambda n:t.nodes.new('CompositorNode'+n)",
		fmt.Sprintf("f=[bpy.data.images.load(os.path.join(d,'tiled_%%d_%04d.exr'%%i)) for i in range(k)]", frame),
		"n=[new('Image') for i in range(k)]", "[setattr(n[i],'image',f[i]) for i in range(k)]",
		"a=[new('AlphaOver') for i in range(k-1)]",
		"[(t.links.new((a[i-1] if i else n[0]).outputs[0],a[i].inputs[1]),t.links.new(n[i+1].outputs[0],a[i].inputs[2])) for i in range(k-1)]",
		"t.links.new((a[-1] if a else n[0]).outputs[0],new('Composite').inputs[0])",
	}, ";")
}

// overrides are what a job of the farm changes of its scene; zero values change
// nothing. internal/renderer/blender does the same for native workers.
type overrides struct {
	engine, format, camera string
	width, height, samples int
}

// script makes Blender render as the job wants it.
func (o overrides) script() string {
	var b strings.Builder
	b.WriteString("import bpy,os\ns=bpy.context.scene\nr=s.render\n")
	if o.engine != "" {
		other := map[string]string{"BLENDER_EEVEE": "BLENDER_EEVEE_NEXT", "BLENDER_EEVEE_NEXT": "BLENDER_EEVEE"}[o.engine]
		fmt.Fprintf(&b, "try: r.engine=%s\nexcept TypeError: r.engine=%s\n", quote(o.engine), quote(orText(other, o.engine)))
	}
	if o.width > 0 || o.height > 0 {
		fmt.Fprintf(&b, "x,y,w,h=r.resolution_x,r.resolution_y,%d,%d\n", o.width, o.height)
		b.WriteString("r.resolution_x=w or max(1,int(h*x/y+.5))\nr.resolution_y=h or max(1,int(w*y/x+.5))\nr.resolution_percentage=100\n")
	}
	if o.samples > 0 {
		fmt.Fprintf(&b, "if r.engine=='CYCLES': s.cycles.samples=%d\nelif hasattr(s,'eevee'): s.eevee.taa_render_samples=%d\n", o.samples, o.samples)
	}
	if o.camera != "" {
		fmt.Fprintf(&b, "s.camera=bpy.data.objects[%s]\n", quote(o.camera))
	}
	if o.format != "" {
		fmt.Fprintf(&b, "i=r.image_settings\nif hasattr(i,'media_type'): i.media_type=%s\ni.file_format=%s\n",
			quote(map[bool]string{true: "MULTI_LAYER_IMAGE", false: "IMAGE"}[o.format == "OPEN_EXR_MULTILAYER"]), quote(o.format))
	}
	b.WriteString("r.use_file_extension=True\nr.use_overwrite=True\nr.use_placeholder=False\n")
	b.WriteString("for n in (s.node_tree.nodes if getattr(s,'node_tree',None) else ()):\n if n.bl_idname=='CompositorNodeOutputFile' and hasattr(n,'base_path'): n.base_path=os.path.dirname(r.filepath)\n")
	return b.String()
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
