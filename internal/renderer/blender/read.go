package blender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
)

// What is kept of one scene, whatever it holds.
const (
	maxBody    = 4 << 20 // bytes of one block; a Scene has about 7 KB
	maxScenes  = 1000
	maxObjects = 100_000 // cameras and linked objects
	maxFiles   = 100_000
)

// ReadScene reads what a .blend says about rendering it. It takes files of
// Blender 2.80 to 5, plain or compressed with gzip or Zstandard, of any byte
// order and pointer size. Meshes and pictures inside are skipped: memory stays
// at a few megabytes however large the file is. r must allow calls of ReadAt
// and is not kept. The error is a *SceneFault when the file is at fault.
func ReadScene(ctx context.Context, r io.ReaderAt, size int64) (*Scene, error) {
	open, err := openSource(r, size)
	if err != nil {
		return nil, err
	}
	dna, global, err := readIndex(ctx, open)
	if err != nil {
		return nil, err
	}
	return collect(ctx, open, dna, global)
}

// ReadSceneFile reads the scene at path and looks for its external files.
func ReadSceneFile(ctx context.Context, path string) (*Scene, error) {
	return readSceneIn(ctx, path, "")
}

// readSceneIn is ReadSceneFile for a scene that a stranger sent: files that do not
// lie in the folder inside are not looked at and count as missing; "" for
// anywhere.
func readSceneIn(ctx context.Context, path, inside string) (*Scene, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the scene: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at the scene: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file: give a scene saved by Blender", path)
	}
	s, err := ReadScene(ctx, f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the scene's folder: %w", err)
	}
	s.resolve(abs, inside)
	return s, nil
}

// readIndex goes through the whole file once: to find the description of the
// structs, which stands near its end, and to prove that the end is there.
func readIndex(ctx context.Context, open openFunc) (*sdna, []byte, error) {
	w, err := newWalker(open)
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	var b block
	var dnaBody, global []byte
	for {
		if err := w.next(ctx, &b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		switch {
		case b.is("DNA1"):
			dnaBody, err = w.body(maxSDNA)
		case b.is("GLOB"):
			global, err = w.body(maxBody)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if dnaBody == nil {
		return nil, nil, damaged("its description of structs (SDNA) is missing", nil)
	}
	dna, err := parseSDNA(dnaBody, w.head)
	return dna, global, err
}

// collector gathers the parts of a scene on the second way through the file.
type collector struct {
	dna     *sdna
	scene   *Scene
	cur     owner
	active  uint64            // address of the active scene
	byAddr  map[uint64]string // scenes by address
	objects map[uint64]string // cameras and linked objects by address
	cameras map[int]uint64    // index in Scenes to the address of its camera
	seen    map[File]bool
}

// owner is the data-block whose parts are being read.
type owner struct {
	rec     record
	code    string
	props   map[uint64]record // custom properties
	strips  map[uint64]record
	strings map[uint64]string
	elems   map[uint64]string
	kinds   map[uint64]int64 // strip data to the type of its strip
	baked   []record
	views   []View
}

func collect(ctx context.Context, open openFunc, dna *sdna, global []byte) (*Scene, error) {
	w, err := newWalker(open)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	c := &collector{
		dna: dna, scene: &Scene{Version: dna.head.version},
		byAddr: map[uint64]string{}, objects: map[uint64]string{}, cameras: map[int]uint64{}, seen: map[File]bool{},
	}
	for _, g := range dna.records(dna.byName["FileGlobal"], global) {
		c.active = g.ptr("curscene")
	}
	var b block
	for {
		if err := w.next(ctx, &b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if err := c.block(w, &b); err != nil {
			return nil, err
		}
	}
	c.flush()
	c.finish()
	return c.scene, nil
}

// block takes one block: a data-block of a kind that matters, or a part of it.
func (c *collector) block(w *walker, b *block) error {
	l := c.dna.at(b.sdna)
	if !b.is("DATA") {
		c.flush()
		if !idCodes[string(b.code[:2])] || l == nil {
			return nil
		}
		body, err := w.body(min(maxBody, int64(l.size)))
		if err != nil {
			return err
		}
		if recs := c.dna.records(l, body); len(recs) > 0 {
			c.cur = owner{rec: recs[0], code: string(b.code[:2])}
			c.identify(b.old)
		}
		return nil
	}
	if l == nil || !c.wants(l, b) {
		return nil
	}
	body, err := w.body(maxBody)
	if err != nil {
		return err
	}
	c.part(l, b, body)
	return nil
}

// idCodes are the data-blocks that matter. "ID" stands for one that lives in
// another file.
var idCodes = map[string]bool{
	"SC": true, "OB": true, "ID": true, "IM": true, "LI": true, "SO": true, "MC": true, "VF": true,
	"VO": true, "CF": true, "NT": true, "MA": true, "WO": true, "LA": true, "PA": true,
}

// identify remembers what other data-blocks point to.
func (c *collector) identify(old uint64) {
	rec := c.cur.rec
	switch c.cur.code {
	case "SC":
		if len(c.byAddr) < maxScenes {
			c.byAddr[old] = rec.idName()
		}
	case "OB":
		const camera = 11
		if rec.int("type") == camera {
			c.camera(old, rec.idName())
		}
	case "ID":
		if name := rec.text("name"); len(name) > 2 && name[:2] == "OB" && len(c.objects) < maxObjects {
			c.objects[old] = name[2:]
		}
	}
}

func (c *collector) camera(old uint64, name string) {
	if len(c.objects) >= maxObjects {
		c.scene.Cut = true
		return
	}
	c.objects[old] = name
	c.scene.Cameras = append(c.scene.Cameras, name)
}

// flush turns the data-block that was read into settings or files.
func (c *collector) flush() {
	cur := c.cur
	c.cur = owner{}
	switch cur.code {
	case "":
		return
	case "SC":
		if len(c.scene.Scenes) >= maxScenes {
			c.scene.Cut = true
			return
		}
		c.cameras[len(c.scene.Scenes)] = cur.rec.ptr("camera")
		c.scene.Scenes = append(c.scene.Scenes, settings(&cur))
	}
	for _, f := range ownFiles(&cur) {
		c.add(f)
	}
}

func (c *collector) add(f File) {
	if f.Path == "" || c.seen[f] {
		return
	}
	if len(c.scene.Files) >= maxFiles {
		c.scene.Cut = true
		return
	}
	c.seen[f] = true
	c.scene.Files = append(c.scene.Files, f)
}

func (c *collector) finish() {
	for i, addr := range c.cameras {
		c.scene.Scenes[i].Camera = c.objects[addr]
	}
	c.scene.Active = c.byAddr[c.active]
	if c.scene.Active == "" && len(c.scene.Scenes) > 0 {
		c.scene.Active = c.scene.Scenes[0].Name
	}
	slices.Sort(c.scene.Cameras)
	sort.SliceStable(c.scene.Files, func(i, j int) bool { return c.scene.Files[i].Kind < c.scene.Files[j].Kind })
}
