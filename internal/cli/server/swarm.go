package server

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"

	"drover.farm/internal/archive"
	"drover.farm/internal/cli/config"
	"drover.farm/internal/door/swarm"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
	"drover.farm/internal/secret"
)

// swarmDoor is the login that builds from the door and the import folder are
// added as. Who may send them is decided by addresses and the token.
var swarmDoor = farm.Principal{Login: "swarm", Roles: []farm.Role{farm.RoleOperator}}

// swarm opens the door for builds of V-Ray and watches the import folder.
func (s *Server) swarm(f *farm.Farm, d *doors) error {
	set := &s.cfg.Settings.Swarm
	if set.Listen == "" && set.ImportDir == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	shelf := &library.FarmShelf{Farm: f, Blobs: s.blobs, By: swarmDoor}
	dir := filepath.Join(s.cfg.Data, "VRay")
	depot := &library.Depot{Dir: dir, Shelf: shelf, Foreign: true, Limits: SwarmLimits(set), Installers: Installers(set), RunVersion: set.RunVersion, Log: s.log}
	if err := depot.Open(ctx); err != nil {
		cancel()
		return fmt.Errorf("open the door for V-Ray: %w", err)
	}
	m := SwarmImporter(set, depot)
	if err := m.Open(); err != nil {
		cancel()
		return fmt.Errorf("open the door for V-Ray: %w", err)
	}
	s.imports.Store(m)
	d.own["swarm"] = SwarmDoor(set, depot, m)
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx, library.Hints(ctx, m.Dir, s.log)) })
	d.stop = append(d.stop, func() {
		cancel()
		running.Wait()
		s.imports.Store(nil)
		if err := depot.Close(); err != nil {
			s.log.Warn("the folder for V-Ray stays locked", "err", err)
		}
	})
	return nil
}

// importFiles lists what is in the import folder.
func (s *Server) importFiles() []library.File {
	if m := s.imports.Load(); m != nil {
		return m.Files()
	}
	return nil
}

// SwarmLimits are the bounds of a build of V-Ray.
func SwarmLimits(set *config.Swarm) archive.Limits {
	return archive.Limits{Bytes: int64(set.MaxUnpacked), Entries: set.MaxEntries, Ratio: set.MaxRatio}
}

// Installers unpacks installers, if that is allowed.
func Installers(set *config.Swarm) *library.Installers {
	if !set.AllowExecutables {
		return nil
	}
	return &library.Installers{Time: set.InstallerTime}
}

// SwarmImporter watches the import folder of a depot.
func SwarmImporter(set *config.Swarm, d *library.Depot) *library.Importer {
	return &library.Importer{
		Depot: d, Dir: or(set.ImportDir, filepath.Join(d.Dir, "import")), State: filepath.Join(d.Dir, "imports.json"),
		Period: set.Period, Tries: set.Tries, Pause: set.Pause, Log: d.Log,
	}
}

// SwarmDoor is the handler of a depot's door.
func SwarmDoor(set *config.Swarm, d *library.Depot, m *library.Importer) http.Handler {
	return swarm.New(swarm.Config{
		Depot: d, Queue: m, Log: d.Log, AllowExecutables: set.AllowExecutables, Token: secret.Text(set.Token),
		MaxUpload: int64(set.MaxUpload), AtOnce: set.AtOnce, PerMinute: set.PerMinute, Idle: set.Idle,
	})
}
