package server

import (
	"strings"
	"testing"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/web"
)

// TestShownSettings lists every setting, without what is secret in it.
func TestShownSettings(t *testing.T) {
	t.Parallel()
	set := config.DefaultServe()
	set.Store, set.Blobs, set.Swarm.Token = "postgres://drover:hunter2@db/farm", "s3://key:hunter3@bucket/x", "hunter4"
	s := &Server{cfg: Config{Settings: set}}
	byKey := map[string]web.Setting{}
	for _, x := range s.shownSettings() {
		if strings.Contains(x.Value, "hunter") {
			t.Errorf("%s is shown as %q", x.Key, x.Value)
		}
		byKey[x.Key] = x
	}
	if x := byKey["store"]; !strings.Contains(x.Value, "db/farm") || x.Default == x.Value {
		t.Errorf("the store is shown as %+v", x)
	}
	if x := byKey["farm.tries"]; x.Value != "3" || x.Default != "3" || x.Help == "" {
		t.Errorf("%+v", x)
	}
}
