package blender

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
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

bpy.context.preferences.edit.use_negative_frames = True
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

func wantSample(version int) *Scene {
	main := Settings{
		Name: "Main", Start: 6, End: 50, Step: 3, Current: 7, Width: 640, Height: 360, Percentage: 50,
		Engine: "CYCLES", Samples: 77, Format: "OPEN_EXR", ColorMode: "RGBA", ColorDepth: 16, Output: "//out/",
		Camera: "Kamera", Border: true, Region: Region{MaxX: .5, MaxY: 1},
	}
	other := main
	other.Name, other.Start = "Other", 5
	return &Scene{
		Version: version, Active: "Main", Scenes: []Settings{other, main}, Cameras: []string{"Kamera"},
		Files: []File{
			{Kind: ImageFile, Name: "wood", Path: "//tex/wood.png"},
			{Kind: LibraryFile, Name: "set", Path: "//../lib/set.blend"},
		},
	}
}

func read(t testing.TB, data []byte) (*Scene, error) {
	return ReadScene(t.Context(), bytes.NewReader(data), int64(len(data)))
}

func TestReadSceneHeadersAndCompression(t *testing.T) {
	t.Parallel()
	for name, h := range testHeaders {
		plain := sampleFile(h).finish()
		for how, data := range map[string][]byte{
			"plain": plain, "gzip": gzipped(plain), "zstd": zstdFrame(plain),
			"seekable": seekableZstd(plain, 1000), "seekable whole": seekableZstd(plain, 1<<20),
			"zstd frames": append(zstdFrame(plain[:500]), zstdFrame(plain[500:])...),
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				got, err := read(t, data)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(wantSample(h.version), got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			})
		}
	}
}

func TestReadSceneFaults(t *testing.T) {
	t.Parallel()
	h := testHeaders["new little"]
	plain := sampleFile(h).finish()
	noDNA := sampleFile(h)
	noDNA.raw("ENDB", 0, 0, 0, nil)
	negative := newTestFile(testHeaders["old little 8"])
	negative.body.WriteString("DATA\xff\xff\xff\xff" + strings.Repeat("\x00", 16))
	badDNA := sampleFile(h)
	badDNA.raw("DNA1", 0, 1, 1, badDNA.rawDNA[:300])
	badDNA.raw("ENDB", 0, 0, 0, nil)
	flipped := seekableZstd(plain, 1000)
	flipped[40] ^= 0xff
	version := func(v, layout int) []byte {
		return sampleFile(header{version: v, layout: layout, ptr: 8, order: h.order}).finish()
	}
	for name, c := range map[string]struct {
		data []byte
		kind FaultKind
		says string
	}{
		"empty":             {nil, NotBlend, "empty"},
		"text":              {[]byte("hello, this is no scene at all"), NotBlend, "does not begin as a .blend"},
		"png":               {[]byte("\x89PNG\r\n\x1a\n"), NotBlend, "PNG picture"},
		"lfs":               {[]byte("version https://git-lfs.github.com/spec/v1"), NotBlend, "git lfs pull"},
		"zip":               {[]byte("PK\x03\x04...."), UnknownCompression, "ZIP archive"},
		"xz":                {[]byte("\xfd7zXZ\x00...."), UnknownCompression, "unxz"},
		"gzip of text":      {gzipped([]byte("just some text in gzip")), NotBlend, "compressed in the file"},
		"short":             {[]byte("BLENDER-v3"), Damaged, "first 12 bytes"},
		"header":            {[]byte("BLENDER-x304"), Damaged, "byte order"},
		"version":           {[]byte("BLENDER-v3x4"), Damaged, "no version"},
		"new header":        {[]byte("BLENDER17*01v0500"), Damaged, "header is broken"},
		"new header cut":    {[]byte("BLENDER17-01v05"), Damaged, "within its header"},
		"cut in half":       {plain[:len(plain)/2], Damaged, "cut off"},
		"no end mark":       {plain[:len(plain)-32], Damaged, "end mark"},
		"cut gzip":          {gzipped(plain)[:700], Damaged, "cut off"},
		"cut zstd":          {zstdFrame(plain)[:700], Damaged, "ends within"},
		"cut seekable":      {seekableZstd(plain, 1000)[:1500], Damaged, "cut off"},
		"flipped":           {flipped, Damaged, ""},
		"no SDNA":           {noDNA.body.Bytes(), Damaged, "SDNA"},
		"broken SDNA":       {badDNA.body.Bytes(), Damaged, "SDNA"},
		"negative size":     {negative.body.Bytes(), Damaged, "negative"},
		"too old":           {version(279, 0), TooOld, "2.79"},
		"too new":           {version(600, 1), TooNew, "6.0"},
		"too new a layout":  {version(520, 2), TooNew, "layout 2"},
		"gzip header alone": {[]byte{0x1f, 0x8b}, Damaged, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, c.data)
			var f *SceneFault
			if !errors.As(err, &f) {
				t.Fatalf("got %v, want a *SceneFault", err)
			}
			if f.Kind != c.kind || !strings.Contains(f.Error(), c.says) || f.Hint == "" {
				t.Errorf("got %s: %q, want %s with %q", f.Kind, f, c.kind, c.says)
			}
		})
	}
}

