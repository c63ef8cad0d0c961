package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"drover.farm/internal/cluster"
	"drover.farm/internal/farm"
	"drover.farm/internal/store/postgres"
)

// address is where the other servers of the farm reach this one.
func (s *Server) address() string {
	set := s.cfg.Settings
	if set.Cluster.Address != "" {
		return strings.TrimSuffix(set.Cluster.Address, "/")
	}
	scheme := "http"
	if set.TLS.Cert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(set.Listen)
	if err != nil || host == "" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// join makes this server one of a farm of several.
func (s *Server) join(ctx context.Context, db *postgres.Store) error {
	secret, err := db.Secret(ctx)
	if err != nil {
		return err
	}
	if _, port, _ := net.SplitHostPort(s.cfg.Settings.Listen); port == "0" && s.cfg.Settings.Cluster.Address == "" {
		return fmt.Errorf("a farm that shares a database needs to know where its servers are: give --listen a port, or set --cluster-address")
	}
	follower, err := farm.Follow(ctx, s.farmConfig)
	if err != nil {
		return err
	}
	s.node = cluster.New(cluster.Config{
		Elector: db, Address: s.address(), Secret: secret, Log: s.log,
		Check: s.cfg.Settings.Cluster.Check, Hold: s.cfg.Settings.Cluster.Hold,
		Lead:   s.lead,
		Follow: func(context.Context) (*farm.Farm, error) { return follower, nil },
		Serve:  s.handler,
		Local:  func(r *http.Request) bool { return local(follower, r) },
	})
	return nil
}

// takePart runs this server's part of the farm until ctx ends.
func (s *Server) takePart(ctx context.Context) {
	if err := s.node.Run(ctx); err != nil && ctx.Err() == nil {
		s.fail(fmt.Errorf("this server cannot take part in the farm: %w", err))
	}
}

// local reports whether a server that is not the writer answers by itself: how
// it does, and files, but for those who may read only what their tasks need,
// which the writer knows.
func local(follower *farm.Farm, r *http.Request) bool {
	path := r.URL.Path
	switch {
	case path == "/healthz", path == "/metrics", strings.HasPrefix(path, "/api/v1/uploads"):
		return true
	case !strings.HasPrefix(path, "/api/v1/blobs/"):
		return false
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return true
	}
	by, err := follower.Authenticate(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	return err == nil && by.Is(farm.RoleSubmitter)
}
