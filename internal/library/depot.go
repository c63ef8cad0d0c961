package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"drover.farm/internal/archive"
)

// Exists says that a build of V-Ray is there already.
type Exists struct{ Version VRayVersion }

// Error names the build.
func (e *Exists) Error() string { return "V-Ray " + e.Version.String() + " is there already" }

// Elsewhere says that a build is of no use where it was to be deployed.
type Elsewhere struct{ OS, Arch string }

// Error names the system.
func (e *Elsewhere) Error() string {
	return fmt.Sprintf("it is for %s %s; this machine is %s %s", e.OS, e.Arch, hostOS(), archOf(runtime.GOARCH))
}

// Shelf is where a depot's builds are made known.
type Shelf interface {
	// Publish makes a build known whose archive is in the file. It fails with an
	// *Exists when it is known already.
	Publish(ctx context.Context, file *os.File, found *Found, name string) error
	// Known reports whether a build of V-Ray is.
	Known(ctx context.Context, found *Found) (bool, error)
}

// Depot is a folder with builds of V-Ray, unpacked, as V-Ray Swarm keeps them:
// DIR/vray-<version>-<hash> for this machine's system, DIR/vray-<version>-<hash>-
// <os>-<arch> for others. A build is there when its folder is: it appears by one
// rename. It is for several goroutines; one process has the folder.
type Depot struct {
	Dir   string
	Shelf Shelf
	// Foreign accepts builds for other systems than this machine's.
	Foreign    bool
	Limits     archive.Limits
	Installers *Installers // nil: refused
	// RunVersion lets a build whose version cannot be told otherwise be run in a
	// sandbox to say it.
	RunVersion bool
	Log        *slog.Logger

	mine  *flock.Flock
	mu    sync.Mutex
	locks map[string]*sync.Mutex // by folder name
}

// marker is the file in a deployed folder that tells it from anything else that
// lies there: what was deployed, as JSON.
const marker = ".drover-build.json"

// Taken is a build that a depot took in.
type Taken struct {
	Version VRayVersion
	Dir     string // it was deployed in
}

// Open makes the folder and removes what an earlier process that was killed has
// left in it.
func (d *Depot) Open(ctx context.Context) error {
	if err := os.MkdirAll(d.uploads(), 0o755); err != nil {
		return fmt.Errorf("make the folder for V-Ray: %w", err)
	}
	d.mine = flock.New(filepath.Join(d.Dir, ".lock"))
	if ok, err := d.mine.TryLock(); err != nil {
		return fmt.Errorf("lock the folder for V-Ray: %w", err)
	} else if !ok {
		return fmt.Errorf("the folder for V-Ray %s is in use by another process; give this one another data folder", d.Dir)
	}
	entries, err := os.ReadDir(d.uploads())
	if err != nil {
		return fmt.Errorf("open the folder for V-Ray: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(d.uploads(), e.Name())); err != nil {
			return fmt.Errorf("remove a broken-off upload: %w", err)
		}
	}
	if err := archive.Sweep(d.Dir); err != nil {
		return fmt.Errorf("remove what was being unpacked: %w", err)
	}
	return d.Tidy(ctx)
}

// Close lets others have the folder.
func (d *Depot) Close() error { return d.mine.Close() }

func (d *Depot) uploads() string { return filepath.Join(d.Dir, "uploads") }

// Temp makes a file for an upload, on the depot's file system. The caller removes
// it.
func (d *Depot) Temp() (*os.File, error) { return os.CreateTemp(d.uploads(), "upload-*.buf") }

// Tidy removes folders of builds that are not known any more.
func (d *Depot) Tidy(ctx context.Context) error {
	deployed, err := d.Deployed()
	if err != nil {
		return err
	}
	for dir, f := range deployed {
		if err := d.tidy(ctx, dir, &f); err != nil {
			return err
		}
	}
	return nil
}

func (d *Depot) tidy(ctx context.Context, dir string, f *Found) error {
	defer d.lock(filepath.Base(dir))()
	known, err := d.Shelf.Known(ctx, f)
	if err != nil || known {
		return err
	}
	d.Log.Info("a V-Ray that is not in the library any more is removed", "dir", dir)
	return remove(dir)
}

