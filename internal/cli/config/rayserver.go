package config

import (
	"net/netip"
	"time"
)

// Rayserver is the settings of `drover rayserver` beside the options of the
// manual.
type Rayserver struct {
	Home     string         `yaml:"home" help:"Installation directory, with config, srvlogs and server. By default three folders above the program."`
	Hosts    string         `yaml:"hosts" help:"Hosts file. By default config/hosts of the installation directory."`
	Listen   string         `yaml:"listen" help:"Address to listen on, without the port."`
	Port     int            `yaml:"port" help:"Port to listen on; 0 for any that is free."`
	Keys     string         `yaml:"keys" help:"File with the keys of those who may use the server, lines of NAME KEY, mode 0600. By default config/keys of the installation directory."`
	Insecure bool           `yaml:"insecure" help:"Serve without keys whoever --allow lets in. Anyone there can run simulations."`
	Allow    []netip.Prefix `yaml:"allow" help:"Networks that clients may connect from, such as 10.1.0.0/16. By default any that reaches the address."`
	TLSCert  string         `yaml:"tls_cert" help:"Certificate (PEM); with it and tls_key, connections are TLS."`
	TLSKey   string         `yaml:"tls_key" help:"Private key (PEM) of the certificate."`
	Radiance string         `yaml:"radiance" help:"Folder of Radiance, with bin and lib. By default RADIANCE_HOME, else what is on PATH and RAYPATH."`

	Farm       string `yaml:"farm" help:"Address of a farm that renders the simulations instead of this host, such as https://farm:7700."`
	FarmToken  string `yaml:"farm_token" help:"File with the token of the account that they are submitted by; the user of -u must be able to read it."`
	FarmCA     string `yaml:"farm_ca" help:"File with the certificates (PEM) that the farm's is checked against, besides the system's."`
	FarmTiles  string `yaml:"farm_tiles" help:"Columns and rows that a picture is cut into for the farm; 1x1 leaves it whole."`
	FarmPieces int    `yaml:"farm_pieces" help:"How many pieces a measuring field is cut into for the farm."`
	FarmAtOnce int    `yaml:"farm_at_once" help:"How many simulations the farm is given at once; others wait here."`

	RetryInterval time.Duration `yaml:"retry_interval" help:"Pause before another attempt to get the port."`
	RestartPause  time.Duration `yaml:"restart_pause" help:"Pause before the server goes on after an internal error."`
	Connections   int           `yaml:"connections" help:"How many clients may be connected at once."`
	AuthTime      time.Duration `yaml:"auth_time" help:"How long a client may take to show its key."`
	IdleTime      time.Duration `yaml:"idle_time" help:"How long a client may be silent."`
	LineTime      time.Duration `yaml:"line_time" help:"How long a line may take to arrive, and an answer to be taken."`
	Report        time.Duration `yaml:"report" help:"How often Radiance reports how far it is."`
	Poll          time.Duration `yaml:"poll" help:"How often the server looks after running simulations."`
	KillTime      time.Duration `yaml:"kill_time" help:"How long a simulation may take to end by itself when it is killed."`
	Revivals      int           `yaml:"revivals" help:"How often a simulation that somebody else killed is taken up again by itself."`
	Kept          int           `yaml:"kept" help:"How many ended simulations of a project are remembered."`
}

// RayPort is the port of the Rayserver (manual, "rayserver -f").
const RayPort = 9182

// DefaultRayserver returns the settings of a Rayserver that says nothing else.
func DefaultRayserver() *Rayserver {
	return &Rayserver{
		Listen: "127.0.0.1", Port: RayPort, FarmTiles: "4x4", FarmPieces: 16, FarmAtOnce: 32,
		RetryInterval: 30 * time.Second, RestartPause: time.Second,
		Connections: 256, AuthTime: 10 * time.Second, IdleTime: 10 * time.Minute, LineTime: 30 * time.Second,
		Report: 5 * time.Second, Poll: time.Second, KillTime: 10 * time.Second, Revivals: 3, Kept: 100,
	}
}
