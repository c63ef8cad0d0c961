package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/blob/s3"
	"drover.farm/internal/cli/config"
	"drover.farm/internal/farm"
	"drover.farm/internal/store/postgres"
	"drover.farm/internal/store/sqlite"
)

// Parts are a farm's state and files without the farm: for commands that carry
// them elsewhere.
type Parts struct {
	Store farm.Store
	Blobs blob.Store

	close func() error
}

// OpenParts opens the state and the files that settings name. Both are locked
// against others as a farm would lock them.
func OpenParts(ctx context.Context, set *config.Serve, data string, log *slog.Logger) (*Parts, error) {
	if err := prepareData(data); err != nil {
		return nil, err
	}
	state, err := openStore(ctx, set.Store, data, "")
	if err != nil {
		return nil, err
	}
	f, err := openFiles(ctx, set, data, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the store of files: %w", err), state.Close())
	}
	return &Parts{Store: state, Blobs: f, close: func() error { return errors.Join(f.Close(), state.Close()) }}, nil
}

// Close closes both.
func (p *Parts) Close() error { return p.close() }

// IsPostgres reports whether the setting store names a PostgreSQL database.
func IsPostgres(store string) bool { return isPostgres(store) }

// files is a store of files: a folder or a bucket.
type files interface {
	blob.Store
	blob.Janitor
	Uploads() blob.Uploads
	Close() error
}

var (
	_ files = diskFiles{}
	_ files = s3Files{}
)

type diskFiles struct{ *disk.Store }

func (d diskFiles) Uploads() blob.Uploads { return d.Store.Uploads() }

type s3Files struct{ *s3.Store }

func (s s3Files) Uploads() blob.Uploads { return s.Store.Uploads() }

// openFiles opens the store of files that the setting blobs names.
func openFiles(ctx context.Context, set *config.Serve, data string, log *slog.Logger) (files, error) {
	if strings.HasPrefix(set.Blobs, "s3://") {
		s, err := s3.Open(ctx, set.Blobs, s3.Options{SpoolDir: filepath.Join(data, "spool"), Log: log})
		if err != nil {
			return nil, err
		}
		return s3Files{s}, nil
	}
	d, err := disk.Open(or(set.Blobs, filepath.Join(data, "blobs")), disk.Options{
		Limit: int64(set.Files.Quota), MinFree: int64(set.Files.MinFree), Idle: set.Files.UploadIdle, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return diskFiles{d}, nil
}

// isPostgres reports whether the setting store names a PostgreSQL database.
func isPostgres(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// openStore opens the database that the setting store names.
func openStore(ctx context.Context, store, data, address string) (farm.Store, error) {
	if isPostgres(store) {
		s, err := postgres.Open(ctx, store, address)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := sqlite.Open(ctx, or(store, filepath.Join(data, "drover.db")))
	if err != nil {
		return nil, err
	}
	return s, nil
}
