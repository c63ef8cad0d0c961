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
	"strings"
	"time"
)

// PeerShelf is the shelf of a single worker: a build is known when its folder is
// there, and offered to the farm by and by.
type PeerShelf struct {
	Dir string // of the depot
	// Offer sends an archive to the farm. An error for which Refused is true is
	// not tried again.
	Offer   func(ctx context.Context, file, name string) error
	Refused func(error) bool
	// Changed is called when a build was deployed.
	Changed func()
	Pause   time.Duration // between tries; 1 min
	Log     *slog.Logger

	more chan struct{}
}

var _ Shelf = (*PeerShelf)(nil)

// offer is an archive that the farm has not yet, and the name it came under.
type offer struct{ Name string }

func (s *PeerShelf) offers() string { return filepath.Join(s.Dir, "offers") }

// Open makes the folder of what is still to be offered.
func (s *PeerShelf) Open() error {
	s.more = make(chan struct{}, 1)
	s.more <- struct{}{}
	if s.Pause <= 0 {
		s.Pause = time.Minute
	}
	return os.MkdirAll(s.offers(), 0o755)
}

// Known implements Shelf.
func (s *PeerShelf) Known(_ context.Context, f *Found) (bool, error) {
	d := Depot{Dir: s.Dir}
	_, err := os.Lstat(filepath.Join(s.Dir, d.folder(f)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Publish implements Shelf: the archive is put aside until the farm has it.
func (s *PeerShelf) Publish(_ context.Context, file *os.File, f *Found, name string) error {
	d := Depot{Dir: s.Dir}
	at := filepath.Join(s.offers(), d.folder(f))
	os.Remove(at + ".archive")
	if err := link(file.Name(), at+".archive"); err != nil {
		return fmt.Errorf("keep the archive for the farm: %w", err)
	}
	text, err := json.Marshal(offer{name})
	if err == nil {
		err = os.WriteFile(at+".json", text, 0o644)
	}
	if err != nil {
		os.Remove(at + ".archive")
		return fmt.Errorf("keep the archive for the farm: %w", err)
	}
	s.Changed()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return nil
}

// link gives a file a second name, or copies it to another file system.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	return copyTo(from, to)
}

// Run offers to the farm what it has not, until ctx ends.
func (s *PeerShelf) Run(ctx context.Context) {
	t := time.NewTicker(s.Pause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-s.more:
		}
		files, _ := filepath.Glob(filepath.Join(s.offers(), "*.json")) // the pattern is a valid one
		for _, f := range files {
			if ctx.Err() == nil {
				s.send(ctx, f)
			}
		}
	}
}

func (s *PeerShelf) send(ctx context.Context, about string) {
	archive := strings.TrimSuffix(about, ".json") + ".archive"
	var o offer
	text, err := os.ReadFile(about)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err == nil {
		err = s.Offer(ctx, archive, o.Name)
	}
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		s.Log.Info("V-Ray was offered to the farm", "file", o.Name)
	case s.Refused(err) || errors.Is(err, fs.ErrNotExist):
		s.Log.Warn("the farm does not take this V-Ray", "file", o.Name, "err", err)
	default:
		s.Log.Warn("V-Ray could not be offered to the farm; it is tried again", "file", o.Name, "err", err)
		return
	}
	os.Remove(archive)
	os.Remove(about)
}
