package server

import (
	"drover.farm/internal/door/flamenco"
	"drover.farm/internal/door/sheepit"
	"drover.farm/internal/farm"
)

// obstacles say what keeps a job from each door that cannot carry all.
var obstacles = map[string]func(*farm.Spec) string{sheepit.Name: sheepit.Obstacle, flamenco.Name: flamenco.Obstacle}

func (s *Server) wireSheepIt(f *farm.Farm, d *doors) {
	set := s.cfg.Settings
	door := sheepit.New(sheepit.Config{
		Farm: f, Blobs: s.blobs, Log: s.log, Settings: set.SheepIt,
		Idle: set.HTTP.TransferIdle, Fails: s.fails,
	})
	d.raw = append(d.raw, rawDoor{sheepit.Owns, door})
	d.stop = append(d.stop, door.Close)
}
