package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	door "drover.farm/internal/door/rayserver"
	"drover.farm/internal/rayd"
	"drover.farm/internal/simulation"
)

// rayService answers clients and follows their simulations. Keys and
// certificates are read at each start.
func (a *App) rayService(h rayHandoff, hosts *rayd.Hosts, diary *rayd.Diary) rayd.ServeFunc {
	set := h.Settings
	return func(ctx context.Context, l net.Listener) error {
		keys, err := door.ReadKeys(set.Keys)
		if err != nil {
			return err
		}
		if len(keys) == 0 && !set.Insecure {
			diary.Note(fmt.Sprintf("no keys in %s: only hello is answered", set.Keys))
		}
		cfg := door.Config{
			Host: h.Host, Platform: rayPlatform(), CPUs: hosts.CPUs, Keys: keys, Insecure: set.Insecure, Allow: set.Allow,
			Connections: set.Connections, AuthTime: set.AuthTime, IdleTime: set.IdleTime, LineTime: set.LineTime, Note: diary.Say,
		}
		if set.TLSCert != "" {
			cert, err := tls.LoadX509KeyPair(set.TLSCert, set.TLSKey)
			if err != nil {
				return fmt.Errorf("read the certificate: %w", err)
			}
			cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		}
		m, err := simulation.New(a.rayManager(h, hosts, diary))
		if err != nil {
			return err
		}
		cfg.Jobs = m
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		err = door.Serve(ctx, l, cfg)
		cancel()
		return errors.Join(err, <-ended)
	}
}

// rayManager is what the manager of simulations needs.
func (a *App) rayManager(h rayHandoff, hosts *rayd.Hosts, diary *rayd.Diary) simulation.Config {
	set := h.Settings
	at := simulation.FarmAt{URL: set.Farm, TokenFile: set.FarmToken, CAFile: set.FarmCA, Tiles: set.FarmTiles, Pieces: set.FarmPieces}
	return simulation.Config{
		Farm: a.rayFarm(at), FarmAt: at, FarmAtOnce: set.FarmAtOnce,
		Host: h.Host, State: rayd.LogFile(set.Home, h.Host) + ".projects", Hosts: hosts, Radiance: set.Radiance,
		Report: set.Report, Poll: set.Poll, KillTime: set.KillTime, Revivals: set.Revivals, Kept: set.Kept, Note: diary.Say, Now: time.Now,
		Spawn: func(spec simulation.Spec) (*os.Process, error) {
			env, err := rayd.Control.Env(spec)
			if err != nil {
				return nil, err
			}
			return rayd.Start(h.Program, rayd.Control, set.Home, env)
		},
	}
}

// rayPlatform is how Rayfront calls the system.
func rayPlatform() string {
	if runtime.GOOS == "windows" {
		return "nt"
	}
	return "posix"
}
