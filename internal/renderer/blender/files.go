package blender

import (
	"maps"
	"slices"
	"strings"
)

// maxParts is how many parts of one data-block are kept.
const maxParts = 100_000

// Values of Image.source, Image.type, MovieClip.source, Sequence.type and
// PointCache.flag, proved against files that Blender 3.4 wrote.
const (
	imageFile, imageSequence, imageMovie, imageTiled = 1, 2, 3, 6
	clipSequence                                     = 1
	stripImage, stripMovie                           = 0, 3
	cacheExternal, cacheDisk                         = 1 << 9, 1 << 6
	iesExternal, scriptExternal                      = 1, 1
)

// wants says whether the part of a data-block in b is of use.
func (c *collector) wants(l *layout, b *block) bool {
	switch c.cur.code {
	case "SC":
		switch l.name {
		case "IDProperty", "SceneRenderView", "Sequence", "Strip", "StripData", "StripElem":
			return true
		}
	case "OB":
		// Plain characters: folders of geometry nodes' bakes.
		if l.size <= 1 || b.sdna == 0 {
			return b.size <= 1024 && b.size > 2
		}
	case "":
		return false
	}
	return partFiles[l.name] != nil || l.name == "NodesModifierData"
}

// part keeps or evaluates one part of the current data-block.
func (c *collector) part(l *layout, b *block, body []byte) {
	recs := c.dna.records(l, body)
	switch {
	case c.cur.code == "OB" && (l.size <= 1 || b.sdna == 0):
		keep(&c.cur.strings, b.old, cString(body))
	case l.name == "NodesModifierData" && len(c.cur.baked) < maxParts:
		c.cur.baked = append(c.cur.baked, recs...)
	case partFiles[l.name] != nil:
		for _, r := range recs {
			for _, f := range partFiles[l.name](&c.cur, r) {
				c.add(f)
			}
		}
	default:
		c.scenePart(l, b, recs)
	}
}

func (c *collector) scenePart(l *layout, b *block, recs []record) {
	if len(recs) == 0 {
		return
	}
	r := recs[0]
	switch {
	case l.name == "IDProperty":
		keep(&c.cur.props, b.old, r)
	case l.name == "SceneRenderView" && len(c.cur.views) < 100:
		c.cur.views = append(c.cur.views, View{r.text("name"), r.text("suffix"), r.int("viewflag")&viewOff != 0})
	case l.name == "StripElem":
		keep(&c.cur.elems, b.old, r.text("name", "filename"))
	case r.has("stripdata"):
		keep(&c.cur.strips, b.old, r)
	case r.has("type"):
		for _, member := range []string{"strip", "data"} {
			if p := r.ptr(member); p != 0 {
				keep(&c.cur.kinds, p, r.int("type"))
			}
		}
	}
}

func keep[V any](m *map[uint64]V, key uint64, v V) {
	if *m == nil {
		*m = map[uint64]V{}
	}
	if len(*m) < maxParts {
		(*m)[key] = v
	}
}

// ownFiles lists the files that a data-block itself names.
func ownFiles(o *owner) []File {
	r := o.rec
	if r.ptr("packedfile") != 0 || r.ptr("packedfiles.first") != 0 {
		return nil
	}
	f := File{Name: r.idName(), Path: r.text("name", "filepath")}
	if o.code == "VO" || o.code == "CF" {
		f.Path = r.text("filepath")
	}
	switch o.code {
	case "IM":
		f.Kind = ImageFile
		switch r.int("source") {
		case imageFile, imageMovie:
		case imageSequence:
			f.Sequence = true
		case imageTiled:
			f.UDIM = true
		default:
			return nil
		}
	case "LI":
		f.Kind = LibraryFile
	case "SO":
		f.Kind = SoundFile
	case "MC":
		f.Kind, f.Sequence = ClipFile, r.int("source") == clipSequence
	case "VF":
		if f.Kind = FontFile; strings.HasPrefix(f.Path, "<") {
			return nil // built in
		}
	case "VO":
		f.Kind, f.Sequence = VolumeFile, r.int("is_sequence") != 0
	case "CF":
		f.Kind, f.Sequence = CacheFile, r.int("is_sequence") != 0
	case "SC":
		return stripFiles(o)
	case "OB":
		return bakeFiles(o)
	default:
		return nil
	}
	return []File{f}
}

// stripFiles lists pictures and films of the video sequencer. Its sounds are
// data-blocks of their own.
func stripFiles(o *owner) []File {
	var out []File
	for _, addr := range slices.Sorted(maps.Keys(o.strips)) {
		s := o.strips[addr]
		kind, ok := o.kinds[addr]
		if !ok || kind != stripImage && kind != stripMovie {
			continue
		}
		name := o.elems[s.ptr("stripdata")]
		dir := s.text("dir", "dirpath")
		if name == "" || dir == "" {
			continue
		}
		if !strings.HasSuffix(dir, "/") && !strings.HasSuffix(dir, `\`) {
			dir += "/"
		}
		out = append(out, File{Kind: StripFile, Name: name, Path: dir + name, Sequence: kind == stripImage && hasDigits(name)})
	}
	return out
}

// bakeFiles lists the folders of baked geometry nodes.
func bakeFiles(o *owner) []File {
	var out []File
	for _, m := range o.baked {
		for _, member := range []string{"simulation_bake_directory", "bake_directory"} {
			if dir := o.strings[m.ptr(member)]; dir != "" {
				out = append(out, File{Kind: SimCache, Name: o.rec.idName(), Path: dir, Folder: true, Optional: true})
			}
		}
	}
	return out
}

// partFiles lists, by struct, the files that a part of a data-block names.
var partFiles = map[string]func(o *owner, r record) []File{
	"MeshCacheModifierData": func(o *owner, r record) []File {
		return []File{{Kind: MeshCache, Name: o.rec.idName(), Path: r.text("filepath")}}
	},
	"OceanModifierData": func(o *owner, r record) []File {
		if r.int("cached") == 0 {
			return nil
		}
		return []File{{Kind: SimCache, Name: o.rec.idName(), Path: r.text("cachepath"), Folder: true, Optional: true}}
	},
	"FluidDomainSettings": fluidFolder,
	"PointCache": func(o *owner, r record) []File {
		switch flag := r.int("flag"); {
		case flag&cacheExternal != 0:
			return []File{{Kind: PointCache, Name: o.rec.idName(), Path: r.text("path"), Folder: true}}
		case flag&cacheDisk != 0:
			return []File{{Kind: PointCache, Name: o.rec.idName(), Path: diskCache, Folder: true, Optional: true}}
		}
		return nil
	},
	"NodeShaderTexIES": func(o *owner, r record) []File {
		if r.int("mode") != iesExternal {
			return nil
		}
		return []File{{Kind: IESFile, Name: o.rec.idName(), Path: r.text("filepath")}}
	},
	"NodeShaderScript": func(o *owner, r record) []File {
		if r.int("mode") != scriptExternal {
			return nil
		}
		return []File{{Kind: ScriptFile, Name: o.rec.idName(), Path: r.text("filepath")}}
	},
}

func fluidFolder(o *owner, r record) []File {
	return []File{{Kind: SimCache, Name: o.rec.idName(), Path: r.text("cache_directory"), Folder: true, Optional: true}}
}

// diskCache stands for the folder that Blender names after the scene:
// blendcache_NAME beside it.
const diskCache = "//blendcache_"

func hasDigits(name string) bool { return strings.ContainsAny(name, "0123456789") }
