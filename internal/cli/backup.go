package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"drover.farm/internal/blob/disk"
	"drover.farm/internal/blob/s3"
	"drover.farm/internal/cli/config"
	"drover.farm/internal/cli/move"
	"drover.farm/internal/cli/server"
)

type backupCmd struct {
	Shown
	Local
	Config string `placeholder:"FILE" help:"Configuration file of the farm. Default: drover.yaml in the data folder."`
	To     string `required:"" placeholder:"FOLDER" help:"Where the copy goes: a folder that does not exist yet."`
}

func (c *backupCmd) Help() string {
	return `Copies a farm whose state is in SQLite, with every file that the state refers to, while the farm works or not. The copy is as the farm was at one moment, and is a data folder of its own: "drover serve --data FOLDER" runs it. It appears when it is complete; a backup that was broken off goes on with what it left in FOLDER.partial.

Accounts and tokens go along, and admin.token; drover.yaml does not. Of a farm on PostgreSQL and S3, copy the database with pg_dump and the bucket with the tools of its store.`
}

func (c *backupCmd) Examples() string {
	return `  drover backup --data /srv/drover --to /backup/drover-2026-11-28
`
}

func (c *backupCmd) Run(a *App) error {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	set := config.DefaultServe()
	file, err := fileOr(c.Config, dir, "drover.yaml")
	if err != nil {
		return err
	}
	if err := config.Load(set, file, a.Env, nil); err != nil {
		return usageError{err}
	}
	if server.IsPostgres(set.Store) {
		return fmt.Errorf("this farm's state is in PostgreSQL; copy it with pg_dump, and the bucket with the tools of its store")
	}
	src := move.Source{Database: set.Store, Beside: []string{filepath.Join(dir, server.TokenFile)}}
	if src.Database == "" {
		src.Database = filepath.Join(dir, "drover.db")
	}
	if _, err := os.Stat(src.Database); err != nil {
		return fmt.Errorf("there is no farm in %s: %w; \"--data DIR\" names its data folder", dir, err)
	}
	if strings.HasPrefix(set.Blobs, "s3://") {
		files, err := s3.Open(a.ctx, set.Blobs, s3.Options{SpoolDir: filepath.Join(dir, "spool")})
		if err != nil {
			return err
		}
		defer files.Close()
		src.Open = files.Open
	} else {
		where := set.Blobs
		if where == "" {
			where = filepath.Join(dir, "blobs")
		}
		files, err := disk.OpenFolder(where)
		if err != nil {
			return err
		}
		src.Open = files.Open
	}
	r, err := move.Backup(a.ctx, src, c.To, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	a.missing(r)
	return a.show(c.Shown, r, func(w io.Writer) {
		fmt.Fprintf(w, "copied to %s: %d rows, %d files (%s)\n", c.To, r.Rows, r.Files, size(r.Bytes))
	})
}