// remove takes a folder's name away first, so that one that is half removed never
// passes for whole; Sweep removes the rest after a crash.
func remove(dir string) error {
	gone := filepath.Join(filepath.Dir(dir), archive.TempPrefix+"removed-"+filepath.Base(dir))
	if err := os.Rename(dir, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// Deployed lists the builds that are there, by folder.
func (d *Depot) Deployed() (map[string]Found, error) {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the builds of V-Ray: %w", err)
	}
	out := make(map[string]Found)
	for _, e := range entries {
		dir := filepath.Join(d.Dir, e.Name())
		text, err := os.ReadFile(filepath.Join(dir, marker))
		var f Found
		if err == nil && strings.HasPrefix(e.Name(), "vray-") && json.Unmarshal(text, &f) == nil {
			out[dir] = f
		}
	}
	return out, nil
}

// Take recognises the V-Ray in a file, unpacks it into its folder and publishes
// it; in any other case everything is as before. It fails with an *Exists, an
// *Elsewhere, an *Unknown or an *archive.Refusal.
func (d *Depot) Take(ctx context.Context, file *os.File, name string) (*Taken, error) {
	file, name, done, err := d.Installers.unpack(ctx, file, name, d.uploads())
	if err != nil {
		return nil, err
	}
	defer done()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := Recognise(ctx, file, st.Size(), name, Description{}, d.Limits)
	if err != nil && f != nil && f.Product == "vray" && d.RunVersion {
		f, err = Ask(ctx, file, st.Size(), f, d.uploads(), d.Limits)
	}
	if err != nil {
		return nil, err
	}
	if f.Product != "vray" {
		return nil, unknown("the archive holds %s %s, not V-Ray; \"drover renderer add\" puts it into the library", f.Product, f.Version)
	}
	v, _ := ParseVRayVersion(f.Version + " " + f.Revision)
	if own := d.own(f); !own && !d.Foreign {
		return nil, &Elsewhere{f.OS, f.Arch}
	}
	defer d.lock(d.folder(f))()
	dir := filepath.Join(d.Dir, d.folder(f))
	if err := d.there(ctx, dir, f); err != nil {
		return nil, err
	}
	if err := d.deploy(ctx, file, st.Size(), f); err != nil {
		return nil, err
	}
	if err := d.Shelf.Publish(ctx, file, f, name); err != nil {
		return nil, errors.Join(err, remove(dir))
	}
	d.Log.Info("V-Ray deployed", "version", v.String(), "os", f.OS, "arch", f.Arch, "dir", dir)
	return &Taken{v, dir}, nil
}

// there fails with an *Exists when the build is known or its folder is there.
func (d *Depot) there(ctx context.Context, dir string, f *Found) error {
	v, _ := ParseVRayVersion(f.Version + " " + f.Revision)
	if _, err := os.Lstat(dir); err == nil {
		return &Exists{v}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known, err := d.Shelf.Known(ctx, f)
	if known {
		return &Exists{v}
	}
	return err
}

// deploy unpacks a build into its folder.
func (d *Depot) deploy(ctx context.Context, file *os.File, size int64, f *Found) error {
	return archive.Unpack(ctx, file, size, d.Dir, d.folder(f), archive.Options{Limits: d.Limits, Root: f.Root, Lasting: true, Finish: func(dir string) error {
		text, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, marker), text, 0o644); err != nil {
			return err
		}
		return runnable(dir, f)
	}})
}

// runnable makes bin/vray a program that can be started: archives of some systems
// know no executable files, and products bring bin/vray.bin, which needs to be
// told where its libraries are.
func runnable(dir string, f *Found) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Chmod(filepath.FromSlash(f.Program), 0o755); err != nil {
		return err
	}
	if f.OS == "windows" || f.Program == "bin/vray" {
		return nil
	}
	if err := root.MkdirAll("bin", 0o755); err != nil {
		return err
	}
	text := "#!/bin/sh\n# Made by Drover: starts V-Ray with its own libraries.\n" +
		"root=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\n" +
		"export LD_LIBRARY_PATH=\"$root/lib:$root/bin${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\"\n" +
		"exec \"$root/" + f.Program + "\" \"$@\"\n"
	if err := root.WriteFile("bin/vray", []byte(text), 0o755); err != nil {
		return fmt.Errorf("write bin/vray: %w", err)
	}
	return root.Chmod("bin/vray", 0o755)
}

// own reports whether a build is for this machine.
func (d *Depot) own(f *Found) bool {
	return (f.OS == hostOS() || f.OS == Any) && (f.Arch == archOf(runtime.GOARCH) || f.Arch == Any)
}

// folder is the name of a build's folder.
func (d *Depot) folder(f *Found) string {
	name := "vray-" + f.Version
	if f.Revision != "" {
		name += "-" + f.Revision
	}
	if !d.own(f) {
		name += "-" + f.OS + "-" + f.Arch
	}
	return name
}

// lock keeps others from the folder of that name until the function it returns is
// called.
func (d *Depot) lock(name string) (unlock func()) {
	d.mu.Lock()
	if d.locks == nil {
		d.locks = make(map[string]*sync.Mutex)
	}
	l := d.locks[name]
	if l == nil {
		l = &sync.Mutex{}
		d.locks[name] = l
	}
	d.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// hostOS is the value of attr.worker.os.family (OpenJD 2023-09, section 3.3.2).
func hostOS() string {
	if runtime.GOOS == "darwin" {
		return "macos"
	}
	return runtime.GOOS
}
