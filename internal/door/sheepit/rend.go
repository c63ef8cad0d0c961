package sheepit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

//go:embed rend.sh
var rendScript string

// Where clients look for the program in a renderer's archive.
const (
	rendProgram = "rend.exe"
	payload     = "blender.tgz"
)

// macPaths are where clients look on macOS, until 2020 and since; a client of
// 2022 does on Linux too.
var macPaths = []string{"Blender/blender.app/Contents/MacOS/blender", "Blender/Blender.app/Contents/MacOS/Blender"}

// renderer is the archive of the Blender that a worker needs for a job.
func (p *packer) renderer(ctx context.Context, w *farm.Worker, job int64) (*farm.Pack, error) {
	b, err := p.d.Farm.BuildFor(ctx, w.ID, job)
	switch {
	case farm.CodeOf(err) == farm.NotFound, err == nil && b == nil:
		return nil, refused(requestNothing, "the job's build is not to be had any more")
	case err != nil:
		return nil, err
	}
	return p.build(ctx, b, has(&w.Machine, attrMacPaths))
}

// able fails when the farm has no Blender for the machine.
func (p *packer) able(ctx context.Context, m *farm.Machine) error {
	builds, err := p.d.Farm.BuildList(ctx, product)
	if err == nil && !slices.ContainsFunc(builds, func(b farm.Build) bool { return fits(&b, m) }) {
		err = refused(requestNoRenderer, "no build for "+m.OS+"/"+m.Arch)
	}
	return err
}

// ready waits until the archive that a new job would most likely need is there,
// before a lease is taken for it.
func (p *packer) ready(ctx context.Context, m *farm.Machine) error {
	builds, err := p.d.Farm.BuildList(ctx, product) // newest version first
	if err != nil {
		return err
	}
	for i := range builds {
		if b := &builds[i]; fits(b, m) && b.State == farm.BuildUsable && b.Trial == 0 {
			_, err = p.build(ctx, b, has(m, attrMacPaths))
			return err
		}
	}
	return nil
}

// watch begins to make the archives of builds as they come, until the door is
// closed.
func (p *packer) watch() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for p.ctx.Err() == nil {
		sub := p.d.Farm.Subscribe()
		p.prepare()
		p.follow(sub)
		sub.Close()
		select { // it fell behind, or the farm has ended
		case <-t.C:
		case <-p.ctx.Done():
		}
	}
}

func (p *packer) follow(sub *farm.Subscription) {
	for {
		select {
		case events, open := <-sub.C:
			if !open {
				return
			}
			if slices.ContainsFunc(events, func(e farm.Event) bool { return strings.HasPrefix(e.Type, "build.") }) {
				p.prepare()
			}
		case <-p.ctx.Done():
			return
		}
	}
}

// prepare begins to make the archives of all usable builds.
func (p *packer) prepare() {
	builds, err := p.d.Farm.BuildList(p.ctx, product)
	if err != nil {
		p.d.Log.Debug("the builds cannot be listed", "err", err) // the farm is ending
		return
	}
	for i := range builds {
		if b := builds[i]; b.State == farm.BuildUsable {
			p.wait.Go(func() { _, _ = p.build(p.ctx, &b, b.OS == "macos") }) // what fails is logged
		}
	}
}

// build is the archive of a build. With mac it has the program where clients
// look on macOS as well; others get a flat one, since clients of 2024 unpack
// folders and files at once and fail when a file comes first.
func (p *packer) build(ctx context.Context, b *farm.Build, mac bool) (*farm.Pack, error) {
	row := farm.Pack{Key: packPrefix + "build/" + strconv.FormatInt(b.ID, 10), Build: b.ID}
	if mac {
		row.Key += "/mac"
	}
	if b.OS == "windows" && p.d.launcher != nil {
		row.Key += "/" + p.d.launcher.sum
	}
	return p.get(ctx, row, func(ctx context.Context, w io.Writer) error { return p.writeRenderer(ctx, w, b, mac) })
}

