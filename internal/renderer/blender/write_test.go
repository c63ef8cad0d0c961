package blender

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// testFile writes small scenes of any header, byte order and pointer size, to
// read what no Blender at hand writes any more or yet.
type testFile struct {
	h      header
	dna    *sdna
	rawDNA []byte
	body   bytes.Buffer
}

// testStructs are the structs that a test scene describes, in C's words.
var testStructs = []string{
	"Raw1 char b",
	"ListBase *void first|*void last",
	"ID *void next|char name[66]|char _pad[6]|*IDProperty properties|*Library lib",
	"IDPropertyData *void pointer|ListBase group|int val|int val2",
	"IDProperty *IDProperty next|*IDProperty prev|char type|char subtype|short flag|char name[64]|int saved|IDPropertyData data|int len|int totallen",
	"Stereo3dFormat short flag|char display_mode|char anaglyph_type|char _pad[4]",
	"ImageFormatData char imtype|char depth|char planes|char views_format|Stereo3dFormat stereo3d_format",
	"rctf float xmin|float xmax|float ymin|float ymax",
	"RenderData ImageFormatData im_format|int cfra|int sfra|int efra|int frame_step|short size|char _pad6[2]|int xsch|int ysch|int scemode|int mode|rctf border|char pic[1024]|char engine[32]|ListBase views",
	"SceneEEVEE int flag|int taa_render_samples",
	"Scene ID id|*Object camera|RenderData r|SceneEEVEE eevee",
	"Object ID id|short type|short partype|int _pad",
	"Image ID id|char name[1024]|short source|short type|int _pad|*PackedFile packedfile|ListBase packedfiles",
	"Library ID id|char name[1024]|char filepath_abs[1024]|*PackedFile packedfile",
	"FileGlobal char subvstr[4]|short subversion|short pad[5]|*Screen curscreen|*Scene curscene|char filename[1024]",
	"NodesModifierData *void modifier|*char bake_directory",
	"PointCache *PointCache next|*PointCache prev|int flag|char path[1024]|void (*free_edit)()",
}

func newTestFile(h header) *testFile {
	f := &testFile{h: h}
	f.rawDNA = encodeSDNA(h, testStructs)
	dna, err := parseSDNA(f.rawDNA, h)
	if err != nil {
		panic(err)
	}
	f.dna = dna
	f.body.WriteString(f.head())
	return f
}

func (f *testFile) head() string {
	order := "v"
	if f.h.order == binary.BigEndian {
		order = "V"
	}
	switch {
	case f.h.layout > 0:
		return fmt.Sprintf("BLENDER17-%02d%s%04d", f.h.layout, order, f.h.version)
	case f.h.ptr == 4:
		return fmt.Sprintf("BLENDER_%s%03d", order, f.h.version)
	}
	return fmt.Sprintf("BLENDER-%s%03d", order, f.h.version)
}

// rec makes an empty struct.
func (f *testFile) rec(name string) record {
	l := f.dna.byName[name]
	return record{f.dna, l, make([]byte, l.size)}
}

// set puts a number, a float32, an address (uint64) or a text into a member.
func (f *testFile) set(r record, path string, v any) record {
	b, fd := r.bytes(path)
	if b == nil {
		panic(path)
	}
	o := f.h.order
	switch v := v.(type) {
	case int:
		switch fd.size {
		case 1:
			b[0] = byte(v)
		case 2:
			o.PutUint16(b, uint16(v))
		default:
			o.PutUint32(b, uint32(v))
		}
	case float32:
		o.PutUint32(b, math.Float32bits(v))
	case uint64:
		if f.h.ptr == 4 {
			o.PutUint32(b, uint32(v))
		} else {
			o.PutUint64(b, v)
		}
	case string:
		clear(b)
		copy(b, v)
	}
	return r
}

func (f *testFile) block(code string, old uint64, recs ...record) {
	var body []byte
	index := 0
	for _, r := range recs {
		body = append(body, r.data...)
		for i, l := range f.dna.structs {
			if l == r.layout {
				index = i
			}
		}
	}
	f.raw(code, index, old, len(recs), body)
}

func (f *testFile) raw(code string, index int, old uint64, count int, body []byte) {
	o := f.h.order
	var c [4]byte
	copy(c[:], code)
	b := &f.body
	b.Write(c[:])
	switch {
	case f.h.layout == 1:
		binary.Write(b, o, int32(index))
		binary.Write(b, o, old)
		binary.Write(b, o, int64(len(body)))
		binary.Write(b, o, int64(count))
	case f.h.ptr == 8:
		binary.Write(b, o, int32(len(body)))
		binary.Write(b, o, old)
		binary.Write(b, o, int32(index))
		binary.Write(b, o, int32(count))
	default:
		binary.Write(b, o, int32(len(body)))
		binary.Write(b, o, uint32(old))
		binary.Write(b, o, int32(index))
		binary.Write(b, o, int32(count))
	}
	b.Write(body)
}

// finish adds the description of structs and the end mark.
func (f *testFile) finish() []byte {
	f.raw("DNA1", 0, 1, 1, f.rawDNA)
	f.raw("ENDB", 0, 0, 0, nil)
	return f.body.Bytes()
}