// hugeScene is a scene of size bytes that exist only when they are read.
type hugeScene struct {
	front, back []byte
	size        int64
	read        atomic.Int64
}

func (h *hugeScene) ReadAt(b []byte, at int64) (int, error) {
	h.read.Add(int64(len(b)))
	n := 0
	for n < len(b) && at < h.size {
		switch tail := h.size - int64(len(h.back)); {
		case at < int64(len(h.front)):
			b[n] = h.front[at]
		case at >= tail:
			b[n] = h.back[at-tail]
		default:
			b[n] = 0
		}
		n, at = n+1, at+1
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func TestReadSceneSkipsLargeBlocks(t *testing.T) {
	t.Parallel()
	const mesh = 20 << 30
	h := testHeaders["new little"]
	f := sampleFile(h)
	f.raw("DATA", 3, 0x99, 1, nil)
	front := bytes.Clone(f.body.Bytes())
	h.order.PutUint64(front[len(front)-16:], mesh)
	back := newTestFile(h)
	back.body.Reset()
	huge := &hugeScene{front: front, back: back.finish()}
	huge.size = int64(len(front)+len(huge.back)) + mesh
	got, err := ReadScene(t.Context(), huge, huge.size)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantSample(500), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if n := huge.read.Load(); n > 1<<20 {
		t.Errorf("%d bytes of a 20 GB scene were read", n)
	}
}

func TestReadSceneEndsWhenToldTo(t *testing.T) {
	t.Parallel()
	f := sampleFile(testHeaders["old little 8"])
	for range 5000 {
		f.raw("DATA", 0, 1, 0, nil)
	}
	data := f.finish()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadScene(ctx, bytes.NewReader(data), int64(len(data))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCustomPropertiesThatLeadInCircles(t *testing.T) {
	t.Parallel()
	f := newTestFile(testHeaders["old little 8"])
	s := f.set(f.set(f.rec("Scene"), "id.name", "SCs"), "r.engine", "CYCLES")
	f.block("SC", 1, f.set(s, "id.properties", uint64(2)))
	f.block("DATA", 2, f.set(f.rec("IDProperty"), "data.group.first", uint64(3)))
	f.block("DATA", 3, f.set(f.set(f.rec("IDProperty"), "name", "x"), "next", uint64(3)))
	got, err := read(t, f.finish())
	if err != nil || got.Scenes[0].Samples != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzReadScene(f *testing.F) {
	for _, h := range testHeaders {
		plain := sampleFile(h).finish()
		f.Add(plain)
		f.Add(gzipped(plain))
		f.Add(seekableZstd(plain, 4000))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := read(t, data)
		if err != nil {
			var fault *SceneFault
			if !errors.As(err, &fault) {
				t.Fatalf("an error that is no fault of the scene: %v", err)
			}
			return
		}
		for _, set := range s.Scenes {
			if size, err := set.ExpectedSize(); err == nil && (size.Width < 1 || size.Height < 1) {
				t.Fatalf("size %v", size)
			}
		}
	})
}
