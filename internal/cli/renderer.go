package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
	"drover.farm/internal/library"
)

type rendererCmd struct {
	Add    rendererAddCmd    `cmd:"" help:"Put a build of a renderer into the farm's library, for all workers."`
	Ls     rendererLsCmd     `cmd:"" help:"List the builds in the library and the renderers that workers have."`
	Show   rendererShowCmd   `cmd:"" help:"Show a build."`
	Try    rendererTryCmd    `cmd:"" help:"Let some workers try a build; when each has done a task with it, all have it."`
	Use    rendererUseCmd    `cmd:"" help:"Let all workers use a build that was set aside, retired or on trial."`
	Aside  rendererAsideCmd  `cmd:"" help:"Set a build aside (roll back): no task gets it, jobs without frames begin with the version before."`
	Retire rendererRetireCmd `cmd:"" help:"Keep a build for the jobs that began with it and give it to no new ones."`
	Rm     rendererRmCmd     `cmd:"" help:"Remove builds that no job needs."`
}

type rendererAddCmd struct {
	Shown
	Remote
	Waiting
	File   string `arg:"" optional:"" help:"Archive of the renderer: zip, or tar (plain, gz, bz2, xz, zst)."`
	System string `placeholder:"NAME" help:"Instead of a file: the renderer as it is installed on this machine. NAME is blender."`

	Product  string `placeholder:"NAME" help:"What it is. Found out for Blender, V-Ray and Radiance."`
	Version  string `placeholder:"VERSION" help:"Its version, when the archive does not tell."`
	Revision string `placeholder:"HASH" help:"Hash of the source that it was built from."`
	OS       string `name:"os" placeholder:"OS" help:"linux, windows, macos or any. Found out by the program."`
	Arch     string `placeholder:"ARCH" help:"x86_64, arm64 or any. Found out by the program."`
	Program  string `placeholder:"PATH" help:"Path of the program in the archive; for renderers that Drover does not know."`
}

func (c *rendererAddCmd) Examples() string {
	return `  drover renderer add blender-4.2.1-linux-x64.tar.xz
  drover renderer add --system blender
  drover renderer add vray-6.20.10-e8197af2-windows.zip
  drover renderer add nuke.tar.gz --product nuke --version 15.1v2 --program Nuke15.1v2/Nuke15.1
`
}

func (c *rendererAddCmd) Run(a *App) error {
	if (c.File == "") == (c.System == "") {
		return usagef("name either an archive or, with --system, a renderer of this machine")
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	file, name := c.File, filepath.Base(c.File)
	if c.System != "" {
		var done func()
		if file, name, done, err = bundle(a, c.System); err != nil {
			return err
		}
		defer done()
	}
	sent, err := a.upload(farm, []api.File{{Name: name}}, []string{file}, c.Patience)
	if err != nil {
		return err
	}
	a.say("the farm looks at it")
	b, err := farm.AddBuild(a.ctx, api.NewBuild{SHA256: sent[0].SHA256, Name: name, Product: strings.ToLower(c.Product), Version: c.Version,
		Revision: c.Revision, OS: c.OS, Arch: c.Arch, Program: c.Program})
	if err != nil {
		return err
	}
	return a.show(c.Shown, b, func(w io.Writer) { printBuild(w, b, time.Now()) })
}

// bundle packs a renderer of this machine into a temporary file.
func bundle(a *App, product string) (file, name string, done func(), err error) {
	f, err := os.CreateTemp("", "drover-renderer-")
	if err != nil {
		return "", "", nil, fmt.Errorf("make a file to pack %s in: %w", product, err)
	}
	done = func() { os.Remove(f.Name()) }
	a.say("packing %s; this takes a while", product)
	name, err = library.Bundle(a.ctx, f, product)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		done()
		return "", "", nil, err
	}
	return f.Name(), name, done, nil
}

type oneBuild struct {
	Shown
	Remote
	ID int64 `arg:"" help:"The build's number."`
}

