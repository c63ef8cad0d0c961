package openjd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const sampleTemplate = `
specificationVersion: jobtemplate-2023-09
$schema: https://example.org/schema.json
extensions: [TASK_CHUNKING, REDACTED_ENV_VARS, FEATURE_BUNDLE_1]
name: "{{Param.Show}}: {{RawParam.Scene}}"
description: |
  Renders a scene
  and makes a film of it.
parameterDefinitions:
- {name: Show, type: STRING, default: Pilot, minLength: 1}
- {name: Scene, type: PATH, objectType: FILE, dataFlow: IN, default: scenes/a.blend}
- {name: Frames, type: STRING, default: 1-10}
- {name: Cores, type: INT, minValue: 1, maxValue: 64, default: 4}
- {name: Scale, type: FLOAT, default: 1.50}
- {name: Limit, type: INT, default: 90}
jobEnvironments:
- name: Server
  variables:
    SCENE: "{{Param.Scene}}"
    DIR: "{{Session.WorkingDirectory}}"
  script:
    embeddedFiles:
    - {name: Start, type: TEXT, filename: start.sh, runnable: true, endOfLine: LF, data: "start {{Env.File.Conf}}"}
    - {name: Conf, type: TEXT, data: "{{Param.Show}}"}
    actions:
      onEnter: {command: "{{Env.File.Start}}", timeout: 30}
      onExit: {command: stop, cancelation: {mode: NOTIFY_THEN_TERMINATE}}
steps:
- name: Film
  dependencies: [{dependsOn: Render}]
  bash:
    script: ffmpeg
    args: ["{{Param.Scene}}"]
    timeout: "{{Param.Limit}}"
- name: Render
  hostRequirements:
    amounts:
    - {name: Amount.Worker.VCPU, max: 8}
    - {name: amount.worker.memory, min: "{{Param.Cores}}000", max: 8000}
    - {name: "acme:amount.licence.{{Param.Show}}", min: 0.5}
    attributes:
    - {name: attr.worker.os.family, anyOf: [linux, Windows]}
    - {name: attr.renderer, allOf: ["{{Param.Show}}-1"]}
  parameterSpace:
    taskParameterDefinitions:
    - {name: Frame, type: "CHUNK[INT]", range: "{{Param.Frames}}", chunks: {defaultTaskCount: 4, rangeConstraint: CONTIGUOUS}}
    - {name: Layer, type: STRING, range: [fg, bg]}
  stepEnvironments:
  - name: Licence
    variables: {LICENCE: "1"}
  script:
    actions:
      onRun:
        command: blender
        args: ["-f", "{{Task.Param.Frame}}", "{{Task.RawParam.Layer}}", "{{Task.File.Run}}"]
        cancelation: {mode: NOTIFY_THEN_TERMINATE, notifyPeriodInSeconds: "{{Param.Cores}}"}
    embeddedFiles:
    - {name: Run, type: TEXT, data: "print('{{Param.Scene}}')\n"}
`

var sampleValues = map[string]string{"Cores": "07", "Scene": "shots/../b.blend"}

