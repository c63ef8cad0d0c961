// Package server puts the parts of a farm together and runs them: store, files,
// dispatcher, doors and listener. It holds no rule of the farm itself.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/cli/config"
	"drover.farm/internal/cli/gc"
	"drover.farm/internal/cluster"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
	"drover.farm/internal/livelog"
	"drover.farm/internal/lockout"
	"drover.farm/internal/store/postgres"

	"golang.org/x/sync/errgroup"
)

// Config is what a farm is started with.
type Config struct {
	Settings *config.Serve
	Data     string // folder; made if it does not exist
	Version  string // of the program
	Log      *slog.Logger
}

// Server is a running farm.
type Server struct {
	cfg     Config
	log     *slog.Logger
	term    *cluster.Term // of a farm of one server, else nil
	node    *cluster.Node // of a farm of several, else nil
	follow  *farm.Farm    // what a server of several knows while it does not write
	blobs   files
	live    *livelog.Store
	origin  *origin
	fails   *lockout.Counter // of all ways to log in
	store   farm.Store
	http    *http.Server
	listen  net.Listener
	tls     *pair                            // the certificate, or nil
	own     []*http.Server                   // of doors with listeners of their own
	imports atomic.Pointer[library.Importer] // of the term, or nil
	scheme  string

	farmConfig farm.Config
	background sync.WaitGroup
	end        context.CancelFunc // of what runs in the background
	failed     chan error         // why the farm cannot go on
	floor      func()             // lets go of memory that keeps the collector from running too often
	stopOnce   sync.Once
	stopErr    error
}

// Start opens the data folder, waits until the farm is ready and serves it. The
// caller stops it with Stop.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log, failed: make(chan error, 2), floor: heapFloor()}
	if err := s.open(ctx); err != nil {
		s.closeParts()
		return nil, err
	}
	if err := s.serve(ctx); err != nil {
		s.closeParts()
		return nil, err
	}
	return s, nil
}

// open makes all parts but the listener.
func (s *Server) open(ctx context.Context) error {
	if err := prepareData(s.cfg.Data); err != nil {
		return err
	}
	set := s.cfg.Settings
	s.fails = lockout.New(set.HTTP.FailBurst, set.HTTP.FailEvery)
	var err error
	if s.origin, err = newOrigin(set.PublicURL, set.TrustedProxy); err != nil {
		return err
	}
	if s.tls, err = newPair(set.TLS, s.log); err != nil {
		return err
	}
	if s.store, err = openStore(ctx, set.Store, s.cfg.Data, s.address()); err != nil {
		return err
	}
	if s.blobs, err = openFiles(ctx, set, s.cfg.Data, s.log); err != nil {
		return fmt.Errorf("open the store of files: %w", err)
	}
	if err := clearScratch(s.cfg.Data); err != nil {
		return fmt.Errorf("clear what an earlier process left: %w", err)
	}
	if s.live, err = livelog.Open(filepath.Join(s.cfg.Data, "logs"), livelog.Options{Log: s.log}); err != nil {
		return fmt.Errorf("open the live logs: %w", err)
	}
	s.farmConfig = farm.Config{
		Store: s.store, Blobs: blob.Sizes{Janitor: s.blobs}, Log: s.log, Settings: set.Farm, Obstacles: obstacles,
		Prover: newProver(s.blobs, set.Pictures.AtOnce, set.Pictures.Thumbnail),
	}
	if db, ok := s.store.(*postgres.Store); ok {
		return s.join(ctx, db)
	}
	s.term, err = s.lead(ctx)
	return err
}

