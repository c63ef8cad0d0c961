package openjd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const exprTemplate = `
specificationVersion: jobtemplate-2023-09
extensions: [EXPR, FEATURE_BUNDLE_1, TASK_CHUNKING]
name: "{{Param.Show.upper()}} {{len(Param.Names)}}"
parameterDefinitions:
- {name: Show, type: string, default: pilot}
- {name: Start, type: INT, default: 1}
- {name: Count, type: INT, default: 4}
- {name: Scale, type: FLOAT, default: "2.50"}
- {name: Fast, type: BOOL, default: no, userInterface: {label: Be fast}}
- {name: Frames, type: RANGE_EXPR, default: "1-3,7"}
- {name: Names, type: "LIST[STRING]", default: [a b, c], minLength: 1, item: {maxLength: 5}}
- {name: Scenes, type: "LIST[PATH]", objectType: FILE, dataFlow: IN, default: [x/a.blend, "s3://b/k"]}
- {name: Nums, type: "LIST[INT]", default: [3, 1], item: {minValue: 0, allowedValues: [1, 2, 3]}}
- {name: Facts, type: "LIST[FLOAT]", default: [1.5, "2.50"]}
- {name: Flags, type: "LIST[BOOL]", default: [true, "off", 1]}
- {name: Graph, type: "LIST[LIST[INT]]", default: [[1, 2], []], item: {maxLength: 2, item: {maxValue: 9}}}
- {name: Dir, type: PATH, dataFlow: OUT, default: out}
jobEnvironments:
- name: Env
  variables: {N: "{{len(Param.Nums)}}", J: "{{Job.Name}}"}
  script:
    let: ["where = Session.WorkingDirectory / 'w'", "twice = [n * 2 for n in Param.Nums]"]
    actions: {onEnter: {command: "{{where}}", args: ["{{twice}}", "{{Env.File.F.name}}"]}}
    embeddedFiles: [{name: F, type: TEXT, filename: f.txt, data: "{{twice}} {{repr_py(where)}}"}]
steps:
- name: Render
  let: ["end = Param.Start + Param.Count - 1", "dir = Param.Dir / Step.Name", "big = Param.Scale > 2"]
  stepEnvironments:
  - {name: Inner, variables: {E: "{{end}} {{dir.name}}"}}
  hostRequirements:
    amounts: [{name: amount.worker.vcpu, min: "{{ 2 if big else null }}", max: "{{ null if big else 8 }}"}]
    attributes: [{name: attr.x, anyOf: ["{{ ['a', 'b'] }}", "{{ null if Param.Fast else 'c' }}", d]}]
  parameterSpace:
    taskParameterDefinitions:
    - {name: Frame, type: INT, range: "{{Param.Start}}-{{end}}"}
    - {name: Name, type: STRING, range: "{{Param.Names}}"}
    - {name: Fac, type: float, range: "{{ [Param.Scale * 2, 1] }}"}
    combination: (Frame) * Name * Fac
  script:
    let: ["out = dir / Task.Param.Name + '.' + string(Task.Param.Frame)", "quoted = repr_sh([Task.Param.Name, 'x'])"]
    actions:
      onRun:
        command: "{{ 'fast' if Param.Fast else 'slow' }}"
        args: ["{{out}}", "{{ ['--a', Task.Param.Frame] }}", "{{ '-f' if Param.Fast else null }}", "n={{ null }}|{{Param.Scale}}|{{Param.Scale * 2}}", "{{quoted}}", "{{ }} ' if false else '}}' }}"]
        timeout: "{{ 30 if Param.Fast else null }}"
    embeddedFiles: [{name: S, type: TEXT, data: "{{Param.Graph}} {{Param.Flags}} {{Param.Scenes[0].stem}} {{apply_path_mapping('/src/x')}} {{Task.File.S.parent}}"}]
- name: Chunks
  parameterSpace:
    taskParameterDefinitions:
    - {name: F, type: "chunk[int]", range: "{{Param.Frames}}", chunks: {defaultTaskCount: "{{Param.Count // 2}}", rangeConstraint: CONTIGUOUS}}
  bash:
    let: ["n = len(Task.Param.F)"]
    script: "echo {{n}} {{Task.Param.F[0]}}"
`

