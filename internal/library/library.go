package library

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// Files is what the library needs of the store of files.
type Files interface {
	Open(ctx context.Context, h blob.Hash) (blob.File, error)
	Stat(ctx context.Context, h blob.Hash) (blob.Info, error)
}

// Farm is what the library needs of the farm.
type Farm interface {
	PublishBuild(ctx context.Context, by farm.Principal, b farm.Build) (*farm.Build, bool, error)
}

// Library publishes builds. It may be used by several goroutines.
type Library struct {
	Farm   Farm
	Files  Files
	Log    *slog.Logger
	Limits Limits
	// reading holds a place for each archive that is looked at.
	reading chan struct{}
}

// Limits are the bounds of what the library takes. Zero fields mean defaults.
type Limits struct {
	Archive archive.Limits
	AtOnce  int // archives that are looked at at once; 2
	// AskIn is a folder in which a build whose version cannot be told otherwise
	// may be unpacked, to run its program in a sandbox for it; "": it is refused.
	AskIn string
}

// New makes a library.
func New(f Farm, files Files, log *slog.Logger, l Limits) *Library {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if l.AtOnce <= 0 {
		l.AtOnce = 2
	}
	return &Library{Farm: f, Files: files, Log: log, Limits: l, reading: make(chan struct{}, l.AtOnce)}
}

// Add recognises an archive that is in the store of files and publishes it. The
// name is where it came from, for people, and may help to tell the version. It
// reports whether the build is new. Who lends machines alone may offer builds:
// they are set aside until an operator takes them. What is wrong with the archive is a
// farm.Error of code Invalid.
func (l *Library) Add(ctx context.Context, by farm.Principal, hash blob.Hash, name string, d Description) (*farm.Build, bool, error) {
	if !by.Is(farm.RoleOperator) && !by.Is(farm.RoleRenderer) {
		return nil, false, farm.Errorf(farm.Forbidden, "renderer builds take the role operator, or renderer to offer one")
	}
	info, err := l.Files.Stat(ctx, hash)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, false, farm.Errorf(farm.NotFound, "the archive %s was not uploaded", hash)
	} else if err != nil {
		return nil, false, fmt.Errorf("look up the archive: %w", err)
	}
	file, err := l.Files.Open(ctx, hash)
	if err != nil {
		return nil, false, fmt.Errorf("open the archive: %w", err)
	}
	defer file.Close()
	found, err := l.Recognise(ctx, file, file.Size(), name, d)
	if err != nil {
		return nil, false, refusal(err)
	}
	b, fresh, err := l.Farm.PublishBuild(ctx, by, found.Build(info, name))
	if err == nil && fresh {
		l.Log.Info("renderer added", "product", b.Product, "version", b.Version, "os", b.OS, "arch", b.Arch, "build", b.ID, "by", by.Login)
	}
	return b, fresh, err
}

// Recognise is Recognise with the library's limits; at most Limits.AtOnce
// archives are read at once.
func (l *Library) Recognise(ctx context.Context, r io.ReaderAt, size int64, name string, d Description) (*Found, error) {
	select {
	case l.reading <- struct{}{}:
		defer func() { <-l.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := Recognise(ctx, r, size, name, d, l.Limits.Archive)
	if err != nil && f != nil && l.Limits.AskIn != "" {
		return Ask(ctx, r, size, f, l.Limits.AskIn, l.Limits.Archive)
	}
	return f, err
}

// Build is the row of what was found in a file of the store.
func (f *Found) Build(info blob.Info, origin string) farm.Build {
	return farm.Build{
		Product: f.Product, Version: f.Version, Revision: f.Revision, OS: f.OS, Arch: f.Arch,
		SHA256: info.SHA256.String(), MD5: hex.EncodeToString(info.MD5[:]), Size: info.Size, Origin: origin,
		Layout: farm.Layout{Root: f.Root, Program: f.Program},
	}
}

// refusal makes what is wrong with an archive the sender's fault.
func refusal(err error) error {
	var u *Unknown
	var r *archive.Refusal
	switch {
	case errors.As(err, &u):
		return farm.Errorf(farm.Invalid, "%s", u.Why)
	case errors.As(err, &r):
		return farm.Errorf(farm.Invalid, "%s", r.Error())
	case errors.Is(err, archive.ErrPassword):
		return farm.Errorf(farm.Invalid, "the archive is encrypted; send it unencrypted")
	}
	return err
}