func encodeSDNA(h header, structs []string) []byte {
	var names, types []string
	sizes := map[string]int{"char": 1, "short": 2, "int": 4, "float": 4, "uint64_t": 8, "void": 0}
	index := func(list *[]string, s string) uint16 {
		for i, have := range *list {
			if have == s {
				return uint16(i)
			}
		}
		*list = append(*list, s)
		return uint16(len(*list) - 1)
	}
	var strc bytes.Buffer
	w := func(v any) { binary.Write(&strc, h.order, v) }
	w(int32(len(structs)))
	probe := &sdna{head: h}
	for _, s := range structs {
		name, rest, _ := strings.Cut(s, " ")
		members := strings.Split(rest, "|")
		w(index(&types, name))
		w(uint16(len(members)))
		total := 0
		for _, m := range members {
			typ, decl, _ := strings.Cut(m, " ")
			if t, ok := strings.CutPrefix(typ, "*"); ok {
				typ, decl = t, "*"+decl
			}
			_, f := probe.parseName(decl)
			size := sizes[typ]
			if f.ptr {
				size = h.ptr
			}
			total += size * f.count
			w(index(&types, typ))
			w(index(&names, decl))
		}
		sizes[name] = total
	}
	var out bytes.Buffer
	list := func(tag string, items []string) {
		out.WriteString(tag)
		binary.Write(&out, h.order, int32(len(items)))
		for _, s := range items {
			out.WriteString(s + "\x00")
		}
		align(&out)
	}
	out.WriteString("SDNA")
	list("NAME", names)
	list("TYPE", types)
	out.WriteString("TLEN")
	for _, t := range types {
		binary.Write(&out, h.order, uint16(sizes[t]))
	}
	align(&out)
	out.WriteString("STRC")
	out.Write(strc.Bytes())
	return out.Bytes()
}

func align(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}

// sampleFile is a scene with one of everything that the tests ask for.
func sampleFile(h header) *testFile {
	f := newTestFile(h)
	f.block("GLOB", 8, f.set(f.rec("FileGlobal"), "curscene", uint64(0x1010)))
	for i, name := range []string{"SCOther", "SCMain"} {
		s := f.rec("Scene")
		for path, v := range map[string]any{
			"id.name": name, "r.sfra": 5 + i, "r.efra": 50, "r.cfra": 7, "r.frame_step": 3,
			"r.xsch": 640, "r.ysch": 360, "r.size": 50, "r.engine": "CYCLES", "r.im_format.imtype": 23,
			"r.im_format.planes": 32, "r.im_format.depth": 16, "r.pic": "//out/", "camera": uint64(0x2000),
			"r.mode": modeBorder, "r.border.xmax": float32(.5), "r.border.ymax": float32(1), "id.properties": uint64(0x3000),
		} {
			f.set(s, path, v)
		}
		f.block("SC", uint64(0x1000+0x10*i), s)
		f.block("DATA", 0x3000, f.set(f.set(f.rec("IDProperty"), "type", 6), "data.group.first", uint64(0x3010)))
		f.block("DATA", 0x3010, f.set(f.set(f.rec("IDProperty"), "name", "other"), "next", uint64(0x3020)))
		f.block("DATA", 0x3020, f.set(f.set(f.rec("IDProperty"), "name", "cycles"), "data.group.first", uint64(0x3030)))
		f.block("DATA", 0x3030, f.set(f.set(f.rec("IDProperty"), "name", "samples"), "data.val", 77))
	}
	f.block("OB", 0x2000, f.set(f.set(f.rec("Object"), "id.name", "OBKamera"), "type", 11))
	f.block("OB", 0x2100, f.set(f.set(f.rec("Object"), "id.name", "OBCube"), "type", 1))
	f.block("IM", 0x4000, f.set(f.set(f.set(f.rec("Image"), "id.name", "IMwood"), "name", "//tex/wood.png"), "source", 1))
	f.block("IM", 0x4100, f.set(f.set(f.set(f.set(f.rec("Image"), "id.name", "IMpacked"), "name", "//p.png"), "source", 1), "packedfile", uint64(9)))
	f.block("LI", 0x5000, f.set(f.set(f.rec("Library"), "id.name", "LIset"), "name", "//../lib/set.blend"))
	return f
}

var testHeaders = map[string]header{
	"old little 8": {version: 280, ptr: 8, order: binary.LittleEndian},
	"old little 4": {version: 293, ptr: 4, order: binary.LittleEndian},
	"old big 8":    {version: 304, ptr: 8, order: binary.BigEndian},
	"old big 4":    {version: 280, ptr: 4, order: binary.BigEndian},
	"new little":   {version: 500, layout: 1, ptr: 8, order: binary.LittleEndian},
	"new big":      {version: 501, layout: 1, ptr: 8, order: binary.BigEndian},
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func zstdFrame(b []byte) []byte {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer e.Close()
	return e.EncodeAll(b, nil)
}

// seekableZstd packs b into frames of n bytes with a table of them at the end.
func seekableZstd(b []byte, n int) []byte {
	var out, table bytes.Buffer
	frames := 0
	for len(b) > 0 {
		part := b[:min(n, len(b))]
		b = b[len(part):]
		frame := zstdFrame(part)
		out.Write(frame)
		binary.Write(&table, binary.LittleEndian, []uint32{uint32(len(frame)), uint32(len(part))})
		frames++
	}
	binary.Write(&table, binary.LittleEndian, uint32(frames))
	table.WriteByte(0)
	binary.Write(&table, binary.LittleEndian, uint32(seekMagic))
	binary.Write(&out, binary.LittleEndian, []uint32{skippableMagic, uint32(table.Len())})
	out.Write(table.Bytes())
	return out.Bytes()
}
