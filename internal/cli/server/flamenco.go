package server

import (
	"drover.farm/internal/door/flamenco"
	"drover.farm/internal/farm"
)

// wireFlamenco opens the Flamenco door, unless it has no listener.
func (s *Server) wireFlamenco(f *farm.Farm, d *doors) error {
	set := s.cfg.Settings.Flamenco
	if set.Listen == "" {
		return nil
	}
	door, err := flamenco.New(flamenco.Config{Farm: f, Blobs: s.blobs, Logs: s.live, Log: s.log, Settings: set})
	if err != nil {
		return err
	}
	d.own[flamenco.Name] = door
	d.stop = append(d.stop, door.Stop)
	return nil
}
