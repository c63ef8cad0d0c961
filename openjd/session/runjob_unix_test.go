//go:build unix

package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/openjd"
)

// makeJob makes a job of a template.
func makeJob(t testing.TB, template string, values map[string]string) *openjd.Job {
	t.Helper()
	jt, err := openjd.ParseJobTemplate([]byte(template))
	if err != nil {
		t.Fatal(err)
	}
	job, err := jt.Instantiate(values, openjd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// printed are the lines of a log that processes printed.
func printed(log string) []string {
	var out []string
	for line := range strings.Lines(log) {
		if _, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "    "); ok {
			out = append(out, text)
		}
	}
	return out
}

const animation = `
specificationVersion: jobtemplate-2023-09
name: animation of {{Param.Shot}}
parameterDefinitions:
- {name: Shot, type: STRING, default: s01}
jobEnvironments:
- name: JobEnv
  script:
    actions:
      onEnter: {command: sh, args: [-c, "echo enter job; echo 'openjd_env: SERVER=up'"]}
      onExit: {command: sh, args: [-c, "echo exit job"]}
steps:
- name: Film
  dependencies: [{dependsOn: Render}]
  script:
    actions:
      onRun: {command: sh, args: [-c, "cat frames; echo film of {{Param.Shot}}"]}
- name: Render
  stepEnvironments:
  - name: StepEnv
    variables: {QUALITY: high}
    script:
      actions:
        onEnter: {command: sh, args: [-c, "echo enter step"]}
        onExit: {command: sh, args: [-c, "echo exit step"]}
  parameterSpace:
    taskParameterDefinitions:
    - {name: Frame, type: INT, range: 1-3}
  script:
    embeddedFiles:
    - {name: Run, type: TEXT, data: "echo frame $1 $SERVER $QUALITY; echo $1 >> frames\n"}
    actions:
      onRun: {command: sh, args: ["{{Task.File.Run}}", "{{Task.Param.Frame}}"]}
`

func TestRunJob(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	dir := t.TempDir()
	sum, err := RunJob(context.Background(), makeJob(t, animation, nil), RunOptions{Dir: dir, Out: &out})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	want := []string{"enter job", "openjd_env: SERVER=up", "enter step",
		"frame 1 up high", "frame 2 up high", "frame 3 up high", "exit step",
		"1", "2", "3", "film of s01", "exit job"}
	if diff := cmp.Diff(want, printed(out.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(out.String(), "Job: animation of s01\n") {
		t.Errorf("the job's name is missing:\n%s", out.String())
	}
	if len(sum.Steps) != 2 || sum.Steps[0].Name != "Render" || sum.Steps[0].Tasks != 3 || sum.Steps[1].Tasks != 1 || sum.Elapsed <= 0 {
		t.Errorf("got %+v", sum)
	}
	if !strings.Contains(sum.String(), "Step Render: 3 succeeded") {
		t.Errorf("got %s", sum)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestRunOneStep(t *testing.T) {
	t.Parallel()
	job := makeJob(t, animation, nil)
	names := func(step string, dependencies bool) (out []string) {
		t.Helper()
		steps, err := chosenSteps(job, step, dependencies)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			out = append(out, s.Name)
		}
		return out
	}
	if diff := cmp.Diff([]string{"Film"}, names("Film", false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Render", "Film"}, names("Film", true)); diff != "" {
		t.Error(diff)
	}
	if _, err := RunJob(context.Background(), job, RunOptions{Step: "Nope"}); err == nil || !strings.Contains(err.Error(), `no step "Nope"`) {
		t.Errorf("got %v", err)
	}
}

func TestRunJobStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	job := makeJob(t, `
specificationVersion: jobtemplate-2023-09
name: broken
jobEnvironments:
- {name: E, script: {actions: {onEnter: {command: "true"}, onExit: {command: sh, args: [-c, "echo exit job"]}}}}
steps:
- name: S
  parameterSpace: {taskParameterDefinitions: [{name: N, type: INT, range: 1-5}]}
  script: {actions: {onRun: {command: sh, args: [-c, "echo task {{Task.Param.N}}; exit $(({{Task.Param.N}} - 1))"]}}}
- name: Never
  script: {actions: {onRun: {command: echo, args: [never]}}}
`, nil)
	var out bytes.Buffer
	sum, err := RunJob(context.Background(), job, RunOptions{Dir: t.TempDir(), Out: &out})
	var te *TaskError
	if !errors.As(err, &te) || te.Step != "S" || te.Result.ExitCode != 1 || te.Parameters[0].Value != "2" {
		t.Fatalf("got %v", err)
	}
	if want := `task of step "S": N=2: exited with code: 1`; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q lacks %q", err, want)
	}
	if diff := cmp.Diff([]string{"task 1", "task 2", "exit job"}, printed(out.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(sum.Steps) != 1 || sum.Steps[0].Tasks != 1 {
		t.Errorf("got %+v", sum)
	}
}

func TestRunJobCanceled(t *testing.T) {
	t.Parallel()
	job := makeJob(t, `
specificationVersion: jobtemplate-2023-09
name: long
jobEnvironments:
- {name: E, script: {actions: {onEnter: {command: "true"}, onExit: {command: sh, args: [-c, "echo exit job"]}}}}
steps:
- name: S
  script: {actions: {onRun: {command: sh, args: [-c, "echo begun; sleep 1000"]}}}
`, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := &trigger{word: "begun", do: cancel}
	_, err := RunJob(ctx, job, RunOptions{Dir: t.TempDir(), Out: w})
	var te *TaskError
	if !errors.As(err, &te) || te.Result.State != Canceled {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(w.String(), "exit job") {
		t.Errorf("the environment was not exited:\n%s", w)
	}
}

// A task that is slow to stop takes nothing of the time that leaving has.
func TestRunJobExitsInTime(t *testing.T) {
	t.Parallel()
	job := makeJob(t, `
specificationVersion: jobtemplate-2023-09
name: long
jobEnvironments:
- {name: E, script: {actions: {onEnter: {command: "true"}, onExit: {command: sleep, args: ["1000"]}}}}
steps:
- name: S
  script:
    actions:
      onRun:
        command: sh
        args: [-c, "trap '' TERM; echo begun; while :; do sleep 1; done"]
        cancelation: {mode: NOTIFY_THEN_TERMINATE, notifyPeriodInSeconds: 1}
`, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began := time.Now()
	_, err := RunJob(ctx, job, RunOptions{Dir: t.TempDir(), Out: &trigger{word: "begun", do: cancel}, ExitTime: 50 * time.Millisecond})
	var ae *ActionError
	if !errors.As(err, &ae) || ae.Action != "onExit" || ae.Result.State != Canceled {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}

// trigger is a writer that does something when a word comes by.
type trigger struct {
	bytes.Buffer
	word string
	do   func()
}

func (w *trigger) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.word)) {
		w.do()
	}
	return w.Buffer.Write(p)
}

func TestRunJobTellsOfItsWriter(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	r.Close()
	_, err := RunJob(context.Background(), makeJob(t, animation, nil), RunOptions{Dir: t.TempDir(), Out: w})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	if _, err := RunJob(context.Background(), makeJob(t, animation, nil), RunOptions{Dir: filepath.Join(os.DevNull, "x")}); err == nil {
		t.Error("a directory that cannot be was accepted")
	}
}

func TestTasksOfAdaptiveChunks(t *testing.T) {
	t.Parallel()
	job := makeJob(t, `
specificationVersion: jobtemplate-2023-09
extensions: [TASK_CHUNKING]
name: chunks
steps:
- name: S
  parameterSpace:
    taskParameterDefinitions:
    - {name: Eye, type: STRING, range: [left, right]}
    - {name: Frame, type: "CHUNK[INT]", range: "1-20,31-34", chunks: {defaultTaskCount: 2, targetRuntimeSeconds: 10, rangeConstraint: CONTIGUOUS}}
  script: {actions: {onRun: {command: "true"}}}
`, nil)
	// Each value takes a second: chunks grow from 2 to 10 and are cut at the gap.
	ts := newTasks(job.Steps[0].Space)
	var got []string
	for {
		p, err := ts.next()
		if err != nil {
			t.Fatal(err)
		}
		if ts.done {
			break
		}
		got = append(got, p[0].Value+" "+p[1].Value)
		ts.took(time.Duration(ts.last) * time.Second)
	}
	want := []string{"left 1-2", "left 3-6", "left 7-14", "left 15-20", "left 31-34",
		"right 1-10", "right 11-20", "right 31-34"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRunJobChunks(t *testing.T) {
	t.Parallel()
	job := makeJob(t, `
specificationVersion: jobtemplate-2023-09
extensions: [TASK_CHUNKING]
name: chunks
steps:
- name: S
  parameterSpace:
    taskParameterDefinitions:
    - {name: Frame, type: "CHUNK[INT]", range: "1-30", chunks: {defaultTaskCount: 2, targetRuntimeSeconds: 100, rangeConstraint: NONCONTIGUOUS}}
  script: {actions: {onRun: {command: echo, args: ["{{Task.Param.Frame}}"]}}}
`, nil)
	var out bytes.Buffer
	sum, err := RunJob(context.Background(), job, RunOptions{Dir: t.TempDir(), Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	// They take next to no time, so each is twice the one before.
	if diff := cmp.Diff([]string{"1,2", "3-6", "7-14", "15-30"}, printed(out.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sum.Steps[0].Tasks != 4 {
		t.Errorf("got %+v", sum)
	}
}

func BenchmarkTask(b *testing.B) {
	s := newBench(b, nil)
	st := step(act("true"))
	for b.Loop() {
		if r := s.Run(context.Background(), st, nil, Callbacks{}); r.State != Succeeded {
			b.Fatal(r.Err)
		}
	}
}
