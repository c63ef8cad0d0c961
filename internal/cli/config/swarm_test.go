package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSwarmYAML(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Swarm{
		"": {Port: 1113, Period: 10 * time.Second},
		"mcastPort: 1112\nwebPort: 8113\npeersPort: 1114\ngrpcPort: 1115\nvrayPort: 20212\nvrayImportDir: /mnt/vray/Linux_x86\nuploadsQueuePeriod: 30\n": {Port: 8113, ImportDir: "/mnt/vray/Linux_x86", Period: 30 * time.Second},
		"uploadsQueuePeriod: 2m\nsomethingElse: {a: 1}\n": {Port: 1113, Period: 2 * time.Minute},
		"uploadsQueuePeriod: 0.5":                         {Port: 1113, Period: 500 * time.Millisecond},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "swarm.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := defaultSwarm()
		if err := s.ReadSwarmYAML(dir); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if s.Port != want.Port || s.ImportDir != want.ImportDir || s.Period != want.Period || s.Listen != "" {
			t.Errorf("%q gives %+v", text, s)
		}
	}
	for text, says := range map[string]string{"webPort: 99999": "65535", "webPort: x": "cannot be read", "uploadsQueuePeriod: soon": "number of seconds", "uploadsQueuePeriod: -1": "number of seconds"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "swarm.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := defaultSwarm()
		if err := s.ReadSwarmYAML(dir); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error with %q", text, err, says)
		}
	}
	s := defaultSwarm()
	if err := s.ReadSwarmYAML(t.TempDir()); err != nil {
		t.Errorf("without the file: %v", err)
	}
}

func TestSwarmAddress(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"": "", "1113": "1113", "127.0.0.1:0": "127.0.0.1:0", "10.0.0.7": "10.0.0.7:1113", "0.0.0.0:": "0.0.0.0:1113", "[::1]": "[::1]:1113", "farm": "farm:1113",
	} {
		s := defaultSwarm()
		s.Listen = listen
		if got := s.Address(); got != want {
			t.Errorf("%q listens on %q, want %q", listen, got, want)
		}
	}
}