func (p *packer) writeRenderer(ctx context.Context, w io.Writer, b *farm.Build, mac bool) error {
	h, err := blob.ParseHash(b.SHA256)
	if err != nil {
		return err
	}
	file, err := p.d.Blobs.Open(ctx, h)
	if err != nil {
		return fmt.Errorf("open the archive of build %d: %w", b.ID, err)
	}
	defer file.Close()
	z := archive.NewZipWriter(w, "")
	if b.OS == "windows" {
		err = writePlain(ctx, z, file, b, p.d.launcher)
	} else {
		err = writeScripts(ctx, z, file, b, mac)
	}
	if err != nil {
		return err
	}
	return z.Close()
}

// writeScripts puts a script in the program's place and the build, packed, beside
// it.
func writeScripts(ctx context.Context, z *archive.ZipWriter, file blob.File, b *farm.Build, mac bool) error {
	names := []string{rendProgram}
	if mac {
		names = append(names, macPaths...)
	}
	made := make(map[string]bool)
	for _, name := range names {
		for _, dir := range folders(name) {
			if made[dir] {
				continue
			}
			made[dir] = true
			if err := z.Folder(dir); err != nil {
				return err
			}
		}
		w, err := z.File(name, false, true)
		if err != nil {
			return err
		}
		up := strings.Repeat("../", len(folders(name)))
		if _, err := io.WriteString(w, rend(b, up+payload)); err != nil {
			return err
		}
	}
	return writePayload(ctx, z, file)
}

func writePayload(ctx context.Context, z *archive.ZipWriter, file blob.File) error {
	w, err := z.File(payload, true, false)
	if err != nil {
		return err
	}
	head := make([]byte, 2)
	if _, err := file.ReadAt(head, 0); err == nil && head[0] == 0x1f && head[1] == 0x8b { // RFC 1952, 2.3.1
		_, err = io.Copy(w, io.NewSectionReader(file, 0, file.Size()))
		return err
	}
	return archive.Repack(ctx, file, file.Size(), w, archive.Options{})
}

// rend is the script that starts a build.
func rend(b *farm.Build, payload string) string {
	root := b.Layout.Root
	if root != "" {
		root += "/"
	}
	return strings.NewReplacer("=ROOT\n", "="+quoted(root)+"\n", "=PROGRAM\n", "="+quoted(b.Layout.Program)+"\n", "=PAYLOAD\n", "="+quoted(payload)+"\n",
		"=ARCH\n", "="+quoted(b.Arch)+"\n").Replace(rendScript)
}

// quoted is s as a word of the shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// writePlain puts the build's files at the archive's root, and what starts it
// under the name that clients look for: the launcher, or the program itself.
func writePlain(ctx context.Context, z *archive.ZipWriter, file blob.File, b *farm.Build, l *launcher) error {
	if b.Layout.Program != "blender.exe" {
		l = nil // it finds no other
	}
	made, found := make(map[string]bool), false
	err := archive.Walk(ctx, file, file.Size(), archive.Options{}, func(e archive.Entry, body io.Reader) error {
		name := e.Name
		if b.Layout.Root != "" {
			var inside bool
			if name, inside = strings.CutPrefix(name, b.Layout.Root+"/"); !inside {
				return nil
			}
		}
		if e.Kind != archive.File {
			return nil
		}
		if name == b.Layout.Program {
			found = true
			if l == nil {
				name = path.Join(path.Dir(name), rendProgram)
			}
		}
		for _, dir := range folders(name) {
			if made[dir] {
				continue
			}
			made[dir] = true
			if err := z.Folder(dir); err != nil {
				return err
			}
		}
		w, err := z.File(name, false, e.Exec)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, body)
		return err
	})
	switch {
	case err != nil:
		return err
	case !found:
		return errors.New("the build has no program " + b.Layout.Program)
	case l != nil:
		return l.write(z)
	}
	return nil
}
