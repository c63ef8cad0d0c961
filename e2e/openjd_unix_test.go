//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/e2e/harness"
)

// write makes a file of a test, with its folders.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestABundleInTheFarmsEnvironment runs a bundle made for another farm: its inputs
// travel, it runs in the environment that an operator set, with a value for that
// environment's parameter, and what it writes comes back.
func TestABundleInTheFarmsEnvironment(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	f.StartWorker()
	f.WaitWorkers(1, harness.Patience)
	dir := t.TempDir()
	env := write(t, filepath.Join(dir, "env.yaml"), `specificationVersion: environment-2023-09
parameterDefinitions: [{name: Pipeline, type: STRING, default: none}]
environment:
  name: Pipeline
  variables: {PIPELINE: "{{Param.Pipeline}}"}
  script:
    actions:
      onEnter: {command: sh, args: [-c, "echo 'openjd_env: ENTERED=yes'; echo 'openjd_redacted_env: KEY=s3cr3tkey'; echo token is s3cr3tkey"]}
`)
	f.Drover("environment", "set", env).OK(t)
	if got := f.Drover("environment", "ls").OK(t).Out; !strings.Contains(got, "Pipeline") || !strings.Contains(got, "all jobs") {
		t.Errorf("environment ls: %s", got)
	}
	bundle := filepath.Join(dir, "bundle")
	write(t, filepath.Join(bundle, "template.yaml"), `specificationVersion: jobtemplate-2023-09
extensions: [EXPR]
name: bundle
parameterDefinitions:
- {name: Sources, type: "LIST[PATH]", objectType: FILE, dataFlow: IN, default: [in/a.txt, in/b.txt]}
- {name: Out, type: PATH, objectType: DIRECTORY, dataFlow: OUT, default: out}
steps:
- name: Join
  script:
    let: ["target = Param.Out / Param.Sources[0].stem + '.joined'"]
    actions:
      onRun: {command: sh, args: ["{{Task.File.Run}}"]}
    embeddedFiles:
    - {name: Run, type: TEXT, data: "cat {{repr_sh(Param.Sources)}} > {{repr_sh(target)}}\necho \"$PIPELINE $ENTERED\" >> {{repr_sh(target)}}\necho key $KEY\n"}
- name: After
  dependencies: [{dependsOn: Join}]
  script:
    actions:
      onRun: {command: sh, args: [-c, "tr a-z A-Z < '{{Param.Out}}/a.joined' > '{{Param.Out}}/upper'"]}
`)
	write(t, filepath.Join(bundle, "in", "a.txt"), "first\n")
	write(t, filepath.Join(bundle, "in", "b.txt"), "second\n")
	write(t, filepath.Join(bundle, "parameter_values.yaml"), "parameterValues:\n- {name: RezPackages, value: maya}\n- {name: 'deadline:priority', value: 50}\n")
	out := filepath.Join(dir, "back")
	r := f.Drover("submit", bundle, "-p", "Pipeline=film", "--wait", "--out", out).OK(t)
	if !strings.Contains(r.ErrOut, "RezPackages") {
		t.Errorf("nothing was said of the other farm's parameter:\n%s", r.ErrOut)
	}
	if got := read(t, filepath.Join(out, "a.joined")); got != "first\nsecond\nfilm yes\n" {
		t.Errorf("a.joined is %q", got)
	}
	if got := read(t, filepath.Join(out, "upper")); got != "FIRST\nSECOND\nFILM YES\n" {
		t.Errorf("upper is %q", got)
	}
	log := f.Drover("job", "log", "1000", "Join/0").OK(t).Out
	if strings.Contains(log, "s3cr3tkey") || !strings.Contains(log, "token is ****") {
		t.Errorf("the log of the task:\n%s", log)
	}
	f.Drover("environment", "rm", "Pipeline").OK(t)
	if r := f.Drover("submit", bundle, "-p", "Pipeline=film"); r.Code == 0 || !strings.Contains(r.ErrOut, "Pipeline") {
		t.Errorf("a parameter that is gone was taken: %d %s", r.Code, r.ErrOut)
	}
}

// TestChunksGrowToTheirRunTime renders frames in chunks that aim at a run time: all
// frames once, in far fewer tasks than frames.
func TestChunksGrowToTheirRunTime(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t)
	f.StartWorker()
	f.WaitWorkers(1, harness.Patience)
	dir := t.TempDir()
	job := write(t, filepath.Join(dir, "job.yaml"), `specificationVersion: jobtemplate-2023-09
extensions: [TASK_CHUNKING]
name: chunks
parameterDefinitions: [{name: Out, type: PATH, objectType: DIRECTORY, dataFlow: OUT, default: out}]
steps:
- name: Render
  parameterSpace:
    taskParameterDefinitions:
    - {name: F, type: "CHUNK[INT]", range: 1-200, chunks: {defaultTaskCount: 1, targetRuntimeSeconds: 60, rangeConstraint: CONTIGUOUS}}
  script:
    actions:
      onRun: {command: sh, args: [-c, "r={{Task.Param.F}}; for i in $(seq ${r%-*} ${r#*-}); do echo x > '{{Param.Out}}'/$i; done"]}
`)
	out := filepath.Join(dir, "back")
	f.Drover("submit", job, "--wait", "--out", out).OK(t)
	if got := files(t, out); len(got) != 200 {
		t.Errorf("%d frames came back", len(got))
	}
	if n := len(f.Tasks(1000)); n > 100 {
		t.Errorf("200 frames took %d tasks", n)
	}
}
