package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/cli/move"
	"drover.farm/internal/cli/server"
)

type migrateCmd struct {
	Shown
	From      string `required:"" placeholder:"FARM" help:"The farm to move: its data folder, or postgres://USER:PASSWORD@HOST:PORT/NAME."`
	FromBlobs string `placeholder:"FILES" help:"Where its files are: a folder or s3://BUCKET/PREFIX?endpoint=…. Default: those of the data folder."`
	To        string `required:"" placeholder:"FARM" help:"Where it moves to, in the same forms; an empty database, or a folder in which no farm is."`
	ToBlobs   string `placeholder:"FILES" help:"Where its files move to. Default: blobs in the data folder."`
}

func (c *migrateCmd) Help() string {
	return `Moves jobs, tasks, accounts, tokens, workers and everything else of a farm that is stopped, and its files. The farm that is moved from stays as it is. Files go first, and those that are there already are not sent again, so a move that was broken off goes on when the command is called again. The state then goes in one transaction, and both are read and compared at the end.

Unfinished uploads stay behind: whoever was uploading begins that file anew. Settings stay behind, too; set store and blobs for the farm at its new place. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are the credentials of the bucket.`
}

func (c *migrateCmd) Examples() string {
	return `  drover migrate --from /srv/drover --to postgres://drover:secret@db/drover --to-blobs 's3://farm/files?endpoint=http://s3:9000&path_style=true'
  drover migrate --from postgres://drover:secret@db/drover --from-blobs 's3://farm/files' --to /srv/drover
`
}

func (c *migrateCmd) Run(a *App) error {
	log := slog.New(slog.DiscardHandler)
	scratch, err := os.MkdirTemp("", "drover-migrate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	from, err := farmPlace(c.From, c.FromBlobs, "from", filepath.Join(scratch, "from"), true)
	if err != nil {
		return err
	}
	to, err := farmPlace(c.To, c.ToBlobs, "to", filepath.Join(scratch, "to"), false)
	if err != nil {
		return err
	}
	old, err := server.OpenParts(a.ctx, from.set, from.data, log)
	if err != nil {
		return fmt.Errorf("open the farm to move: %w", err)
	}
	defer old.Close()
	next, err := server.OpenParts(a.ctx, to.set, to.data, log)
	if err != nil {
		return fmt.Errorf("open the place to move to: %w", err)
	}
	defer next.Close()
	r, err := move.Move(a.ctx, old.Store.(move.Store), next.Store.(move.Store), old.Blobs, next.Blobs, func(what string) { a.say("%s", what) })
	if err != nil {
		return err
	}
	a.missing(r)
	return a.show(c.Shown, r, func(w io.Writer) {
		fmt.Fprintf(w, "moved: %d rows; %d files, %d of them sent now (%s); both sides were compared\n", r.Rows, r.Files, r.Sent, size(r.Bytes))
	})
}

// missing says which files the farm itself lacks.
func (a *App) missing(r *move.Report) {
	if len(r.Missing) > 0 {
		a.say("%d files that jobs refer to are missing in the farm itself, such as %s", len(r.Missing), r.Missing[0])
	}
}

// farmEnd is where a farm is.
type farmEnd struct {
	set  *config.Serve
	data string
}

// farmPlace reads the two flags that say where a farm is. A data folder's own
// drover.yaml counts for a farm that is there; for one that will be there it
// does not, and there must be none.
func farmPlace(text, files, flag, scratch string, there bool) (*farmEnd, error) {
	set := config.DefaultServe()
	if server.IsPostgres(text) {
		if files == "" {
			return nil, usagef("--%s is a database; say with --%s-blobs where the files are", flag, flag)
		}
		set.Store, set.Blobs = text, files
		return &farmEnd{set, scratch}, nil
	}
	if there {
		if _, err := os.Stat(text); err != nil {
			return nil, usagef("--%s: there is no data folder: %v", flag, err)
		}
		if err := config.Load(set, filepath.Join(text, "drover.yaml"), func(string) (string, bool) { return "", false }, nil); err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(text, "drover.db")); err != nil && set.Store == "" {
			return nil, usagef("--%s: there is no farm in %s: %v", flag, text, err)
		}
	}
	set.Files.MinFree = 0
	if files != "" {
		set.Blobs = files
	}
	return &farmEnd{set, text}, nil
}