func exprJob(t *testing.T, values map[string]string) *Job {
	t.Helper()
	tpl, err := ParseJobTemplate([]byte(strings.ReplaceAll(exprTemplate, `"{{ }} ' if false else '}}' }}"`, `"{{ 'x' if false else '}}' }}"`)))
	if err != nil {
		t.Fatal(err)
	}
	job, err := tpl.Instantiate(values, Options{TemplateDir: "/t", WorkingDir: "/w"})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// TestExprJob follows one template through the stages: what is known when a job is
// made, and what a session resolves.
func TestExprJob(t *testing.T) {
	t.Parallel()
	job := exprJob(t, nil)
	values := map[string]string{}
	for _, p := range job.Parameters {
		values[p.Name] = p.Value
	}
	if d := cmp.Diff(map[string]string{
		"Show": "pilot", "Start": "1", "Count": "4", "Scale": "2.50", "Fast": "false", "Frames": "1-3,7", "Names": `["a b","c"]`, "Scenes": `["/t/x/a.blend","s3://b/k"]`,
		"Nums": "[3,1]", "Facts": "[1.5,2.50]", "Flags": "[true,false,true]", "Graph": "[[1,2],[]]", "Dir": "/t/out",
	}, values); d != "" {
		t.Error(d)
	}
	if job.Name != "PILOT 2" {
		t.Error(job.Name)
	}
	if got := job.Parameters[7].Paths(); len(got) != 1 || got[0] != "/t/x/a.blend" {
		t.Errorf("paths %v", got)
	}
	step := job.Steps[0]
	if step.Space.Len() != 16 || step.Script.OnRun.Timeout != 0 {
		t.Errorf("%d tasks, timeout %v", step.Space.Len(), step.Script.OnRun.Timeout)
	}
	if d := cmp.Diff(HostRequirements{
		Amounts: []AmountRequirement{{Name: "amount.worker.vcpu", Min: 2}}, Attributes: []AttributeRequirement{{Name: "attr.x", AnyOf: []string{"a", "b", "c", "d"}}},
	}, *step.Host); d != "" {
		t.Error(d)
	}
	task := must(step.Space.At(15))
	if task[0].Value != "4" || task[1].Value != "c" || task[2].Value != "1.0" {
		t.Errorf("task 15 is %v", task)
	}
	if n := job.Steps[1].Space.Len(); n != 3 { // 1-2, 3-3, 7-7
		t.Errorf("%d chunks", n)
	}
}

func TestExprInASession(t *testing.T) {
	t.Parallel()
	job := exprJob(t, map[string]string{"Fast": "YES", "Nums": "[2, 1]", "Dir": "/src/out"})
	rules := []PathRule{{SourceFormat: PathPosix, Source: "/src", Destination: "/dst"}, {SourceFormat: PathURI, Source: "s3://b", Destination: "/s3"}}
	s := job.Symbols(rules)
	s[SymbolWorkingDirectory] = "/files"
	if s["Param.Scenes"] != `["/t/x/a.blend","/s3/k"]` || s["RawParam.Scenes"] != `["/t/x/a.blend","s3://b/k"]` {
		t.Errorf("scenes %s, raw %s", s["Param.Scenes"], s["RawParam.Scenes"])
	}
	env := job.Environments[0]
	e := clone(s)
	e["Env.File.F"] = "/files/files/f.txt"
	if err := env.Bind(e); err != nil {
		t.Fatal(err)
	}
	check := func(f FormatString, s Symbols, want ...string) {
		t.Helper()
		got, err := f.ResolveAll(s)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", f, err, d)
		}
	}
	check(env.Script.OnEnter.Command, e, "/files/w")
	check(env.Script.OnEnter.Args[0], e, "4", "2")
	check(env.Script.OnEnter.Args[1], e, "f.txt")
	check(env.Script.EmbeddedFiles[0].Data, e, "[4, 2] '/files/w'")
	check(env.Variables[0].Value, e, "2")
	check(env.Variables[1].Value, e, "PILOT 2")

	step := job.Steps[0]
	in := clone(s)
	if err := step.Environments[0].Bind(in); err != nil {
		t.Fatal(err)
	}
	check(step.Environments[0].Variables[0].Value, in, "4 Render")

	r := clone(s)
	must(step.Space.At(0)).AddTo(r, rules)
	r["Task.File.S"] = "/files/files/s"
	if err := step.Bind(r); err != nil {
		t.Fatal(err)
	}
	run := step.Script.OnRun
	check(run.Command, r, "fast")
	check(run.Args[0], r, "/dst/out/Render/a b.1")
	check(run.Args[1], r, "--a", "1")
	check(run.Args[2], r, "-f")
	check(run.Args[3], r, "n=|2.50|5.0")
	check(run.Args[4], r, "'a b' x")
	check(run.Args[5], r, "}}")
	check(step.Script.EmbeddedFiles[0].Data, r, "[[1, 2], []] [true, false, true] a /dst/x /files/files")
	if run.Timeout.Seconds() != 30 {
		t.Errorf("timeout %v", run.Timeout)
	}
	slow := exprJob(t, nil)
	check(slow.Steps[0].Script.OnRun.Args[2], slow.Symbols(nil))

	c := clone(s)
	must(job.Steps[1].Space.At(0)).AddTo(c, nil)
	c["Task.File.Script"] = "/files/files/script.sh"
	if err := job.Steps[1].Bind(c); err != nil {
		t.Fatal(err)
	}
	check(job.Steps[1].Script.EmbeddedFiles[0].Data, c, "echo 2 1")
}

