package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"drover.farm/internal/door/native"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
)

// core is what the main listener serves without the doors beside the native one.
func (s *Server) core(f *farm.Farm) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", s.native(f))
	mux.HandleFunc("GET /healthz", s.health(f))
	mux.Handle("GET /metrics", s.metrics(f))
	mux.HandleFunc("GET /{$}", s.front)
	return mux
}

func (s *Server) native(f *farm.Farm) http.Handler {
	set := s.cfg.Settings
	return native.New(native.Config{
		Farm: f, Blobs: s.blobs, Uploads: s.blobs.Uploads(), Logs: s.live, Library: library.New(f, s.blobs, s.log, library.Limits{}), Log: s.log, Version: s.cfg.Version,
		UploadLimit: int64(set.Files.UploadLimit), UploadExpiry: set.Files.UploadKept,
		BodyTime: set.HTTP.BodyTime, Idle: set.HTTP.TransferIdle, Ping: set.HTTP.Ping, Poll: set.HTTP.LogPoll, MaxHeld: set.HTTP.MaxHeld,
		FailBurst: set.HTTP.FailBurst, FailEvery: set.HTTP.FailEvery,
	})
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

Submit a scene:   drover submit SCENE.blend --frames 1-24 --wait --out DIR
Lend a machine:   drover work --token-file FILE
The API:          /api/v1/openapi.json
`

func (s *Server) front(w http.ResponseWriter, _ *http.Request) {
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
