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

// filesScript makes a scene that uses a file of every kind; some exist and some
// do not.
const filesScript = `
import bpy, os, sys
out = sys.argv[sys.argv.index('--') + 1]
os.makedirs(os.path.join(out, 'tex'))

def picture(name):
    i = bpy.data.images.new('made', 4, 4)
    i.filepath_raw = os.path.join(out, 'tex', name)
    i.file_format = 'PNG'
    i.save()
    bpy.data.images.remove(i)

def user(d):
    d.use_fake_user = True
    return d

for n in ('wood.png', 'packed.png', 'seq_0001.png', 'seq_0002.png', 'tile.1001.png', 'tile.1002.png', 'clip_01.png', 'strip_1.png'):
    picture(n)
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(out, 'lib.blend'))
main = os.path.join(out, 'main.blend')
bpy.ops.wm.save_as_mainfile(filepath=main)
tex = lambda n: os.path.join(out, 'tex', n)
user(bpy.data.images.load(tex('wood.png'))).filepath = '//tex/wood.png'
user(bpy.data.images.load(tex('packed.png'))).pack()
user(bpy.data.images.new('made up', 8, 8))
i = user(bpy.data.images.load(tex('seq_0001.png')))
i.source = 'SEQUENCE'
i = user(bpy.data.images.load(tex('tile.1001.png')))
i.source = 'TILED'
i.filepath = '//tex/tile.<UDIM>.png'
i = user(bpy.data.images.load(tex('wood.png')))
i.name, i.filepath = 'gone', '//tex/gone.png'
i = user(bpy.data.images.load(tex('wood.png')))
i.name, i.filepath = 'away', '//..\\elsewhere\\a.png'
with bpy.data.libraries.load(os.path.join(out, 'lib.blend'), link=True, relative=True) as (there, here):
    here.objects = ['Cube']
bpy.context.scene.collection.objects.link(bpy.data.objects['Cube', '//lib.blend'])
user(bpy.data.sounds.load('/nowhere/beat.wav'))
c = user(bpy.data.movieclips.load(tex('clip_01.png')))
user(bpy.data.volumes.new('smoke')).filepath = '//smoke.vdb'
cube = bpy.data.objects['Cube', None]
m = cube.modifiers.new('mc', 'MESH_CACHE')
m.filepath = '//bake.mdd'
soft = bpy.data.objects.new('Cloth', cube.data.copy())
bpy.context.scene.collection.objects.link(soft)
soft.modifiers.new('cloth', 'CLOTH').point_cache.use_disk_cache = True
lamp = bpy.data.objects['Light', None].data
lamp.use_nodes = True
n = lamp.node_tree.nodes.new('ShaderNodeTexIES')
n.mode, n.filepath = 'EXTERNAL', '//lamp.ies'
n = lamp.node_tree.nodes.new('ShaderNodeScript')
n.mode, n.filepath = 'EXTERNAL', '//shade.osl'
se = bpy.context.scene.sequence_editor_create()
se.sequences.new_image('pic', '//tex/strip_1.png', 1, 1)
bpy.ops.wm.save_as_mainfile(filepath=main)
`

