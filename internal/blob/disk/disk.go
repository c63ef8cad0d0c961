// Package disk keeps blobs in a folder of one machine, for one process.
//
// The layout and what survives which crash are in docs/design/files.md. The
// short of it: content goes to a temporary file of the same file system, is
// synced, and is renamed to its hash; the directory is synced before anyone is
// told. Nothing is ever written to a file under its hash.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	lru "github.com/hashicorp/golang-lru/v2"

	"drover.farm/internal/blob"
)

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600

	formatName = "format"
	formatText = "drover files 1\n"
	lockName   = "lock"
	blobDir    = "sha256"
	tempDir    = "tmp"
	uploadDir  = "uploads"
	tempPrefix = "put-"

	// sumsKept bounds the memory for MD5 sums: about 2 MiB.
	sumsKept = 1 << 14
	// defaultMaxUploads bounds what clients that never come back can hold.
	defaultMaxUploads = 10_000
	// defaultCheckpoint is how much of an append a crash may cost.
	defaultCheckpoint = 64 << 20
)

// Options are the settings of a store; the zero value is good.
type Options struct {
	// Limit is the most bytes that blobs, uploads and Puts under way may take
	// together; 0 is no limit. Directories and small bookkeeping files do not
	// count.
	Limit int64
	// MinFree is how many bytes of the file system are left alone.
	MinFree int64
	// MaxUploads is how many unfinished uploads may be open; 0 means 10,000.
	MaxUploads int
	// Checkpoint is after how many bytes an append under way is made durable,
	// so that a crash costs no more than that; 0 means 64 MiB.
	Checkpoint int64
	// Idle is after how long without new bytes an upload gives up the room that
	// it was promised when others need it; 0 means 15 minutes.
	Idle time.Duration
	// Now is the clock; nil means the system's.
	Now func() time.Time
	// Log gets what the store cleans up and what it cannot; nil is silence.
	Log *slog.Logger

	// at is called at the named points of a write, for crash tests.
	at func(point string)
	// free replaces the question to the file system, for tests.
	free func() (int64, error)
	// syncDir replaces the syncing of a directory, for tests.
	syncDir func(path string) error
}

// Store is a folder of blobs. It implements blob.Store and blob.Janitor; its
// uploads are at Uploads. All methods may be called from many goroutines.
type Store struct {
	dir     string
	opt     Options
	log     *slog.Logger
	lock    *flock.Flock
	shards  [256]shard
	acct    account
	md5     *lru.Cache[blob.Hash, [16]byte]
	uploads *Uploads

	counted  chan struct{} // closed when the space in use is known
	countErr error         // read after counted

	gate   sync.Mutex // guards closed and the first Add of ops
	closed bool
	done   chan struct{} // closed with closed
	ops    sync.WaitGroup
}

var (
	_ blob.Store   = (*Store)(nil)
	_ blob.Janitor = (*Store)(nil)
)

// Open opens the store in dir and makes it if there is none. It sweeps what a
// crash left and takes up unfinished uploads. It fails when another process
// has the folder open, or when a newer Drover wrote it.
func Open(dir string, opt Options) (*Store, error) {
	s := newStore(dir, opt)
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		_ = s.lock.Unlock()
		return nil, err
	}
	return s, nil
}