func format(t *testing.T, s string) FormatString {
	t.Helper()
	f, err := ParseFormatString(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func instantiate(t *testing.T, text string, values map[string]string, o Options) *Job {
	t.Helper()
	tmpl, err := ParseJobTemplate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	job, err := tmpl.Instantiate(values, o)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestInstantiate(t *testing.T) {
	t.Parallel()
	job := instantiate(t, sampleTemplate, sampleValues, Options{TemplateDir: "/templates", WorkingDir: "/files"})
	f := func(s string) FormatString { return format(t, s) }
	want := &Job{
		Name:        "Pilot: /files/b.blend",
		Description: "Renders a scene\nand makes a film of it.\n",
		Extensions:  []string{"TASK_CHUNKING", "REDACTED_ENV_VARS", "FEATURE_BUNDLE_1"},
		Parameters: []JobParameter{
			{Name: "Show", Type: TypeString, Value: "Pilot"},
			{Name: "Scene", Type: TypePath, Value: "/files/b.blend", ObjectType: "FILE", DataFlow: "IN"},
			{Name: "Frames", Type: TypeString, Value: "1-10"},
			{Name: "Cores", Type: TypeInt, Value: "7"},
			{Name: "Scale", Type: TypeFloat, Value: "1.50"},
			{Name: "Limit", Type: TypeInt, Value: "90"},
		},
		Environments: []*Environment{{
			Name:      "Server",
			Variables: []Variable{{"SCENE", f("{{Param.Scene}}")}, {"DIR", f("{{Session.WorkingDirectory}}")}},
			Script: &EnvironmentScript{
				OnEnter: &Action{Command: f("{{Env.File.Start}}"), Timeout: 30 * time.Second, Cancelation: Cancelation{Mode: CancelTerminate}},
				OnExit:  &Action{Command: f("stop"), Timeout: 5 * time.Minute, Cancelation: Cancelation{CancelNotifyThenTerminate, 30 * time.Second}},
				EmbeddedFiles: []EmbeddedFile{
					{Name: "Start", Filename: "start.sh", Runnable: true, EndOfLine: EndOfLineLF, Data: f("start {{Env.File.Conf}}")},
					{Name: "Conf", EndOfLine: EndOfLineAuto, Data: f("{{Param.Show}}")},
				},
			},
		}},
		Steps: []*Step{{
			Name: "Film", DependsOn: []string{"Render"}, Environments: []*Environment{},
			Script: &Script{
				OnRun: &Action{
					Command: f("bash"), Args: []FormatString{f("{{Task.File.Script}}"), f("{{Param.Scene}}")},
					Timeout: 90 * time.Second, Cancelation: Cancelation{Mode: CancelTerminate},
				},
				EmbeddedFiles: []EmbeddedFile{{Name: "Script", Filename: "script.sh", EndOfLine: EndOfLineAuto, Data: f("ffmpeg")}},
			},
		}, {
			Name: "Render",
			Host: &HostRequirements{
				Amounts: []AmountRequirement{
					{Name: "amount.worker.vcpu", Min: 1, Max: 8, HasMax: true},
					{Name: "amount.worker.memory", Min: 7000, Max: 8000, HasMax: true},
					{Name: "acme:amount.licence.pilot", Min: 0.5},
				},
				Attributes: []AttributeRequirement{
					{Name: "attr.worker.os.family", AnyOf: []string{"linux", "Windows"}},
					{Name: "attr.renderer", AllOf: []string{"Pilot-1"}},
				},
			},
			Environments: []*Environment{{Name: "Licence", Variables: []Variable{{"LICENCE", f("1")}}}},
			Script: &Script{
				OnRun: &Action{
					Command: f("blender"),
					Args:    []FormatString{f("-f"), f("{{Task.Param.Frame}}"), f("{{Task.RawParam.Layer}}"), f("{{Task.File.Run}}")},
					Cancelation: Cancelation{
						CancelNotifyThenTerminate, 7 * time.Second,
					},
				},
				EmbeddedFiles: []EmbeddedFile{{Name: "Run", EndOfLine: EndOfLineAuto, Data: f("print('{{Param.Scene}}')\n")}},
			},
		}},
	}
	if diff := cmp.Diff(want, job, cmpopts.IgnoreTypes(&Space{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1-4 fg", "1-4 bg", "5-7 fg", "5-7 bg", "8-10 fg", "8-10 bg"}, tasks(t, job.Steps[1].Space)); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 0}, job.StepOrder()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestSymbols(t *testing.T) {
	t.Parallel()
	job := instantiate(t, sampleTemplate, sampleValues, Options{TemplateDir: "/templates", WorkingDir: "/files"})
	rules := []PathRule{{PathPosix, "/files", "/mnt"}}
	s := job.Symbols(rules)
	TaskParameters{{"P", TypePath, "/files/x"}, {"S", TypeString, "/files/x"}}.AddTo(s, rules)
	want := Symbols{
		"Param.Show": "Pilot", "RawParam.Show": "Pilot", "Param.Scene": "/mnt/b.blend", "RawParam.Scene": "/files/b.blend",
		"Param.Frames": "1-10", "RawParam.Frames": "1-10", "Param.Cores": "7", "RawParam.Cores": "7", "Param.Scale": "1.50",
		"RawParam.Scale": "1.50", "Param.Limit": "90", "RawParam.Limit": "90",
		"Task.Param.P": "/mnt/x", "Task.RawParam.P": "/files/x", "Task.Param.S": "/files/x", "Task.RawParam.S": "/files/x",
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAllErrors checks that one bad template gets every error, each with its place.
func TestAllErrors(t *testing.T) {
	t.Parallel()
	_, err := ParseJobTemplate([]byte(`
specificationVersion: jobtemplate-2023-09
extensions: [WRAP_ACTIONS, NOPE]
name: "{{Param.Missing}}"
colour: red
parameterDefinitions:
- {name: 1st, type: STRING}
- {name: Count, type: INT, minValue: 5, default: 3, minLength: 2}
- {name: Count, type: int}
jobEnvironments:
- {name: E}
steps:
- name: A
  dependencies: [{dependsOn: B}]
  script: {actions: {onRun: {command: "{{Task.File.X}}", timeout: 0, args: []}}}
- name: B
  dependencies: [{dependsOn: A}, {dependsOn: C}]
  hostRequirements: {amounts: [{name: amount.worker.cats, min: -1}]}
  parameterSpace: {taskParameterDefinitions: [{name: F, type: INT, range: "1-5,3"}]}
  script: {actions: {onRun: {}}}
`))
	want := []string{
		"colour", "extensions[0]", "extensions[1]", "parameterDefinitions[0].name", "parameterDefinitions[1].minLength",
		"parameterDefinitions[1].default", "parameterDefinitions[2].type", "parameterDefinitions[2].name", "name", "jobEnvironments[0]",
		"steps[0].script.actions.onRun.command", "steps[0].script.actions.onRun.args", "steps[0].script.actions.onRun.timeout",
		"steps[1].hostRequirements.amounts[0].name", "steps[1].hostRequirements.amounts[0].min",
		"steps[1].parameterSpace.taskParameterDefinitions[0].range", "steps[1].script.actions.onRun", "steps[1].dependencies", "steps",
	}
	var got []string
	for _, e := range err.(Errors) {
		got = append(got, e.Path)
		if e.Rule == "" || e.Hint == "" {
			t.Errorf("%s has rule %q and hint %q", e.Path, e.Rule, e.Hint)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s\nall: %v", diff, err)
	}
}

const minimalSteps = "steps: [{name: s, script: {actions: {onRun: {command: c}}}}]\n"

// TestTemplateRules breaks one rule at a time. Rules of parameters, host
// requirements and spaces have tables of their own.
func TestTemplateRules(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	step := func(s string) string { return "name: n\nsteps: [{" + s + "}]\n" }
	run := func(s string) string { return step("name: s, script: {actions: {onRun: {" + s + "}}}") }
	file := func(s string) string {
		return step("name: s, script: {actions: {onRun: {command: c}}, embeddedFiles: [{" + s + "}]}")
	}
	env := func(s string) string { return "name: n\njobEnvironments: [{" + s + "}]\n" + minimalSteps }
	bundle := "extensions: [FEATURE_BUNDLE_1]\n"
	tests := []struct{ name, in, want string }{
		{"minimal", "name: n\n" + minimalSteps, ""},
		{"null for a key that may be absent", "name: n\ndescription: null\nparameterDefinitions:\n" + minimalSteps, ""},
		{"job name of 128", "name: " + long(128) + "\n" + minimalSteps, ""},
		{"job name of 129", "name: " + long(129) + "\n" + minimalSteps, "name (line 2): has 129 characters"},
		{"job name of 512 with the extension", bundle + "name: " + long(512) + "\n" + minimalSteps, ""},
		{"empty job name", "name: ''\n" + minimalSteps, "name (line 2): is empty"},
		{"job name with a control character", "name: \"a\\tb\"\n" + minimalSteps, "U+0009"},
		{"no name", minimalSteps, "has no name"},
		{"number as a name", "name: 12\n" + minimalSteps, "is an integer and must be a string"},
		{"session symbol in the name", "name: '{{Session.WorkingDirectory}}'\n" + minimalSteps, "known only on the host"},
		{"symbol of EXPR", "name: '{{Job.Name}}'\n" + minimalSteps, "belongs to the extension EXPR"},
		{"expression", "name: '{{Param.A + 1}}'\n" + minimalSteps, "expressions need the extension EXPR"},
		{"no steps", "name: n\nsteps: []\n", "has 0 items and needs at least 1"},
		{"description of 2049", "name: n\ndescription: " + long(2049) + "\n" + minimalSteps, "has 2049 characters"},
		{"extensions as a string", "name: n\nextensions: TASK_CHUNKING\n" + minimalSteps, "must be a list"},
		{"empty extensions", "name: n\nextensions: []\n" + minimalSteps, "has 0 items"},
		{"WRAP_ACTIONS", "name: n\nextensions: [WRAP_ACTIONS]\n" + minimalSteps, "WRAP_ACTIONS is not supported yet"},
		{"let", step("name: s, let: [a = 1], script: {actions: {onRun: {command: c}}}"), "belongs to the extension EXPR"},
		{"wrap hook", env("name: e, script: {actions: {onEnter: {command: c}, onWrapTaskRun: {command: c}}}"), "WRAP_ACTIONS"},
		{"key in the wrong case", "name: n\nSteps: []\n" + minimalSteps, "write it as steps"},

		{"step without a script", step("name: s"), "has no script"},
		{"two scripts", bundle + step("name: s, bash: {script: x}, python: {script: x}"), "more than one of script"},
		{"simple action without its extension", step("name: s, bash: {script: x}"), "belongs to the extension FEATURE_BUNDLE_1"},
		{"simple action without a script", bundle + step("name: s, node: {args: [a]}"), "has no script"},
		{"step depends on itself", step("name: s, dependencies: [{dependsOn: s}], script: {actions: {onRun: {command: c}}}"), "depends on itself"},
		{"repeated dependency", "name: n\nsteps:\n- {name: a, script: {actions: {onRun: {command: c}}}}\n" +
			"- {name: b, dependencies: [{dependsOn: a}, {dependsOn: a}], script: {actions: {onRun: {command: c}}}}\n", "already used"},
		{"repeated step", "name: n\nsteps:\n- {name: a, script: {actions: {onRun: {command: c}}}}\n- {name: a, script: {actions: {onRun: {command: c}}}}\n", "already used at steps[0].name"},

		{"empty command", run("command: ''"), "is empty"},
		{"command of two lines", run(`command: "a\nb"`), "U+000A"},
		{"argument of two lines", run(`command: c, args: ["a\nb"]`), ""},
		{"argument that is a number", run("command: c, args: [1]"), `put it in quotes: "1"`},
		{"timeout as text", run("command: c, timeout: '5'"), "FEATURE_BUNDLE_1"},
		{"timeout as text with the extension", bundle + run("command: c, timeout: '5'"), ""},
		{"timeout that is no number", bundle + run("command: c, timeout: 5s"), "not an integer"},
		{"timeout from the session", bundle + run("command: c, timeout: '{{Session.WorkingDirectory}}'"), "known only on the host"},
		{"notify period of 601", run("command: c, cancelation: {mode: NOTIFY_THEN_TERMINATE, notifyPeriodInSeconds: 601}"), "not between 1 and 600"},
		{"notify period of TERMINATE", run("command: c, cancelation: {mode: TERMINATE, notifyPeriodInSeconds: 6}"), "not a known key"},
		{"unknown cancelation", run("command: c, cancelation: {mode: STOP}"), "use one of TERMINATE"},
		{"no cancelation mode", run("command: c, cancelation: {}"), "has no mode"},
		{"file of another script", run("command: '{{Task.File.X}}'"), "names no embedded file"},
		{"environment's file in a task", run("command: '{{Env.File.X}}'"), "Task.File is for a step's script"},
		{"task parameter of another step", run("command: '{{Task.Param.X}}'"), "names no task parameter"},

		{"file with a directory", file("name: f, type: TEXT, filename: a/b, data: d"), "not a plain file name"},
		{"file named ..", file("name: f, type: TEXT, filename: .., data: d"), "not a plain file name"},
		{"file of another type", file("name: f, type: BINARY, data: d"), "use one of TEXT"},
		{"file without data", file("name: f, type: TEXT"), "has no data"},
		{"file with empty data", file("name: f, type: TEXT, data: ''"), "is empty"},
		{"runnable as text", file("name: f, type: TEXT, data: d, runnable: 'yes'"), "must be a boolean"},
		{"runnable by YAML 1.1", file("name: f, type: TEXT, data: d, runnable: yes"), "must be a boolean"},
		{"endOfLine without its extension", file("name: f, type: TEXT, data: d, endOfLine: LF"), "belongs to the extension"},
		{"endOfLine in small letters", bundle + file("name: f, type: TEXT, data: d, endOfLine: lf"), "use one of AUTO, LF, CRLF"},

		{"environment of nothing", env("name: e"), "neither script nor variables"},
		{"environment with a task's symbol", env("name: e, variables: {A: '{{Task.Param.X}}'}"), "known only in a step's script"},
		{"environment without actions", env("name: e, script: {actions: {}}"), "neither onEnter nor onExit"},
		{"variable with a dash", env("name: e, variables: {A-B: x}"), "not the name of an environment variable"},
		{"variable that is a number", env("name: e, variables: {A: 1}"), "must be a string"},
		{"no variables", env("name: e, variables: {}"), "has no variables"},
		{"variable of 2049", env("name: e, variables: {A: " + long(2049) + "}"), "has 2049 characters"},
		{"environment of job and step of one name", "name: n\njobEnvironments: [{name: e, variables: {A: x}}]\n" +
			"steps: [{name: s, stepEnvironments: [{name: e, variables: {A: x}}], script: {actions: {onRun: {command: c}}}}]\n", "already used at jobEnvironments[0].name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseJobTemplate([]byte("specificationVersion: jobtemplate-2023-09\n" + tt.in))
			wantError(t, err, tt.want)
		})
	}
}

// wantError checks that err has the text want, or is nil where want is empty.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	env := "environment: {name: e, variables: {A: x}}\n"
	_, err := ParseEnvironmentTemplate([]byte("specificationVersion: environment-2023-09\n" + env))
	wantError(t, err, "")
	_, err = ParseEnvironmentTemplate([]byte("specificationVersion: jobtemplate-2023-09\n" + env))
	wantError(t, err, "says that this is a job template")
	_, err = ParseJobTemplate([]byte("specificationVersion: environment-2023-09\nname: n\n" + minimalSteps))
	wantError(t, err, "says that this is an environment template")
	_, err = ParseJobTemplate([]byte("specificationVersion: jobtemplate-2024-01\nname: n\n" + minimalSteps))
	wantError(t, err, "write jobtemplate-2023-09")
	_, err = ParseJobTemplate([]byte("name: n\n" + minimalSteps))
	wantError(t, err, "has no specificationVersion")
	_, err = ParseJobTemplate([]byte("[1]"))
	wantError(t, err, "document (line 1): is a list and must be an object")
}

func TestStepOrder(t *testing.T) {
	t.Parallel()
	step := func(name, on string) string {
		if on != "" {
			on = "dependencies: [{dependsOn: " + strings.ReplaceAll(on, " ", "}, {dependsOn: ") + "}], "
		}
		return "- {name: " + name + ", " + on + "script: {actions: {onRun: {command: c}}}}\n"
	}
	head := "specificationVersion: jobtemplate-2023-09\nname: n\nsteps:\n"
	job := instantiate(t, head+step("d", "c a")+step("c", "b")+step("b", "")+step("a", "")+step("e", ""), nil, Options{})
	if diff := cmp.Diff([]int{2, 1, 3, 0, 4}, job.StepOrder()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err := ParseJobTemplate([]byte(head + step("a", "") + step("b", "a d") + step("c", "b") + step("d", "c")))
	wantError(t, err, "in a circle: b, c, d")
}

func TestHostRequirements(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"{amounts: [{name: amount.worker.gpu, min: 0}]}", ""},
		{"{amounts: [{name: 'acme:amount.x.y', max: 0.5}]}", ""},
		{"{}", "neither amounts nor attributes"},
		{"{amounts: []}", "has 0 items"},
		{"{amounts: [{name: amount.x}]}", "neither min nor max"},
		{"{amounts: [{name: x, min: 1}]}", "not a name of the form"},
		{"{amounts: [{name: amount, min: 1}]}", "not a name of the form"},
		{"{amounts: [{name: attr.x, min: 1}]}", "not a name of the form"},
		{"{amounts: [{name: 'a b:amount.x', min: 1}]}", "not a name of the form"},
		{"{amounts: [{name: amount.x..y, min: 1}]}", "not a name of the form"},
		{"{amounts: [{name: amount.Job.x, min: 1}]}", "the reserved word job"},
		{"{amounts: [{name: amount." + strings.Repeat("x", 94) + ", min: 1}]}", "at most 100"},
		{"{amounts: [{name: amount.x, min: -0.5}]}", "is negative"},
		{"{amounts: [{name: amount.x, max: 0}]}", "is not positive"},
		{"{amounts: [{name: amount.x, min: .inf}]}", "not a finite number"},
		{"{amounts: [{name: amount.x, min: '1'}]}", "FEATURE_BUNDLE_1"},
		{"{amounts: [{name: amount.x, min: 3, max: 2}]}", "min 3 above max 2"},
		{"{amounts: [{name: amount.x, min: 1}, {name: AMOUNT.X, min: 1}]}", "already used"},
		{"{attributes: [{name: attr.x, anyOf: [a, b_-1]}]}", ""},
		{"{attributes: [{name: attr.x}]}", "neither anyOf nor allOf"},
		{"{attributes: [{name: attr.x, anyOf: []}]}", "has 0 items"},
		{"{attributes: [{name: attr.x, anyOf: [1a]}]}", "not a value of letters"},
		{"{attributes: [{name: attr.x, anyOf: ['']}]}", "not a value of letters"},
		{"{attributes: [{name: attr.worker.os.family, anyOf: [beos]}]}", "not one of linux"},
		{"{attributes: [{name: attr.worker.os.family, allOf: [linux, macos]}]}", "of which a host has one"},
		{"{attributes: [{name: attr.worker.cpu.arch, anyOf: ['{{Param.X}}']}]}", "names no job parameter"},
		{"{attributes: [{name: attr.x, anyOf: [" + strings.Repeat("a,", 51) + "]}]}", "at most 50"},
		{"{amounts: [" + strings.Repeat("{name: amount.x, min: 1},", 51) + "]}", "51 requirements"},
	}
	for _, tt := range tests {
		_, err := ParseJobTemplate([]byte("specificationVersion: jobtemplate-2023-09\nname: n\nsteps: [{name: s, hostRequirements: " + tt.in + ", script: {actions: {onRun: {command: c}}}}]\n"))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got error %v, want %q", clip(tt.in), err, tt.want)
		}
	}
}

// TestResolvedRequirements checks what only values can break.
func TestResolvedRequirements(t *testing.T) {
	t.Parallel()
	const text = `
specificationVersion: jobtemplate-2023-09
extensions: [FEATURE_BUNDLE_1]
name: n
parameterDefinitions:
- {name: Name, type: STRING, default: x}
- {name: Value, type: STRING, default: a}
- {name: Min, type: FLOAT, default: 1}
- {name: Max, type: STRING, default: "2"}
- {name: Time, type: INT, default: 1}
steps:
- name: s
  hostRequirements:
    amounts: [{name: "amount.{{Param.Name}}", min: "{{Param.Min}}", max: "{{Param.Max}}"}, {name: amount.y, min: 1}]
    attributes: [{name: "attr.{{Param.Name}}", anyOf: ["{{Param.Value}}"]}]
  script: {actions: {onRun: {command: c, timeout: "{{Param.Time}}"}}}
`
	tmpl, err := ParseJobTemplate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, value, want string }{
		{"Name", "ok", ""},
		{"Name", "Y", "already used"},
		{"Name", "job.x", "reserved word"},
		{"Name", "a b", "not a name of the form"},
		{"Name", strings.Repeat("n", 100), "at most 100"},
		{"Value", "not valid", "not a value of letters"},
		{"Min", "-1", "is negative"},
		{"Min", "3", "min 3 above max 2"},
		{"Max", "much", "not a finite number"},
		{"Max", "0", "is not positive"},
		{"Time", "0", "not between 1 and"},
	} {
		_, err := tmpl.Instantiate(map[string]string{tt.name: tt.value}, Options{})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s=%s: got error %v, want %q", tt.name, tt.value, err, tt.want)
		}
	}
}

func TestSpaceRules(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"{name: F, type: INT, range: [1, '2', '{{Param.N}}']}", ""},
		{"{name: F, type: PATH, range: [/a, '{{RawParam.P}}']}", ""},
		{"{name: F, type: STRING, range: ['']}", ""},
		{"{name: F, type: PATH, range: ['']}", "is an empty path"},
		{"{name: F, type: PATH, range: ['{{Param.P}}']}", "known only on the host"},
		{"{name: F, type: INT, range: [1.5]}", "is a number and must be a string"},
		{"{name: F, type: INT, range: ['1.5']}", "not an integer"},
		{"{name: F, type: FLOAT, range: [nan]}", "not a finite number"},
		{"{name: F, type: FLOAT, range: '1-3'}", "must be a list"},
		{"{name: F, type: STRING, range: [1]}", "must be a string"},
		{"{name: F, type: STRING, range: [" + strings.Repeat("x", 1025) + "]}", "has 1025 characters"},
		{"{name: F, type: INT, range: []}", "has 0 items"},
		{"{name: F, type: INT, range: [" + strings.Repeat("1,", 1025) + "]}", "at most 1024"},
		{"{name: F, type: INT}", "has no range"},
		{"{name: F, type: BOOL, range: [true]}", "not a task parameter type"},
		{"{name: F, type: INT, range: [1], chunks: {}}", "not a known key"},
		{"{name: 'F F', type: INT, range: [1]}", "not an identifier"},
		{"{name: F, type: INT, range: [1]}, {name: F, type: INT, range: [1]}", "already used"},
		{"{name: F, type: 'CHUNK[INT]', range: [1]}", "has no chunks"},
		{"{name: F, type: 'CHUNK[INT]', range: [1], chunks: {defaultTaskCount: 0, rangeConstraint: CONTIGUOUS}}", "not between 1"},
		{"{name: F, type: 'CHUNK[INT]', range: [1], chunks: {defaultTaskCount: 1, rangeConstraint: ANY}}", "use one of CONTIGUOUS"},
		{"{name: F, type: 'CHUNK[INT]', range: [1], chunks: {defaultTaskCount: 1, targetRuntimeSeconds: -1, rangeConstraint: CONTIGUOUS}}", "not between 0"},
		{"{name: F, type: 'CHUNK[INT]', range: [4611686018427387904], chunks: {defaultTaskCount: 1, rangeConstraint: CONTIGUOUS}}", "2^62"},
		{"{name: F, type: 'CHUNK[INT]', range: [1], chunks: {defaultTaskCount: 1, rangeConstraint: CONTIGUOUS}}, " +
			"{name: G, type: 'CHUNK[INT]', range: [1], chunks: {defaultTaskCount: 1, rangeConstraint: CONTIGUOUS}}", "at most one is allowed"},
	}
	for _, tt := range tests {
		_, err := ParseJobTemplate([]byte("specificationVersion: jobtemplate-2023-09\nextensions: [TASK_CHUNKING]\nname: n\n" +
			"parameterDefinitions: [{name: N, type: INT}, {name: P, type: PATH}]\n" +
			"steps: [{name: s, parameterSpace: {taskParameterDefinitions: [" + tt.in + "]}, script: {actions: {onRun: {command: c}}}}]\n"))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got error %v, want %q", clip(tt.in), err, tt.want)
		}
	}
	_, err := ParseJobTemplate([]byte("specificationVersion: jobtemplate-2023-09\nname: n\nsteps: [{name: s, parameterSpace: {taskParameterDefinitions: " +
		"[{name: F, type: 'CHUNK[INT]', range: [1], chunks: {defaultTaskCount: 1, rangeConstraint: CONTIGUOUS}}]}, script: {actions: {onRun: {command: c}}}}]\n"))
	wantError(t, err, "belongs to the extension TASK_CHUNKING")
}

