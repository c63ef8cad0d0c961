package harness_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"drover.farm/e2e/harness"
	"drover.farm/internal/api"
)

func TestMain(m *testing.M) { harness.Main(m) }

const template = `specificationVersion: jobtemplate-2023-09
name: Harness
parameterDefinitions:
  - {name: Out, type: PATH, objectType: DIRECTORY, dataFlow: OUT}
steps:
  - name: Write
    parameterSpace: {taskParameterDefinitions: [{name: N, type: INT, range: "1-4"}]}
    script:
      actions:
        onRun: {command: sh, args: ["-c", "echo {{Task.Param.N}} > {{Param.Out}}/{{Task.Param.N}}.txt"]}
`

func TestFarmAndWorkerSurviveKills(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	j := f.Submit(file, "-p", "Out="+filepath.Join(t.TempDir(), "out"))
	before, url := f.PID(), f.URL
	f.Kill()
	if f.Running() {
		t.Error("the farm runs on after Kill")
	}
	f.Start()
	if f.PID() == before || f.URL != url {
		t.Errorf("process %d at %s after the restart, before it %d at %s", f.PID(), f.URL, before, url)
	}
	w := f.StartWorker()
	f.WaitWorkers(1, harness.Patience)
	w.Kill()
	w.Start()
	j = f.WaitJob(j.ID, harness.Patience)
	if j.State != "done" || j.Tasks != (api.Counts{Total: 4, Done: 4}) {
		t.Errorf("the job is %s, tasks %+v", j.State, j.Tasks)
	}
	w.Stop()
	f.Stop()
	if _, err := http.Get(f.URL + "/healthz"); err == nil {
		t.Error("the farm still answers after Stop")
	}
}