func TestExternalFilesOfRealScene(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runBlender(t, filesScript, dir)
	s, err := ReadSceneFile(t.Context(), filepath.Join(dir, "main.blend"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]File{}
	for _, f := range s.Files {
		f.Resolved = strings.TrimPrefix(f.Resolved, dir)
		got[string(f.Kind)+" "+f.Path] = f
	}
	want := map[string]File{}
	for _, f := range []File{
		{Kind: ImageFile, Name: "wood.png", Path: "//tex/wood.png", Resolved: "/tex/wood.png", Exists: true},
		{Kind: ImageFile, Name: "seq_0001.png", Path: filepath.Join(dir, "tex/seq_0001.png"), Sequence: true, Resolved: "/tex/seq_0001.png", Exists: true},
		{Kind: ImageFile, Name: "tile.1001.png", Path: "//tex/tile.<UDIM>.png", UDIM: true, Resolved: "/tex/tile.<UDIM>.png", Exists: true},
		{Kind: ImageFile, Name: "gone", Path: "//tex/gone.png", Resolved: "/tex/gone.png"},
		{Kind: ImageFile, Name: "away", Path: `//..\elsewhere\a.png`, Resolved: filepath.Join(filepath.Dir(dir), "elsewhere/a.png")},
		{Kind: LibraryFile, Name: "lib.blend", Path: "//lib.blend", Resolved: "/lib.blend", Exists: true},
		{Kind: SoundFile, Name: "beat.wav", Path: "/nowhere/beat.wav", Resolved: "/nowhere/beat.wav"},
		{Kind: ClipFile, Name: "clip_01.png", Path: filepath.Join(dir, "tex/clip_01.png"), Sequence: true, Resolved: "/tex/clip_01.png", Exists: true},
		{Kind: VolumeFile, Name: "smoke", Path: "//smoke.vdb", Resolved: "/smoke.vdb"},
		{Kind: MeshCache, Name: "Cube", Path: "//bake.mdd", Resolved: "/bake.mdd"},
		{Kind: PointCache, Name: "Cloth", Path: "//blendcache_main", Folder: true, Optional: true, Resolved: "/blendcache_main"},
		{Kind: IESFile, Name: "Light", Path: "//lamp.ies", Resolved: "/lamp.ies"},
		{Kind: ScriptFile, Name: "Light", Path: "//shade.osl", Resolved: "/shade.osl"},
		{Kind: StripFile, Name: "strip_1.png", Path: "//tex/strip_1.png", Sequence: true, Resolved: "/tex/strip_1.png", Exists: true},
	} {
		want[string(f.Kind)+" "+f.Path] = f
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if n := len(s.Missing()); n != 7 {
		t.Errorf("%d files are missing, want 7: %v", n, s.Missing())
	}
}

func TestOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []string{
		"a.png", "s_001.exr", "s_002.exr", "s_x.exr", "s_003.png", "t.1001.png", "t.1042.png", "t.0999.png",
		"v.u1_v2.png", "v.ux_v1.png", "cache/a.vdb", "cache/deep/b.vdb", "9.tif", "10.tif",
	} {
		p := filepath.Join(dir, n)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		file File
		want []string
	}{
		{File{Path: "//a.png"}, []string{"a.png"}},
		{File{Path: "//b.png"}, nil},
		{File{Path: "//cache"}, nil},
		{File{Path: "//s_001.exr", Sequence: true}, []string{"s_001.exr", "s_002.exr"}},
		{File{Path: "//s_007.exr", Sequence: true}, []string{"s_001.exr", "s_002.exr"}},
		{File{Path: "//9.tif", Sequence: true}, []string{"10.tif", "9.tif"}},
		{File{Path: "//a.png", Sequence: true}, []string{"a.png"}},
		{File{Path: "//t.<UDIM>.png", UDIM: true}, []string{"t.1001.png", "t.1042.png"}},
		{File{Path: "//t.1001.png", UDIM: true}, []string{"t.1001.png", "t.1042.png"}},
		{File{Path: "//v.<UVTILE>.png", UDIM: true}, []string{"v.u1_v2.png"}},
		{File{Path: "//cache/", Folder: true}, []string{"cache/a.vdb", "cache/deep/b.vdb"}},
		{File{Path: "//nothing/", Folder: true}, nil},
	} {
		s := Scene{Files: []File{c.file}}
		s.Resolve(filepath.Join(dir, "x.blend"))
		var got []string
		for _, p := range s.Files[0].OnDisk() {
			got = append(got, strings.TrimPrefix(p, dir+"/"))
		}
		if diff := cmp.Diff(c.want, got); diff != "" || s.Files[0].Exists != (len(got) > 0) {
			t.Errorf("%+v: %s", c.file, diff)
		}
	}
}

func TestResolvePath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, want string }{
		{"//a/b.png", "/show/shot/a/b.png"},
		{"//../b.png", "/show/b.png"},
		{`//..\lib\x.blend`, "/show/lib/x.blend"},
		{"/abs/x.png", "/abs/x.png"},
		{"/abs/../x.png", "/x.png"},
		{"rel.png", "/show/shot/rel.png"},
		{`C:\tex\a.png`, `C:\tex\a.png`},
		{`\\server\share\a.png`, `\\server\share\a.png`},
	} {
		if got := resolvePath("/show/shot", c.path); got != c.want {
			t.Errorf("%q: got %q, want %q", c.path, got, c.want)
		}
	}
}

