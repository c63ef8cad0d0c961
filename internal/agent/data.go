package agent

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gofrs/flock"

	"drover.farm/openjd/session"
)

// folder is the worker's data folder while it is in use.
type folder struct {
	dir  string
	key  string // what the worker knows itself by
	lock *flock.Flock
}

// The parts of a data folder.
func (f *folder) cache() string    { return filepath.Join(f.dir, "cache") }
func (f *folder) builds() string   { return filepath.Join(f.dir, "renderers") }
func (f *folder) sessions() string { return filepath.Join(f.dir, "sessions") }
func (f *folder) stage() string    { return filepath.Join(f.dir, "files") }
func (f *folder) spool() string    { return filepath.Join(f.dir, "spool") }
func (f *folder) bin() string      { return filepath.Join(f.dir, "bin") }

// openFolder takes the data folder for this program alone, ends what an earlier
// one that was killed has left in it, and makes its parts.
func openFolder(dir, executable string, log *slog.Logger) (*folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	// Sessions name the resolved path.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	f := &folder{dir: dir, lock: flock.New(filepath.Join(dir, "worker.lock"))}
	if err := f.take(); err != nil {
		return nil, err
	}
	if err := f.prepare(executable, log); err != nil {
		f.close()
		return nil, fmt.Errorf("prepare the data folder %s: %w", dir, err)
	}
	return f, nil
}

// take locks the folder. The process id is in a file of its own: Windows lets
// nobody read a locked one.
func (f *folder) take() error {
	pid := filepath.Join(f.dir, "worker.pid")
	ok, err := f.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock the data folder %s: %w", f.dir, err)
	}
	if !ok {
		other := "another process"
		if b, err := os.ReadFile(pid); err == nil && len(b) > 0 && len(b) < 20 {
			other = "process " + strings.TrimSpace(string(b))
		}
		return fmt.Errorf("the data folder %s is in use by %s; stop that worker, or give this one another folder", f.dir, other)
	}
	if err := os.WriteFile(pid, fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		f.close()
		return fmt.Errorf("write %s: %w", pid, err)
	}
	return nil
}

func (f *folder) close() { _ = f.lock.Close() }

func (f *folder) prepare(executable string, log *slog.Logger) error {
	if err := session.Sweep(f.sessions()); err != nil {
		log.Warn("something of an earlier worker is left", "error", err)
	}
	for _, dir := range []string{f.stage(), f.spool(), f.bin()} {
		if err := removeAll(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{f.cache(), f.builds(), f.sessions(), f.stage(), f.spool(), f.bin()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := linkProgram(executable, f.bin()); err != nil {
		return err
	}
	var err error
	f.key, err = workerKey(filepath.Join(f.dir, "worker.key"))
	return err
}

// removeAll removes a tree, also where a job took away its own permissions.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// workerKey reads the key, or makes one.
func workerKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(b) > 0 {
		key := strings.TrimSpace(string(b))
		if raw, err := hex.DecodeString(key); err == nil && len(raw) == 16 {
			return key, nil
		}
		return "", fmt.Errorf("%s holds no worker key; remove it, and this machine counts as a new worker", path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	key := newKey()
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(key + "\n")
	// A power cut must not leave an empty file under the name.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	return key, os.Rename(f.Name(), path)
}

// newKey makes a name that nobody can guess.
func newKey() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// linkProgram puts the program into the folder under the name "drover".
func linkProgram(executable, dir string) error {
	if runtime.GOOS != "windows" {
		return os.Symlink(executable, filepath.Join(dir, "drover"))
	}
	// Symbolic links take a privilege on Windows.
	to := filepath.Join(dir, "drover.exe")
	if os.Link(executable, to) == nil {
		return nil
	}
	return copyFile(executable, to, 0o700)
}
