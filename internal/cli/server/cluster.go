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
	return scheme + "://" + set.Listen
}

// reachable reports whether what a server listens on says where it is.
func reachable(listen string) bool {
	host, port, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err == nil && port != "0" && host != "" && (ip == nil || !ip.IsUnspecified())
}

// join makes this server one of a farm of several.
func (s *Server) join(ctx context.Context, db *postgres.Store) error {
	secret, err := db.Secret(ctx)
	if err != nil {
		return err
	}
	if set := s.cfg.Settings; set.Cluster.Address == "" && !reachable(set.Listen) {
		return fmt.Errorf("a farm that shares a database needs to know where its servers are: %s does not say it; set --cluster-address to the URL under which the others reach this one", set.Listen)
	}
	if s.follow, err = farm.Follow(ctx, s.farmConfig); err != nil {
		return err
	}
	cfg := cluster.Config{
		Elector: db, Address: s.address(), Secret: secret, Log: s.log,
		Check: s.cfg.Settings.Cluster.Check, Hold: s.cfg.Settings.Cluster.Hold,
		Lead:    s.lead,
		Local:   s.origin.wrap(s.core(s.follow)),
		IsLocal: func(r *http.Request) bool { return local(s.follow, r) },
	}
	if s.tls != nil {
		cfg.TLS = s.tls.peer()
	}
	s.node = cluster.New(cfg)
	return nil
}

// local reports whether a server that is not the writer answers by itself: how
// it does, and files, but for those who may read only what their tasks need,
// which the writer knows. What the writer has to say of a token that is not
// known here yet, it says.
func local(follower *farm.Farm, r *http.Request) bool {
	path := r.URL.Path
	if path == "/healthz" || path == "/metrics" {
		return true
	}
	uploads := path == "/api/v1/uploads" || strings.HasPrefix(path, "/api/v1/uploads/")
	if !uploads && !strings.HasPrefix(path, "/api/v1/blobs/") {
		return false
	}
	by, err := follower.Authenticate(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	return err == nil && (uploads || !reads || by.Is(farm.RoleSubmitter))
}
