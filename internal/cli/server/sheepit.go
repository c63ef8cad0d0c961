package server

import (
	"drover.farm/internal/door/flamenco"
	"drover.farm/internal/door/sheepit"
	"drover.farm/internal/farm"
)

// through says which jobs each door can carry, for those that cannot carry all.
var through = map[string]func(*farm.Spec) bool{sheepit.Name: sheepit.Through, flamenco.Name: flamenco.Carries}

func (s *Server) wireSheepIt(f *farm.Farm, d *doors) {
	set := s.cfg.Settings
	door := sheepit.New(sheepit.Config{
		Farm: f, Blobs: s.blobs, Log: s.log, Settings: set.SheepIt,
		Idle: set.HTTP.TransferIdle, Fails: s.fails,
	})
	d.raw = append(d.raw, rawDoor{sheepit.Owns, door})
	d.stop = append(d.stop, door.Close)
}