func newStore(dir string, opt Options) *Store {
	if opt.MaxUploads <= 0 {
		opt.MaxUploads = defaultMaxUploads
	}
	if opt.Checkpoint <= 0 {
		opt.Checkpoint = defaultCheckpoint
	}
	if opt.Idle <= 0 {
		opt.Idle = defaultIdle
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.at == nil {
		opt.at = func(string) {}
	}
	if opt.free == nil {
		opt.free = func() (int64, error) { return freeBytes(dir) }
	}
	if opt.syncDir == nil {
		opt.syncDir = syncDir
	}
	md5, _ := lru.New[blob.Hash, [16]byte](sumsKept) // fails on a size below 1 only
	s := &Store{
		dir: dir, opt: opt, log: opt.Log, md5: md5,
		lock: flock.New(filepath.Join(dir, lockName)),
		done: make(chan struct{}), counted: make(chan struct{}),
	}
	s.acct = account{limit: opt.Limit, minFree: opt.MinFree, free: opt.free}
	for i := range s.shards {
		s.shards[i].dir = filepath.Join(dir, blobDir, fmt.Sprintf("%02x", i))
	}
	s.uploads = newUploads(s)
	return s
}

// prepare takes the folder for this process and checks its format.
func (s *Store) prepare() error {
	if err := os.MkdirAll(s.dir, dirMode); err != nil {
		return fmt.Errorf("make the folder for files: %w", err)
	}
	ok, err := s.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock the folder for files %s: %w", s.dir, err)
	}
	if !ok {
		return fmt.Errorf("the folder for files %s is in use by another process: stop it, or use another folder", s.dir)
	}
	if err := s.checkFormat(); err != nil {
		_ = s.lock.Unlock()
		return err
	}
	return nil
}

func (s *Store) checkFormat() error {
	path := filepath.Join(s.dir, formatName)
	text, err := os.ReadFile(path)
	switch {
	case err == nil && string(text) == formatText:
		return nil
	case err == nil && len(text) > 0:
		return fmt.Errorf("the folder for files %s has format %q, which this Drover does not know: use the Drover that wrote it or a newer one", s.dir, firstLine(text))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the format of the folder for files: %w", err)
	}
	if err := writeDurably(path, []byte(formatText), s.opt.syncDir); err != nil {
		return fmt.Errorf("write the format of the folder for files: %w", err)
	}
	return nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(string(text), "\n")
	return line[:min(len(line), 80)]
}

// start makes the directories, sweeps temporary files, takes up uploads and
// begins to count the space in use.
func (s *Store) start() error {
	made := false
	dirs := []string{filepath.Join(s.dir, tempDir), filepath.Join(s.dir, uploadDir), filepath.Join(s.dir, blobDir)}
	for i := range s.shards {
		dirs = append(dirs, s.shards[i].dir)
	}
	for _, d := range dirs {
		switch err := os.Mkdir(d, dirMode); {
		case err == nil:
			made = true
		case !errors.Is(err, fs.ErrExist):
			return fmt.Errorf("make the folder for files: %w", err)
		}
	}
	if made {
		for _, d := range []string{filepath.Join(s.dir, blobDir), s.dir, filepath.Dir(s.dir)} {
			if err := s.opt.syncDir(d); err != nil {
				return fmt.Errorf("make the folder for files durable: %w", err)
			}
		}
	}
	if err := s.sweep(); err != nil {
		return err
	}
	if err := s.uploads.load(); err != nil {
		return err
	}
	go s.count()
	return nil
}

// sweep removes the temporary files of Puts that a crash cut off.
func (s *Store) sweep() error {
	dir := filepath.Join(s.dir, tempDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep temporary files: %w", err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("sweep temporary files: %w", err)
		}
	}
	if len(entries) > 0 {
		s.log.Info("removed files of writes that were cut off", "count", len(entries))
	}
	return nil
}

// Close ends what is under way with blob.ErrClosed at its next piece, waits for
// it, and gives the folder free. A reader that blocks delays it: end the readers
// first. Blobs that are open can be read on. Close may be called again.
func (s *Store) Close() error {
	s.gate.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.gate.Unlock()
	s.ops.Wait()
	<-s.counted
	return s.lock.Unlock()
}

// begin announces a change to Close; the caller calls s.ops.Done after it.
func (s *Store) begin() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return blob.ErrClosed
	}
	s.ops.Add(1)
	return nil
}

// Uploads are the uploads of this store.
func (s *Store) Uploads() *Uploads { return s.uploads }

// running fails when the store is closed or ctx is done.
func (s *Store) running(ctx context.Context) error {
	select {
	case <-s.done:
		return blob.ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