// sizesScript renders pictures of odd sizes and writes how large they became.
const sizesScript = `
import bpy, json, os, random, struct, sys
out = sys.argv[sys.argv.index('--') + 1]
random.seed(11)
s = bpy.context.scene
s.render.engine = 'CYCLES'
s.cycles.samples, s.cycles.use_denoising, s.cycles.use_adaptive_sampling = 1, False, False
for o in list(bpy.data.objects):
    if o.type != 'CAMERA':
        bpy.data.objects.remove(o)
s.world.use_nodes = False
r = s.render
r.image_settings.file_format = 'PNG'
r.filepath = os.path.join(out, 'x.png')
told = []
for n in range(80):
    r.resolution_x, r.resolution_y = random.randint(4, 200), random.randint(4, 200)
    r.resolution_percentage = random.choice([100, 50, 33, 37, 1, 2, 3, 7, 99, 150, 73])
    r.use_border, r.use_crop_to_border = random.random() < .7, random.random() < .8
    a, b = sorted([random.random(), random.random()])
    c, d = sorted([random.random(), random.random()])
    if n % 5 == 0:
        a, b, c, d = random.choice([(0, 1, 0, 1), (.25, .75, .5, 1), (.1, .2, .3, .31), (0, .5, 0, .5), (.5, .5, .2, .2)])
    r.border_min_x, r.border_max_x, r.border_min_y, r.border_max_y = a, b, c, d
    if os.path.exists(r.filepath):
        os.remove(r.filepath)
    w = h = 0
    try:
        bpy.ops.render.render(write_still=True)
        w, h = struct.unpack('>II', open(r.filepath, 'rb').read()[16:24])
    except RuntimeError:
        pass
    told.append(dict(Settings=dict(width=r.resolution_x, height=r.resolution_y, percentage=r.resolution_percentage,
        border=r.use_border, crop=r.use_crop_to_border,
        region=dict(MinX=r.border_min_x, MaxX=r.border_max_x, MinY=r.border_min_y, MaxY=r.border_max_y)), Size=dict(width=w, height=h)))
with open(os.path.join(out, 'sizes.json'), 'w') as f:
    json.dump(told, f)
`

func TestExpectedSizeAgainstBlender(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runBlender(t, sizesScript, dir)
	data, err := os.ReadFile(filepath.Join(dir, "sizes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var told []struct {
		Settings Settings
		Size     Size
	}
	if err := json.Unmarshal(data, &told); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, c := range told {
		got, err := c.Settings.ExpectedSize()
		if err != nil {
			refused++
		}
		if got != c.Size {
			t.Errorf("%+v: got %v (%v), Blender made %v", c.Settings, got, err, c.Size)
		}
	}
	if refused == 0 || refused == len(told) {
		t.Errorf("%d of %d sizes were refused; the sample shows nothing", refused, len(told))
	}
}

func TestSizeFor(t *testing.T) {
	t.Parallel()
	hd := Settings{Width: 1920, Height: 1080, Percentage: 50}
	half := hd
	half.Multiview, half.ViewFormat, half.Stereo.Display = true, "STEREO_3D", "SIDEBYSIDE"
	tall := half
	tall.Stereo.Display = "TOPBOTTOM"
	squeezed := half
	squeezed.Stereo.Squeezed = true
	for name, c := range map[string]struct {
		s    Settings
		w, h int
		want Size
	}{
		"scene's":      {hd, 0, 0, Size{960, 540}},
		"asked":        {hd, 320, 180, Size{320, 180}},
		"width alone":  {hd, 320, 0, Size{320, 180}},
		"height alone": {hd, 0, 270, Size{480, 270}},
		"side by side": {half, 0, 0, Size{1920, 540}},
		"over under":   {tall, 0, 0, Size{960, 1080}},
		"squeezed":     {squeezed, 0, 0, Size{960, 540}},
	} {
		got, err := c.s.SizeFor(c.w, c.h)
		if err != nil || got != c.want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, c.want)
		}
	}
	if _, err := hd.SizeFor(70000, 10); err == nil {
		t.Error("a picture 70000 wide was taken")
	}
}

func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	f := newTestFile(testHeaders["new little"])
	img := f.set(f.set(f.rec("Image"), "id.name", "IMx"), "source", 1)
	for i := range 3 {
		f.block("IM", uint64(i), f.set(img, "name", "//same.png"))
	}
	s, err := read(t, f.finish())
	if err != nil || len(s.Files) != 1 {
		t.Errorf("one file used three times is listed as %v, %v", s, err)
	}
	names := []string{}
	for _, k := range s.Files {
		names = append(names, k.Path)
	}
	if !slices.Equal(names, []string{"//same.png"}) {
		t.Errorf("got %v", names)
	}
}
