// Package pgtest gives tests databases of a private PostgreSQL server.
package pgtest

import (
	"context"
	"sync"
	"testing"

	"drover.farm/internal/pgserver"
)

var shared struct {
	once sync.Once
	s    *pgserver.Server
	err  error
}

// URL returns a new database of a server that all tests of the binary share.
// The binary's TestMain must call Shutdown.
func URL(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.s, shared.err = pgserver.Start(context.Background()) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	url, err := shared.s.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Shutdown ends the shared server, if it was started.
func Shutdown() {
	if shared.s != nil {
		shared.s.Stop()
	}
}
