package openjd_test

import (
	"errors"
	"fmt"

	"drover.farm/openjd"
)

const turntable = `
specificationVersion: jobtemplate-2023-09
name: "Turntable of {{Param.Asset}}"
parameterDefinitions:
- {name: Asset, type: STRING, default: teapot}
- {name: Frames, type: STRING, default: 1-36:12}
- {name: Scene, type: PATH, objectType: FILE, dataFlow: IN}
steps:
- name: Render
  parameterSpace:
    taskParameterDefinitions:
    - {name: Frame, type: INT, range: "{{Param.Frames}}"}
    - {name: Side, type: STRING, range: [left, right]}
  script:
    actions:
      onRun:
        command: render
        args: ["{{Param.Scene}}", "{{Task.Param.Frame}}", "{{Task.Param.Side}}"]
`

// A template becomes a job by its parameter values; tasks are computed by index.
func Example() {
	template, err := openjd.ParseJobTemplate([]byte(turntable))
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := template.Instantiate(map[string]string{"Scene": "pot.blend"}, openjd.Options{WorkingDir: "/home/ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	step := job.Steps[0]
	fmt.Printf("%s: %d tasks\n", job.Name, step.Space.Len())
	task, err := step.Space.At(3)
	if err != nil {
		fmt.Println(err)
		return
	}
	symbols := job.Symbols([]openjd.PathRule{{SourceFormat: openjd.PathPosix, Source: "/home/ann", Destination: "/mnt/ann"}})
	task.AddTo(symbols, nil)
	for _, arg := range step.Script.OnRun.Args {
		value, err := arg.Resolve(symbols)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(value)
	}
	// Output:
	// Turntable of teapot: 6 tasks
	// /mnt/ann/pot.blend
	// 13
	// right
}

// A document that is wrong tells all of it, with places.
func ExampleErrors() {
	_, err := openjd.ParseJobTemplate([]byte(`
specificationVersion: jobtemplate-2023-09
name: "{{Param.Show}}"
steps:
- name: Render
  script: {actions: {onRun: {comand: render, timeout: 0}}}
`))
	var errs openjd.Errors
	if errors.As(err, &errs) {
		for _, e := range errs {
			fmt.Printf("%d %s: %s\n", e.Line, e.Path, e.Rule)
		}
	}
	// Output:
	// 3 name: Param.Show names no job parameter of this template
	// 6 steps[0].script.actions.onRun.comand: is not a known key
	// 6 steps[0].script.actions.onRun: has no command
	// 6 steps[0].script.actions.onRun.timeout: 0 is not between 1 and 2147483647
}

// A scheduler that sizes chunks by how long they take cuts them one by one.
func ExampleSpace_Cut() {
	template, err := openjd.ParseJobTemplate([]byte(`
specificationVersion: jobtemplate-2023-09
extensions: [TASK_CHUNKING]
name: film
steps:
- name: Render
  parameterSpace:
    taskParameterDefinitions:
    - name: Frame
      type: CHUNK[INT]
      range: 1-20
      chunks: {defaultTaskCount: 2, targetRuntimeSeconds: 300, rangeConstraint: CONTIGUOUS}
  script: {actions: {onRun: {command: render, args: ["{{Task.Param.Frame}}"]}}}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := template.Instantiate(nil, openjd.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	space := job.Steps[0].Space
	size := space.Chunk().DefaultTaskCount
	for from := int64(0); from < space.RowLen(); {
		task, next, err := space.Cut(0, from, size)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(task[0].Value)
		from, size = next, size*3 // as if each chunk had been done in no time
	}
	// Output:
	// 1-2
	// 3-8
	// 9-20
}

func ExampleParseRange() {
	frames, err := openjd.ParseRange("100-1000000000:100, 1-3")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(frames.Len(), frames.At(0), frames.At(5_000_000))
	fmt.Println(frames)
	// Output:
	// 10000003 1 499999800
	// 1-3,100-1000000000:100
}