type rendererShowCmd struct{ oneBuild }

func (c *rendererShowCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	b, err := farm.Build(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(c.Shown, b, func(w io.Writer) { printBuild(w, b, time.Now()) })
}

func printBuild(w io.Writer, b *api.Build, now time.Time) {
	pairs(w, "id", itoa(b.ID), "product", b.Product, "version", b.Version, "revision", b.Revision, "system", b.OS+" "+b.Arch,
		"state", b.State, "note", cmp.Or(b.Reason, trial(b)), "program", strings.TrimPrefix(b.Root+"/"+b.Program, "/"), "file", b.Origin, "size", size(b.Size),
		"sha256", b.SHA256, "md5", b.MD5, "added", when(b.Added, now), "by", b.By)
}

// trial says how far a build on trial is.
func trial(b *api.Build) string {
	if b.Trial == 0 {
		return ""
	}
	return fmt.Sprintf("on trial: %d of %s have done a task with it", len(b.Proved), count(int64(b.Trial), "worker"))
}

// change changes a build and shows it.
func (c *oneBuild) change(a *App, p api.BuildPatch) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	b, err := farm.ChangeBuild(a.ctx, c.ID, p)
	if err != nil {
		return err
	}
	return a.show(c.Shown, b, func(io.Writer) { a.say("build %d (%s %s) is %s", b.ID, b.Product, b.Version, b.State) })
}

type rendererUseCmd struct{ oneBuild }

func (c *rendererUseCmd) Run(a *App) error {
	return c.change(a, api.BuildPatch{State: "usable", Trial: new(int)})
}

type rendererTryCmd struct {
	oneBuild
	Workers int `default:"1" placeholder:"N" help:"How many workers try it. Default: 1."`
}

func (c *rendererTryCmd) Run(a *App) error {
	if c.Workers < 1 {
		return usagef("--workers is %d; at least one tries a build", c.Workers)
	}
	return c.change(a, api.BuildPatch{Trial: &c.Workers})
}

type rendererAsideCmd struct {
	oneBuild
	Reason string `placeholder:"TEXT" help:"Why, for those who look at it."`
}

func (c *rendererAsideCmd) Run(a *App) error {
	return c.change(a, api.BuildPatch{State: "aside", Reason: cmp.Or(c.Reason, "set aside by an operator")})
}

type rendererRetireCmd struct{ oneBuild }

func (c *rendererRetireCmd) Run(a *App) error { return c.change(a, api.BuildPatch{State: "retired"}) }

type rendererRmCmd struct {
	Remote
	IDs []int64 `arg:"" name:"id" help:"The builds' numbers."`
}

func (c *rendererRmCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	for _, id := range c.IDs {
		if err := farm.RemoveBuild(a.ctx, id); err != nil {
			return err
		}
		a.say("build %d removed", id)
	}
	return nil
}

type rendererLsCmd struct {
	Shown
	Remote
	Product string `placeholder:"NAME" help:"Only this renderer."`
}

// foundRenderer is a build in the library and who has it, a file in the import
// folder, or a version that workers have installed themselves.
type foundRenderer struct {
	ID      int64   `json:"id,omitempty"` // in the library
	Product string  `json:"product"`
	Version string  `json:"version"`
	Hash    string  `json:"hash,omitempty"`
	OS      string  `json:"os"`
	Arch    string  `json:"arch"`
	State   string  `json:"state"` // usable, aside, retired, installed; waiting, foreign or aside of a file to be imported
	Reason  string  `json:"reason,omitempty"`
	Name    string  `json:"name,omitempty"` // of the file that it came in
	SHA256  string  `json:"sha256,omitempty"`
	Size    int64   `json:"size,omitempty"`
	Workers []int64 `json:"workers"` // that have it
}

