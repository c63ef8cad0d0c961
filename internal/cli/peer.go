package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/cli/config"
	"drover.farm/internal/cli/server"
	"drover.farm/internal/client"
	"drover.farm/internal/gate"
	"drover.farm/internal/library"
)

// peer is the door for builds of V-Ray on a worker: what comes is deployed on
// this machine, and offered to the farm.
type peer struct {
	depot   *library.Depot
	changed chan struct{}
	stop    func()
}

// depotDir is where builds of V-Ray lie in a data folder.
func depotDir(data string) string { return filepath.Join(data, "VRay") }

// startPeer opens the door if the settings say so; nil when they do not.
func startPeer(ctx context.Context, set *config.Swarm, data string, farm *client.Client, log *slog.Logger) (*peer, error) {
	if set.Listen == "" && set.ImportDir == "" {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &peer{changed: make(chan struct{}, 1)}
	shelf := &library.PeerShelf{Dir: depotDir(data), Offer: offerTo(farm), Refused: notTaken, Log: log, Changed: func() {
		select {
		case p.changed <- struct{}{}:
		default:
		}
	}}
	p.depot = &library.Depot{Dir: shelf.Dir, Shelf: shelf, Limits: server.SwarmLimits(set), Installers: server.Installers(set), RunVersion: set.RunVersion, Log: log}
	m := server.SwarmImporter(set, p.depot)
	err := p.depot.Open(ctx)
	if err == nil {
		err = errors.Join(m.Open(), shelf.Open())
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open the door for V-Ray: %w", err)
	}
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx, library.Hints(ctx, m.Dir, log)) })
	running.Go(func() { shelf.Run(ctx) })
	srv := &http.Server{Handler: server.Unread(server.SwarmDoor(set, p.depot, m), set.Idle), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	p.stop = func() {
		cancel()
		srv.Close()
		running.Wait()
		p.depot.Close()
	}
	if set.Listen == "" {
		return p, nil
	}
	l, err := gate.Listen(ctx, set.Address(), set.Allow, log)
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("open the door swarm: %w", err)
	}
	log.Info("door open", "door", "swarm", "listen", l.Addr().String())
	running.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the listener of the door swarm failed", "err", err)
		}
	})
	return p, nil
}

// offerTo sends an archive into the farm's library.
func offerTo(farm *client.Client) func(ctx context.Context, file, name string) error {
	return func(ctx context.Context, file, name string) error {
		sent, err := farm.Upload(ctx, file)
		if err == nil {
			_, err = farm.AddBuild(ctx, api.NewBuild{SHA256: sent.SHA256, Name: name})
		}
		return err
	}
}

// notTaken reports an answer of the farm that another try would get, too.
func notTaken(err error) bool {
	var e *client.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case "invalid", "forbidden", "conflict":
		return true
	}
	return false
}

// deployedVRay lists the builds of V-Ray that lie in a data folder.
func deployedVRay(data string) []api.Renderer {
	d := library.Depot{Dir: depotDir(data)}
	found, err := d.Deployed()
	if err != nil {
		return nil // there is no such folder
	}
	var out []api.Renderer
	for dir, f := range found {
		out = append(out, api.Renderer{Product: "vray", Version: f.Version, Hash: f.Revision, Path: filepath.Join(dir, "bin", "vray"+exe(f.OS))})
	}
	return out
}

func exe(os string) string {
	if os == "windows" {
		return ".exe"
	}
	return ""
}
