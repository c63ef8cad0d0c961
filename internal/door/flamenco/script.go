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
// below, into files that keep all passes as they are.
func tileScript(tile, tiles int) string {
	return fmt.Sprintf("import bpy;r=bpy.context.scene.render;r.use_border=True;r.use_crop_to_border=False;r.use_compositing=False;"+
		"i=r.image_settings;i.file_format='OPEN_EXR_MULTILAYER';i.color_depth='32';r.border_min_x=0;r.border_max_x=1;r.border_min_y=%d/%d;r.border_max_y=%d/%d",
		tile, tiles, tile+1, tiles)
}

// Where mixScript finds the strips: beside the picture, or, as an archive of them
// is unpacked by a worker of 2016, in the folder of the job.
const (
	outputFolder = "os.path.dirname(bpy.path.abspath(r.filepath))"
	jobFolder    = "os.environ['WORKER_JOBPATH']"
)

// mixScript puts the strips of a frame together: they take the place of the
// rendered layers in the scene's own compositing. A strip is empty where it ends,
// so each picture is laid over the ones before, and other passes are added;
// depth is far away there.
func mixScript(tiles int, frame int64, from string) string {
	return fmt.Sprintf(`import bpy,os
s=bpy.context.scene
r=s.render
keep=s.use_nodes and r.use_compositing
s.use_nodes=True
r.use_border,r.use_compositing=0,1
t=s.node_tree
N=lambda k:t.nodes.new('CompositorNode'+k)
L=t.links.new
if not keep:
 t.nodes.clear()
 L(N('RLayers').outputs[0],N('Composite').inputs[0])
d=%s
f=[bpy.data.images.load(os.path.join(d,'tiled_%%d_%04d.exr'%%i)) for i in range(%d)]
for q in [n for n in t.nodes if n.type=='R_LAYERS' and n.scene==s]:
 for o in [o for o in q.outputs if o.is_linked]:
  p=None
  k='AlphaOver' if o.name=='Image' else 'Math' if o.type=='VALUE' else 'MixRGB'
  c=k!='Math'
  for i in f:
   n=N('Image')
   n.image=i
   if n.has_layers: n.layer=q.layer
   x=n.outputs[{'Image':'Combined'}.get(o.name,o.name)]
   if p:
    m=N(k)
    if k=='MixRGB': m.blend_type='ADD'
    if o.name=='Depth': m.operation='MINIMUM'
    L(p,m.inputs[c])
    L(x,m.inputs[c+1])
    x=m.outputs[0]
   p=x
  for l in list(o.links): L(p,l.to_socket)
 t.nodes.remove(q)`, from, frame, tiles)
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