func clone(s Symbols) Symbols {
	to := Symbols{}
	for k, v := range s {
		to[k] = v
	}
	return to
}

// TestExprRefused holds bad templates and values to the place and the reason.
func TestExprRefused(t *testing.T) {
	t.Parallel()
	base := func(extra string) string {
		return "specificationVersion: jobtemplate-2023-09\nextensions: [EXPR]\nname: j\nparameterDefinitions:\n- {name: N, type: INT, default: 1}\n- {name: P, type: PATH, default: a}\n" + extra
	}
	run := "steps: [{name: s, script: {actions: {onRun: {command: c}}}}]\n"
	arg := func(s string) string {
		return base("steps:\n- name: s\n  script: {actions: {onRun: {command: c, args: [\"" + s + "\"]}}}\n")
	}
	let := func(s string) string {
		return base("steps:\n- name: s\n  let: " + s + "\n  script: {actions: {onRun: {command: c}}}\n")
	}
	for name, c := range map[string]struct{ text, want string }{
		"type error":            {arg("{{Param.N + 'a'}}"), "args[0]"},
		"unknown function":      {arg("{{nope(1)}}"), "no function nope"},
		"unknown symbol":        {arg("{{Param.X}}"), "names no job parameter"},
		"unknown name":          {arg("{{whatever}}"), "no symbol whatever"},
		"syntax":                {arg("{{1 +}}"), "the end stands where a value should"},
		"fails for certain":     {arg("{{1 // 0}}"), "division by zero"},
		"list for a command":    {base("steps: [{name: s, script: {actions: {onRun: {command: '{{[1]}}'}}}}]\n"), "one value is needed"},
		"too many operations":   {arg("{{len(range(100000000))}}"), "too many operations"},
		"mapping too early":     {base("steps:\n- name: s\n  let: ['a = apply_path_mapping(\"x\")']\n  script: {actions: {onRun: {command: c}}}\n"), "only on the host"},
		"session too early":     {let("['a = Session.WorkingDirectory']"), "known only on the host"},
		"task too early":        {let("['a = Task.Param.X']"), "known only in a step's script"},
		"let twice":             {let("['a = 1', 'a = 2']"), "bound already"},
		"let of itself":         {let("['a = a + 1']"), "no symbol a"},
		"let with a capital":    {let("['A = 1']"), "no name that let can bind"},
		"let of a word":         {let("['true = 1']"), "word of the language"},
		"let without =":         {let("['a']"), "has no ="},
		"let of nothing":        {let("[]"), "needs at least 1"},
		"let as a variable":     {let("['a = 1', 'b = [a for a in [1]]']"), "bound by let already"},
		"name of the job early": {strings.Replace(base(run), "name: j", "name: '{{Job.Name}}'", 1), "not known here"},
		"allowed bools":         {base("- {name: B, type: BOOL, allowedValues: [true]}\n" + run), "not a known key"},
		"no bool":               {base("- {name: B, type: BOOL, default: maybe}\n" + run), "must be a boolean"},
		"number for a bool":     {base("- {name: B, type: BOOL, default: 2}\n" + run), "must be a boolean"},
		"no range":              {base("- {name: R, type: RANGE_EXPR, default: 1-}\n" + run), "integer is missing"},
		"scalar for a list":     {base("- {name: L, type: 'LIST[INT]', default: 1}\n" + run), "must be a list"},
		"item of another type":  {base("- {name: L, type: 'LIST[INT]', default: [a]}\n" + run), "default[0]"},
		"item too small":        {base("- {name: L, type: 'LIST[INT]', default: [0], item: {minValue: 1}}\n" + run), "less than the minimum"},
		"list too long":         {base("- {name: L, type: 'LIST[INT]', default: [1, 2], maxLength: 1}\n" + run), "more than the maximum"},
		"item key":              {base("- {name: L, type: 'LIST[INT]', item: {maxLength: 1}}\n" + run), "not a known key"},
		"items of bools":        {base("- {name: L, type: 'LIST[BOOL]', item: {allowedValues: [true]}}\n" + run), "not a known key"},
		"three lists":           {base("- {name: L, type: 'LIST[LIST[LIST[INT]]]'}\n" + run), "not a parameter type"},
		"string as a range":     {base("steps: [{name: s, parameterSpace: {taskParameterDefinitions: [{name: A, type: STRING, range: 'x{{Param.N}}'}]}, script: {actions: {onRun: {command: c}}}}]\n"), "must be a list"},
	} {
		_, err := ParseJobTemplate([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	tpl, err := ParseJobTemplate([]byte(strings.ReplaceAll(exprTemplate, `"{{ }} ' if false else '}}' }}"`, "x")))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		values map[string]string
		want   string
	}{
		"bool":       {map[string]string{"Fast": "maybe"}, "not a boolean"},
		"list":       {map[string]string{"Nums": "1"}, "not a list"},
		"item":       {map[string]string{"Nums": "[5]"}, "allowed values"},
		"item text":  {map[string]string{"Names": "[1]"}, "must be a string"},
		"item long":  {map[string]string{"Names": `["abcdefg"]`}, "more than the maximum"},
		"inner":      {map[string]string{"Graph": "[[1, 10]]"}, "more than the maximum"},
		"inner long": {map[string]string{"Graph": "[[1, 2, 3]]"}, "more than the maximum"},
		"range":      {map[string]string{"Frames": "x"}, "integer is missing"},
		"empty":      {map[string]string{"Names": "[]"}, "fewer than the minimum"},
		"count":      {map[string]string{"Count": "1"}, "not between 1"},
	} {
		if _, err := tpl.Instantiate(c.values, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestExprHints fills in the controls of the new types.
func TestExprHints(t *testing.T) {
	t.Parallel()
	tpl := must(ParseJobTemplate([]byte(strings.ReplaceAll(exprTemplate, `"{{ }} ' if false else '}}' }}"`, "x"))))
	want := map[string]string{"Fast": "CHECK_BOX", "Frames": "LINE_EDIT", "Names": "LINE_EDIT_LIST", "Scenes": "CHOOSE_INPUT_FILE_LIST", "Nums": "SPIN_BOX_LIST", "Facts": "SPIN_BOX_LIST", "Flags": "CHECK_BOX_LIST", "Graph": "HIDDEN"}
	for _, d := range tpl.ParameterDefinitions() {
		if w := want[d.Name]; w != "" && d.UserInterface.Control != w {
			t.Errorf("%s has the control %s, want %s", d.Name, d.UserInterface.Control, w)
		}
	}
}
