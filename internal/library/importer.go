package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Importer takes builds out of a folder into which people and scripts put them:
// Swarm's import directory. It leaves files alone that are still being copied,
// tries one that fails a bounded number of times with growing pauses and then
// sets it aside, and never tries one for another system again.
type Importer struct {
	Depot *Depot
	Dir   string // of files to import; its folders are looked into as well
	State string // file that keeps what became of them
	// Period is how often the folder is looked at; 10 s.
	Period time.Duration
	// Tries is how often a file is tried; 5. Pause is the first pause after a
	// failure, 30 s; it doubles.
	Tries int
	Pause time.Duration
	Clock func() time.Time // time.Now
	Log   *slog.Logger

	mu    sync.Mutex
	files map[string]*File // by path below Dir
}

// FileState is what became of a file.
type FileState string

// The states of a file.
const (
	FileWaiting  FileState = "waiting"  // it is still being copied, or its turn comes
	FileImported FileState = "imported" // it is a build, or was one before
	FileForeign  FileState = "foreign"  // it is for another system
	FileAside    FileState = "aside"    // it failed too often
)

// File is a file in the import folder.
type File struct {
	Name     string    `json:"name"` // path below the folder
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	State    FileState `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Tries    int       `json:"tries,omitempty"`
	Next     time.Time `json:"next,omitzero"` // not before then
	Seen     time.Time `json:"seen,omitzero"` // since when it has not changed
	Uploaded bool      `json:"uploaded,omitempty"`
}

const (
	maxImports     = 10_000
	maxImportDepth = 4
)

func (m *Importer) withDefaults() {
	if m.Period <= 0 {
		m.Period = 10 * time.Second
	}
	if m.Tries <= 0 {
		m.Tries = 5
	}
	if m.Pause <= 0 {
		m.Pause = 30 * time.Second
	}
	if m.Clock == nil {
		m.Clock = time.Now
	}
}

// Open reads what is known of the files.
func (m *Importer) Open() error {
	m.withDefaults()
	if err := os.MkdirAll(m.Dir, 0o755); err != nil && !isFolder(m.Dir) {
		return fmt.Errorf("make the import folder: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.load()
}

// Files lists what is in the folder and was not imported.
func (m *Importer) Files() []File {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []File
	for _, f := range m.files {
		if f.State != FileImported {
			out = append(out, *f)
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Queue moves a file that was uploaded whole into the folder, under its name or,
// when that is taken, one like it, and returns its path.
func (m *Importer) Queue(temp, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = plainName(name)
	to := filepath.Join(m.Dir, name)
	for i := 1; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		ext := filepath.Ext(name)
		to = filepath.Join(m.Dir, fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), i, ext))
	}
	if err := move(temp, to); err != nil {
		return "", fmt.Errorf("put the upload into the import folder: %w", err)
	}
	st, err := os.Stat(to)
	if err != nil {
		return "", err
	}
	rel := filepath.ToSlash(filepath.Base(to))
	m.files[rel] = &File{Name: rel, Size: st.Size(), Modified: st.ModTime(), State: FileWaiting, Uploaded: true}
	return to, m.save()
}

// plainName makes a name from outside one that is safe in a folder.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if name = strings.TrimLeft(strings.TrimSpace(name), "."); len(name) > 150 {
		name = name[len(name)-150:]
	}
	if name == "" {
		name = "upload"
	}
	return name
}

// move renames, or copies to another file system under a passing name.
func move(from, to string) error {
	if os.Rename(from, to) == nil {
		return nil
	}
	if err := copyTo(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// copyTo copies a file, under a passing name until it is whole.
func copyTo(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	temp := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".part")
	dst, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Sync(), dst.Close()); err == nil {
		err = os.Rename(temp, to)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

// Run looks at the folder every Period, and when poke says that something
// changed, until ctx ends. poke may be nil.
func (m *Importer) Run(ctx context.Context, poke <-chan struct{}) {
	t := time.NewTicker(m.Period)
	defer t.Stop()
	for {
		if err := m.Scan(ctx); err != nil && ctx.Err() == nil {
			m.Log.Warn("the import folder cannot be looked at", "dir", m.Dir, "err", err)
		}
		if err := m.Depot.Tidy(ctx); err != nil && ctx.Err() == nil {
			m.Log.Warn("the folder for V-Ray cannot be tidied", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-poke:
		}
	}
}

// Scan looks at the folder once and imports what is due.
func (m *Importer) Scan(ctx context.Context) error {
	found, err := m.list()
	if err != nil {
		return err
	}
	for _, f := range m.due(found) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.settle(f, m.take(ctx, f))
	}
	return nil
}

// list finds the files in the folder. Hidden ones and those that are named as
// unfinished are passed over.
func (m *Importer) list() (map[string]fs.FileInfo, error) {
	out := make(map[string]fs.FileInfo)
	err := filepath.WalkDir(m.Dir, func(p string, d fs.DirEntry, err error) error {
		if p == m.Dir {
			return err
		}
		if err != nil {
			return nil // it went away meanwhile, or is not ours to read
		}
		rel, _ := filepath.Rel(m.Dir, p)
		rel = filepath.ToSlash(rel)
		hidden := strings.HasPrefix(d.Name(), ".")
		if d.IsDir() {
			if hidden || strings.Count(rel, "/")+1 >= maxImportDepth {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(p)
		if err != nil || !info.Mode().IsRegular() || hidden || unfinished(d.Name()) {
			return nil
		}
		if out[rel] = info; len(out) >= maxImports {
			return fs.SkipAll
		}
		return nil
	})
	return out, err
}

// unfinished tells by a name that a program is still writing the file.
func unfinished(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".part", ".partial", ".tmp", ".crdownload", ".filepart":
		return true
	}
	return false
}

// due brings what is known up to date and returns what is to be tried now: what
// waits and did not change for a period.
func (m *Importer) due(found map[string]fs.FileInfo) []*File {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := false
	for name := range m.files {
		if _, there := found[name]; !there {
			delete(m.files, name)
			changed = true
		}
	}
	var out []*File
	now := m.Clock()
	for name, info := range found {
		f := m.files[name]
		if f == nil || f.Size != info.Size() || !f.Modified.Equal(info.ModTime()) {
			m.files[name] = &File{Name: name, Size: info.Size(), Modified: info.ModTime(), State: FileWaiting, Seen: now}
			changed = true
			continue
		}
		if f.State == FileWaiting && now.Sub(f.Seen) >= m.Period && !now.Before(f.Next) {
			out = append(out, f)
		}
	}
	if changed {
		m.keep()
	}
	slices.SortFunc(out, func(a, b *File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (m *Importer) take(ctx context.Context, f *File) error {
	file, err := os.Open(filepath.Join(m.Dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = m.Depot.Take(ctx, file, filepath.Base(f.Name))
	return err
}

// settle notes what became of a file.
func (m *Importer) settle(f *File, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[f.Name] != f {
		return
	}
	var exists *Exists
	var elsewhere *Elsewhere
	switch {
	case errors.Is(err, context.Canceled):
		return
	case err == nil, errors.As(err, &exists):
		f.State, f.Reason = FileImported, ""
		if f.Uploaded { // by the door, for nobody else
			if err := os.Remove(filepath.Join(m.Dir, filepath.FromSlash(f.Name))); err == nil {
				delete(m.files, f.Name)
			}
		}
	case errors.As(err, &elsewhere):
		f.State, f.Reason = FileForeign, err.Error()
		m.Log.Info("a file in the import folder is for another system", "file", f.Name, "os", elsewhere.OS, "arch", elsewhere.Arch)
	default:
		f.Tries++
		f.Reason = err.Error()
		if f.Tries >= m.Tries {
			f.State, f.Next = FileAside, time.Time{}
			m.Log.Warn("a file in the import folder is set aside", "file", f.Name, "tries", f.Tries, "err", err)
			break
		}
		f.Next = m.Clock().Add(m.Pause << min(f.Tries-1, 10))
		m.Log.Warn("a file in the import folder cannot be imported; it is tried again", "file", f.Name, "tries", f.Tries, "next", f.Next, "err", err)
	}
	m.keep()
}