func TestSimpleActions(t *testing.T) {
	t.Parallel()
	for key, want := range map[string][]string{
		"bash":       {"script.sh", "bash", "{{Task.File.Script}}", "-x"},
		"cmd":        {"script.bat", "cmd", "/C", "{{Task.File.Script}}", "-x"},
		"node":       {"script.js", "node", "{{Task.File.Script}}", "-x"},
		"powershell": {"script.ps1", "powershell", "-File", "{{Task.File.Script}}", "-x"},
		"python":     {"script.py", "python", "{{Task.File.Script}}", "-x"},
	} {
		job := instantiate(t, "specificationVersion: jobtemplate-2023-09\nextensions: [FEATURE_BUNDLE_1]\nname: n\nsteps: [{name: s, "+key+": {script: x, args: [-x]}}]\n", nil, Options{})
		script := job.Steps[0].Script
		got := []string{script.EmbeddedFiles[0].Filename, script.OnRun.Command.String()}
		for _, a := range script.OnRun.Args {
			got = append(got, a.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

func FuzzParseJobTemplate(f *testing.F) {
	f.Add([]byte(exprTemplate))
	f.Add([]byte(sampleTemplate))
	f.Add([]byte("{\"specificationVersion\": \"jobtemplate-2023-09\", \"name\": \"n\", \"steps\": [{\"name\": \"s\", \"script\": {\"actions\": {\"onRun\": {\"command\": \"c\"}}}}]}"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("specificationVersion: jobtemplate-2023-09\nname: n\nsteps: [{name: s, parameterSpace: {combination: '(A,B)', taskParameterDefinitions: [{name: A, type: INT, range: 1-9:3}, {name: B, type: FLOAT, range: [1, 2, 3]}]}, script: {actions: {onRun: {command: c}}}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tmpl, err := ParseJobTemplate(data)
		if err != nil {
			if errs, ok := err.(Errors); !ok || len(errs) == 0 {
				t.Fatalf("error is %T", err)
			}
			return
		}
		job, err := tmpl.Instantiate(nil, Options{TemplateDir: "/t"})
		if err != nil {
			if errs, ok := err.(Errors); !ok || len(errs) == 0 {
				t.Fatalf("error is %T", err)
			}
			return
		}
		if len(job.StepOrder()) != len(job.Steps) {
			t.Fatal("steps without an order")
		}
		for _, s := range job.Steps {
			for _, i := range []int64{0, s.Space.Len() / 2, s.Space.Len() - 1} {
				if _, err := s.Space.At(i); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func FuzzParseEnvironmentTemplate(f *testing.F) {
	f.Add([]byte("specificationVersion: environment-2023-09\nparameterDefinitions: [{name: P, type: PATH, default: a}]\nenvironment: {name: e, variables: {A: '{{Param.P}}'}}\n"))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if tmpl, err := ParseEnvironmentTemplate(data); err == nil {
			if _, err := MergeDefinitions([]*EnvironmentTemplate{tmpl, tmpl}, nil); err != nil {
				t.Fatalf("a template does not agree with itself: %v", err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJobTemplate([]byte(sampleTemplate)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInstantiate(b *testing.B) {
	tmpl, err := ParseJobTemplate([]byte(sampleTemplate))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Instantiate(sampleValues, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
