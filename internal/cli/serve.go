package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/cli/server"
)

type serveCmd struct {
	Local
	Config   string       `placeholder:"FILE" help:"Configuration file. Default: drover.yaml in the data folder."`
	Settings kong.Plugins `embed:""`

	flags *config.Flags
}

func (c *serveCmd) addFlags() (err error) {
	if c.flags, err = config.NewFlags(config.DefaultServe()); err == nil {
		c.Settings = kong.Plugins{c.flags.Struct()}
	}
	return err
}

func (c *serveCmd) Help() string {
	return `Runs the farm until it is told to end. The first start makes the data folder, the database, the account admin, and its token in DIR/admin.token.

A setting can stand in drover.yaml in the data folder, in the environment, and on the command line; the later ones win. The setting farm.worker_timeout is "farm: {worker_timeout: 2m}" in the file, DROVER_FARM_WORKER_TIMEOUT in the environment, and --farm-worker-timeout here.`
}

func (c *serveCmd) Examples() string {
	return `  drover serve --data /srv/drover
  drover serve --listen 0.0.0.0:7700 --tls-cert farm.pem --tls-key farm.key
  DROVER_FILES_QUOTA=500GB drover serve --data /srv/drover --log-level debug
`
}

func (c *serveCmd) Run(a *App) error {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	set := config.DefaultServe()
	file, err := fileOr(c.Config, dir, "drover.yaml")
	if err != nil {
		return err
	}
	if err := set.Swarm.ReadSwarmYAML(dir); err != nil {
		return usageError{err}
	}
	if err := config.Load(set, file, a.Env, c.flags); err != nil {
		return usageError{err}
	}
	log, err := newLog(a, set.Log)
	if err != nil {
		return err
	}
	keepPrivate()
	s, err := server.Start(a.ctx, server.Config{Settings: set, Data: dir, Version: Version, Log: log})
	if err != nil {
		return err
	}
	log.Info("farm ready", "url", s.URL(), "data", dir, "version", Version, "pid", os.Getpid())
	select {
	case <-a.ctx.Done():
		log.Info("ending: no more requests are taken, those under way finish")
	case err = <-s.Failed():
		log.Error("the farm cannot go on", "err", err)
	}
	if stopErr := s.Stop(); err == nil {
		err = stopErr
	}
	if err == nil {
		log.Info("ended")
	}
	return err
}

// fileOr is the configuration file: the one named, which must then exist, or
// the one in the data folder.
func fileOr(named, dir, name string) (string, error) {
	if named == "" {
		return filepath.Join(dir, name), nil
	}
	if _, err := os.Stat(named); err != nil {
		return "", usagef("the configuration file cannot be read: %v", err)
	}
	return named, nil
}

// newLog makes the program's own log.
func newLog(a *App, set config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(set.Level)); err != nil {
		return nil, usagef("log.level is %q; it is debug, info, warn or error", set.Level)
	}
	text := set.Format == "text"
	switch strings.ToLower(set.Format) {
	case "text", "json":
	case "auto", "":
		text = a.Terminal(a.Err)
	default:
		return nil, usagef("log.format is %q; it is text, json or auto", set.Format)
	}
	return slog.New(logHandler(a.Err, level, text, a.Terminal(a.Err))), nil
}

func logHandler(w io.Writer, level slog.Level, text, colour bool) slog.Handler {
	if text {
		return tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !colour})
	}
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
}

// pairsOf reads NAME=VALUE settings.
func pairsOf(what string, list []string, add func(name, value string) error) error {
	for _, item := range list {
		name, value, ok := strings.Cut(item, "=")
		if !ok || strings.TrimSpace(name) == "" {
			return usagef("%s: %q is not NAME=VALUE", what, item)
		}
		if err := add(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("%s: %q: %w", what, item, err)
		}
	}
	return nil
}
