package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/door/native"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
	"drover.farm/internal/web"
)

// core is what the main listener serves without the doors.
func (s *Server) core(f *farm.Farm) *doors {
	mux := http.NewServeMux()
	lib := library.New(f, s.blobs, s.log, s.libraryLimits())
	mux.HandleFunc("GET /healthz", s.health(f))
	mux.Handle("GET /metrics", s.metrics(f))
	mux.Handle(web.Prefix, s.web(f, lib))
	mux.HandleFunc("GET /{$}", s.front)
	return &doors{api: s.native(f, lib), main: mux, own: make(map[string]http.Handler)}
}

func (s *Server) native(f *farm.Farm, lib *library.Library) http.Handler {
	set := s.cfg.Settings
	return native.New(native.Config{
		Farm: f, Blobs: s.blobs, Uploads: s.blobs.Uploads(), Logs: s.live, Library: lib, Imports: s.importFiles, Log: s.log, Version: s.cfg.Version, Doors: s.doorNames(),
		UploadLimit: int64(set.Files.UploadLimit), UploadExpiry: set.Files.UploadKept,
		BodyTime: set.HTTP.BodyTime, Idle: set.HTTP.TransferIdle, Ping: set.HTTP.Ping, Poll: set.HTTP.LogPoll, MaxHeld: set.HTTP.MaxHeld,
		Fails: s.fails,
	})
}

// web makes the pages for people.
func (s *Server) web(f *farm.Farm, lib *library.Library) http.Handler {
	set := s.cfg.Settings
	return web.New(web.Config{
		Farm: f, Blobs: s.blobs, Uploads: s.blobs.Uploads(), Logs: s.live, Library: lib, Imports: s.importFiles, Log: s.log, Version: s.cfg.Version, Fails: s.fails,
		Usage: s.usage(), Session: set.Web.Session, Ping: set.HTTP.Ping, Idle: set.HTTP.TransferIdle, Fresh: set.Web.Fresh, Doors: s.shownDoors(), Set: s.shownSettings(), MaxLive: set.Web.MaxLive, UploadLimit: int64(set.Files.UploadLimit), Undo: set.Web.Undo, Scratch: scratch(s.cfg.Data),
	})
}

// secrets are settings whose values nobody is shown.
var secrets = []string{"swarm.token"}

// shownSettings are the settings as operators are shown them: without what is
// secret in them, such as the password in the address of a store.
func (s *Server) shownSettings() []web.Setting {
	table, err := config.Table(s.cfg.Settings)
	usual, usualErr := config.Table(config.DefaultServe())
	if err = errors.Join(err, usualErr); err != nil || len(usual) != len(table) {
		s.log.Warn("the settings cannot be listed", "err", err)
		return nil
	}
	out := make([]web.Setting, 0, len(table))
	for i, x := range table {
		v := x.Text()
		if slices.Contains(secrets, x.Key) && v != "" {
			v = "(set)"
		} else if u, err := url.Parse(v); err == nil && u.User != nil {
			v = u.Redacted()
		}
		out = append(out, web.Setting{Key: x.Key, Value: v, Default: usual[i].Default, Help: x.Help})
	}
	return out
}

// usage says how full the store of files is; nil for a bucket, which does not
// say what it holds.
func (s *Server) usage() func(context.Context) (web.Usage, error) {
	d, ok := s.blobs.(diskFiles)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (web.Usage, error) {
		u, err := d.Usage(ctx)
		return web.Usage{Files: u.Blobs, Bytes: u.Bytes, Limit: u.Limit, Free: u.Free}, err
	}
}

// libraryLimits are the bounds of builds that are added.
func (s *Server) libraryLimits() library.Limits {
	set := s.cfg.Settings.Renderers
	l := library.Limits{AtOnce: set.AtOnce}
	dir := filepath.Join(s.cfg.Data, "ask")
	err := os.RemoveAll(dir) // of an earlier process
	if set.RunVersion && err == nil {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			l.AskIn = dir
		}
	}
	if err != nil {
		s.log.Warn("builds cannot be asked for their version", "err", err)
	}
	return l
}

// health answers 200 when the farm can take work in and hand it out.
func (s *Server) health(f *farm.Farm) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := f.Ready(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "not ready")
			s.log.Debug("health asked for", "err", err)
			return
		}
		fmt.Fprintln(w, "ready")
	}
}

const front = `This is a Drover render farm.

The page:         /ui/ in a browser
Submit a scene:   drover submit SCENE.blend --frames 1-24 --wait --out DIR
Lend a machine:   drover work --token-file FILE
The API:          /api/v1/openapi.json
`

// front sends browsers to the pages; programs and people at a terminal read what
// this is.
func (s *Server) front(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, web.Prefix, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, front)
}

// expireLogs drops live logs that nobody needs any more.
func (s *Server) expireLogs(ctx context.Context) {
	kept := s.cfg.Settings.Files.LogKept
	t := time.NewTicker(max(kept/10, time.Second))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.live.Expire(now.Add(-kept))
		}
	}
}
