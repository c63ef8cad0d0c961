package blender

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sceneScript saves scenes with all kinds of settings and writes, beside each,
// what Blender itself says of them.
const sceneScript = `
import bpy, json, os, sys
out = sys.argv[sys.argv.index('--') + 1]

def told(s):
    r = s.render
    i = r.image_settings
    views = [dict(name=v.name, suffix=v.file_suffix, **({} if v.use else {'off': True})) for v in r.views]
    d = dict(name=s.name, start=s.frame_start, end=s.frame_end, step=s.frame_step, current=s.frame_current,
        width=r.resolution_x, height=r.resolution_y, percentage=r.resolution_percentage, engine=r.engine,
        format=i.file_format, color_mode=i.color_mode, color_depth=int(i.color_depth), output=r.filepath,
        camera=s.camera.name if s.camera else '', border=r.use_border, crop=r.use_crop_to_border,
        region=dict(MinX=r.border_min_x, MaxX=r.border_max_x, MinY=r.border_min_y, MaxY=r.border_max_y),
        multiview=r.use_multiview,
        samples=s.cycles.samples if r.engine == 'CYCLES' and 'cycles' in s else s.eevee.taa_render_samples if r.engine == 'BLENDER_EEVEE' else 0)
    if r.use_multiview:
        d['view_format'] = i.views_format
        d['views'] = views
        d['stereo'] = dict(Display=i.stereo_3d_format.display_mode, Squeezed=i.stereo_3d_format.use_squeezed_frame)
    return d

def save(name, compress=False):
    path = os.path.join(out, name + '.blend')
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=compress)
    with open(os.path.join(out, name + '.json'), 'w') as f:
        json.dump(dict(active=bpy.context.scene.name, cameras=sorted(o.name for o in bpy.data.objects if o.type == 'CAMERA'),
            scenes=[told(s) for s in bpy.data.scenes]), f)

s = bpy.context.scene
save('default')
save('default-zstd', True)
r = s.render
r.resolution_x, r.resolution_y, r.resolution_percentage = 333, 217, 37
s.frame_start, s.frame_end, s.frame_step = -3, 47, 2
s.frame_set(7)
r.engine = 'CYCLES'
s.cycles.samples = 5
r.filepath = '//кадры/x_####'
r.use_border = True
r.border_min_x, r.border_max_x, r.border_min_y, r.border_max_y = .1, .77, .33, .5
save('border')
r.use_crop_to_border = True
save('crop')
r.use_border = False
for f in ('PNG', 'JPEG', 'OPEN_EXR', 'OPEN_EXR_MULTILAYER', 'TIFF', 'TARGA', 'TARGA_RAW', 'BMP', 'HDR', 'FFMPEG', 'WEBP', 'JPEG2000', 'CINEON', 'DPX', 'IRIS', 'AVI_JPEG'):
    try:
        r.image_settings.file_format = f
    except TypeError:
        continue  # this build has it not
    save('format-' + f)
r.image_settings.file_format = 'PNG'
for m, d in (('BW', '8'), ('RGB', '16'), ('RGBA', '8')):
    r.image_settings.color_mode, r.image_settings.color_depth = m, d
    save('color-' + m)
r.use_multiview = True
save('multiview')
for v, d in (('INDIVIDUAL', None), ('STEREO_3D', 'SIDEBYSIDE'), ('STEREO_3D', 'TOPBOTTOM'), ('STEREO_3D', 'ANAGLYPH')):
    r.image_settings.views_format = v
    if d:
        r.image_settings.stereo_3d_format.display_mode = d
    save('stereo-%s-%s' % (v, d))
r.image_settings.stereo_3d_format.use_squeezed_frame = True
save('stereo-squeezed')
r.use_multiview = False
s.camera = None
second = bpy.data.scenes.new('Вторая')
second.frame_end = 12
cam = bpy.data.objects.new('Cam Two', bpy.data.cameras.new('c'))
second.collection.objects.link(cam)
second.camera = cam
bpy.context.window.scene = second
save('two-scenes', True)
`

func TestReadSceneAgainstBlender(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runBlender(t, sceneScript, dir)
	scenes, err := filepath.Glob(filepath.Join(dir, "*.blend"))
	if err != nil || len(scenes) < 20 {
		t.Fatalf("%d scenes made, %v", len(scenes), err)
	}
	for _, path := range scenes {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			var want Scene
			data, err := os.ReadFile(strings.TrimSuffix(path, ".blend") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			got, err := ReadSceneFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Files) != 0 {
				t.Errorf("files %v in a scene that has none", got.Files)
			}
			got.Version, got.Files, got.Folder = 0, nil, ""
			byName := func(a, b Settings) int { return strings.Compare(a.Name, b.Name) }
			slices.SortFunc(got.Scenes, byName)
			slices.SortFunc(want.Scenes, byName)
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("-Blender +Drover\n%s", diff)
			}
		})
	}
}