func (c *rendererLsCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	found, err := c.find(a, farm)
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(found), func(w io.Writer) {
		if len(found) == 0 {
			a.say("the library is empty, and no worker has a renderer that Drover knows; \"drover renderer add FILE\" puts one in")
			return
		}
		rows := make([][]string, len(found))
		for i, f := range found {
			no := ""
			if f.ID != 0 {
				no = itoa(f.ID)
			}
			rows[i] = []string{no, f.Product, f.Version, f.Hash, f.OS, f.Arch, f.State, strconv.Itoa(len(f.Workers)), f.Name, f.Reason}
		}
		table(w, "ID PRODUCT VERSION BUILD SYSTEM ARCH STATE WORKERS FILE NOTE", rows)
	})
}

// find lists the library, then what workers have besides.
func (c *rendererLsCmd) find(a *App, farm *client.Client) ([]foundRenderer, error) {
	bs, err := farm.Builds(a.ctx, c.Product)
	if err != nil {
		return nil, err
	}
	var out []foundRenderer
	for _, b := range bs.Builds {
		out = append(out, foundRenderer{ID: b.ID, Product: b.Product, Version: b.Version, Hash: b.Revision, OS: b.OS, Arch: b.Arch,
			State: b.State, Reason: cmp.Or(b.Reason, trial(&b)), Name: b.Origin, SHA256: b.SHA256, Size: b.Size, Workers: []int64{}})
	}
	for _, f := range bs.Files {
		out = append(out, foundRenderer{Product: "vray", State: f.State, Reason: f.Reason, Name: f.Name, Size: f.Size, Workers: []int64{}})
	}
	installed, err := c.installed(a, farm, out)
	return append(out, installed...), err
}

// unwanted says so when no worker could use a build.
func unwanted(f *foundRenderer, workers []api.Worker) string {
	if f.State != "usable" || len(workers) == 0 || slices.ContainsFunc(workers, func(w api.Worker) bool {
		return w.Machine != nil && (f.OS == w.Machine.OS || f.OS == library.Any) && (f.Arch == w.Machine.Arch || f.Arch == library.Any)
	}) {
		return ""
	}
	return "waits: no worker runs " + f.OS + " " + f.Arch
}

// installed lists what workers have found on their machines, and notes who holds
// which build of the library.
func (c *rendererLsCmd) installed(a *App, farm *client.Client, builds []foundRenderer) ([]foundRenderer, error) {
	l, err := farm.Workers(a.ctx)
	if err != nil {
		return nil, err
	}
	for i := range builds {
		builds[i].Reason = cmp.Or(builds[i].Reason, unwanted(&builds[i], l.Workers))
	}
	var out []foundRenderer
	for i := range l.Workers {
		x := &l.Workers[i]
		if x.Machine == nil {
			continue
		}
		for j := range builds {
			if slices.Contains(x.Machine.Held, builds[j].SHA256) {
				builds[j].Workers = append(builds[j].Workers, x.ID)
			}
		}
		for _, r := range x.Machine.Renderers {
			if c.Product != "" && r.Product != c.Product {
				continue
			}
			key := foundRenderer{Product: r.Product, Version: r.Version, Hash: r.Hash, OS: x.Machine.OS, Arch: x.Machine.Arch, State: "installed"}
			at := slices.IndexFunc(out, func(f foundRenderer) bool {
				return f.Product == key.Product && f.Version == key.Version && f.Hash == key.Hash && f.OS == key.OS && f.Arch == key.Arch
			})
			if at < 0 {
				at, out = len(out), append(out, key)
			}
			if !slices.Contains(out[at].Workers, x.ID) {
				out[at].Workers = append(out[at].Workers, x.ID)
			}
		}
	}
	slices.SortFunc(out, func(x, y foundRenderer) int {
		return cmp.Or(strings.Compare(x.Product, y.Product), strings.Compare(y.Version, x.Version), strings.Compare(x.OS+x.Arch, y.OS+y.Arch))
	})
	return out, nil
}