// lead opens the farm as its writer, and its doors.
func (s *Server) lead(ctx context.Context) (*cluster.Term, error) {
	f, err := farm.Open(ctx, s.farmConfig)
	if err != nil {
		return nil, fmt.Errorf("open the farm's state: %w", err)
	}
	if err := s.firstToken(ctx, f); err != nil {
		f.Close()
		return nil, err
	}
	t, err := s.openDoors(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// firstToken sees that an administrator can get in.
func (s *Server) firstToken(ctx context.Context, f *farm.Farm) error {
	if file := s.cfg.Settings.AdminToken; file != "" {
		return grantToken(ctx, f, file, s.log)
	}
	return bootstrap(ctx, f, s.cfg.Data, s.log)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// serve opens the listener and starts what runs in the background.
func (s *Server) serve(ctx context.Context) error {
	s.scheme = "http"
	var err error
	s.listen, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Settings.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; \"--listen HOST:PORT\" takes another address, port 0 a free one", s.cfg.Settings.Listen, err)
	}
	var handler http.Handler = s.node
	if s.node == nil {
		handler = s.term.Main
	}
	s.http = s.httpServer(handler)
	if s.tls != nil {
		s.http.TLSConfig = s.tls.serve()
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.end = cancel
	s.background.Go(func() {
		err := s.listenAndServe()
		if !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("the listener failed: %w", err))
		}
	})
	if s.node == nil {
		s.background.Go(func() { s.watchFarm(run) })
	} else {
		s.background.Go(func() { s.node.Run(run) })
	}
	s.background.Go(func() { s.collector().Run(run, or0(s.cfg.Settings.Files.Sweep, time.Hour)) })
	s.background.Go(func() { s.expireLogs(run) })
	s.background.Go(settle)
	if err := s.serveOwn(ctx); err != nil {
		return err
	}
	return s.announce()
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	set := s.cfg.Settings.HTTP
	return &http.Server{
		Handler: Unread(h, set.BodyTime), ReadHeaderTimeout: set.HeaderTimeout, IdleTimeout: set.IdleTimeout, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func or0(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}

func (s *Server) listenAndServe() error {
	if s.tls != nil {
		s.scheme = "https"
		return s.http.ServeTLS(s.listen, "", "")
	}
	return s.http.Serve(s.listen)
}

// watchFarm notices when the dispatcher has ended by itself.
func (s *Server) watchFarm(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.term.Farm.Done():
		if ctx.Err() == nil {
			s.fail(errors.New("the farm's state was taken over by another process"))
		}
	}
}

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

func (s *Server) collector() *gc.Collector {
	set := s.cfg.Settings.Files
	return &gc.Collector{
		Store: s.blobs, Uploads: s.blobs.Uploads(), References: s.store.References,
		Spare: set.Spare, UploadKept: set.UploadKept, Log: s.log,
	}
}

// announce writes the ready file.
func (s *Server) announce() error {
	if file := s.cfg.Settings.ReadyFile; file != "" {
		if err := writeFile(file, s.URL()+"\n", 0o644); err != nil {
			return fmt.Errorf("write the ready file: %w", err)
		}
	}
	return nil
}

// URL is where the main listener is reached from this machine.
func (s *Server) URL() string {
	host, port, err := net.SplitHostPort(s.listen.Addr().String())
	if err != nil {
		return s.scheme + "://" + s.listen.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return s.scheme + "://" + net.JoinHostPort(host, port)
}

// Failed delivers the reason when the farm cannot go on by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop takes no more requests, gives those under way, such as uploads, their
// grace, writes what is acknowledged and closes everything. It may be called
// twice.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() { s.stopErr = s.stop() })
	return s.stopErr
}

func (s *Server) stop() error {
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), or0(s.cfg.Settings.HTTP.Grace, time.Second))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.shutdown(ctx) }()
	if s.term != nil {
		s.term.End() // answers what is held back, so that only transfers are left
	}
	err := <-done
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests under way were cut off", "after", s.cfg.Settings.HTTP.Grace)
		s.closeListeners()
		err = nil
	}
	s.background.Wait()
	if file := s.cfg.Settings.ReadyFile; file != "" {
		os.Remove(file)
	}
	return errors.Join(err, s.closeParts())
}

// shutdown takes no more requests and waits for those under way.
func (s *Server) shutdown(ctx context.Context) error {
	var all errgroup.Group
	for _, h := range append([]*http.Server{s.http}, s.own...) {
		all.Go(func() error { return h.Shutdown(ctx) })
	}
	return all.Wait()
}

func (s *Server) closeListeners() {
	for _, h := range s.own {
		h.Close()
	}
	if s.http != nil {
		s.http.Close()
	} else if s.listen != nil {
		s.listen.Close()
	}
}

// closeParts closes whatever was opened.
func (s *Server) closeParts() error {
	var errs []error
	if s.end != nil {
		s.end()
	}
	s.closeListeners()
	s.background.Wait()
	if s.term != nil {
		s.term.End()
	}
	if s.follow != nil {
		s.follow.Close()
	}
	if s.blobs != nil {
		errs = append(errs, s.blobs.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	s.floor()
	return errors.Join(errs...)
}
