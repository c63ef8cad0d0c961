package e2e

import (
	"archive/zip"
	"bytes"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/e2e/harness"
	"drover.farm/internal/door/flamenco/flamencotest"
)

// TestAFlamencoServersTasksAreToldOnceThroughKills lets a native worker and one of
// Flamenco render what a server of 2016 has to give. The farm is killed while the
// server gives it a task, and when the server has heard of an end and not answered
// yet: no task is lost, each end is told once, and the pictures arrive with it.
func TestAFlamencoServersTasksAreToldOnceThroughKills(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(scene(t, 32, 24, 1, 4))
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("cube.blend")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	z.Close()

	s := flamencotest.New(t)
	s.Set(func() { s.Files[77] = archive.Bytes() })
	f := startFlamenco(t, "--flamenco-server", s.URL, "--flamenco-retry", "200ms")
	var given, told atomic.Bool
	var one sync.Mutex // a kill after the other
	s.Set(func() {
		s.After = func(r *http.Request) bool {
			kill := r.URL.Path == "/tasks/generate" && s.Status("502") == "processing" && !given.Swap(true) ||
				r.Method == "PUT" && s.Status(strings.TrimPrefix(r.URL.Path, "/tasks/")) == "completed" && !told.Swap(true)
			if kill {
				one.Lock()
				defer one.Unlock()
				f.Kill()
				f.Start()
			}
			return kill
		}
	})
	for _, task := range []*flamencotest.Task{flamencotest.FrameTask(501, 77, "1"), flamencotest.FrameTask(502, 77, "2"), flamencotest.FrameTask(503, 77, "3-4")} {
		s.Add(task)
	}
	f.StartWorker()
	f.startPull("pull")
	for _, id := range []string{"501", "502", "503"} {
		harness.Until(t, "task "+id+" is completed", long, func() bool { return s.Status(id) == "completed" })
	}
	if !given.Load() || !told.Load() {
		t.Errorf("the farm was killed while it was given a task: %v, and when it had told an end: %v", given.Load(), told.Load())
	}
	ends := map[string]int{}
	for _, line := range s.Heard() {
		if !strings.HasSuffix(line, " active") && !strings.HasSuffix(line, " waiting") { // waiting: what was given to a dead farm
			ends[line]++
		}
	}
	want := map[string]int{"501 completed 00001.png": 1, "502 completed 00002.png": 1, "503 completed 00003.png 00004.png": 1}
	if diff := cmp.Diff(want, ends); diff != "" {
		t.Error(diff)
	}
}
