package mem_test

import (
	"sync"
	"testing"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
	"drover.farm/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	stores := make(map[string]*mem.Store)
	storetest.Run(t, func(_ *testing.T, dir string) farm.Store {
		mu.Lock()
		defer mu.Unlock()
		if stores[dir] == nil {
			stores[dir] = mem.New()
		}
		return stores[dir]
	})
}
