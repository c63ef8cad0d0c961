//go:build unix

package session_test

import (
	"context"
	"fmt"
	"os"

	"drover.farm/openjd"
	"drover.farm/openjd/session"
)

func ExampleRunJob() {
	template, err := openjd.ParseJobTemplate([]byte(`
specificationVersion: jobtemplate-2023-09
name: greetings
steps:
- name: Greet
  parameterSpace:
    taskParameterDefinitions:
    - {name: Who, type: STRING, range: [Ada, Grace]}
  script:
    actions:
      onRun: {command: echo, args: ["Hello {{Task.Param.Who}}"]}
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
	done, err := session.RunJob(context.Background(), job, session.RunOptions{})
	fmt.Println(done.Steps[0].Name, done.Steps[0].Tasks, err)
	// Output: Greet 2 <nil>
}

func ExampleSession() {
	job := &openjd.Job{Name: "by hand"}
	print := func(l session.Line) {
		if l.Stream == session.StreamOutput {
			fmt.Println(l.Text)
		}
	}
	s, err := session.New(session.Config{Dir: os.TempDir(), Job: job, Log: print})
	if err != nil {
		fmt.Println(err)
		return
	}
	command, _ := openjd.ParseFormatString("echo")
	text, _ := openjd.ParseFormatString("frame {{Task.Param.Frame}}")
	step := &openjd.Step{Name: "Render", Script: &openjd.Script{
		OnRun: &openjd.Action{Command: command, Args: []openjd.FormatString{text}},
	}}
	for _, frame := range []string{"1", "2"} {
		p := openjd.TaskParameters{{Name: "Frame", Type: openjd.TypeInt, Value: frame}}
		r := s.Run(context.Background(), step, p, session.Callbacks{})
		fmt.Println(r.State, r.ExitCode)
	}
	fmt.Println(s.Close(context.Background()))
	// Output:
	// frame 1
	// succeeded 0
	// frame 2
	// succeeded 0
	// <nil>
}
