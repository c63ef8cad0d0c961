package openjd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parseParam(definition string) (ParameterDefinition, error) {
	tmpl, err := ParseJobTemplate([]byte("specificationVersion: jobtemplate-2023-09\nname: n\nparameterDefinitions:\n- " + definition + "\n" + minimalSteps))
	if err != nil {
		return ParameterDefinition{}, err
	}
	return tmpl.ParameterDefinitions()[0], nil
}

func TestParameterDefinition(t *testing.T) {
	t.Parallel()
	five, two, eight := 5, 2, 8
	filter := FileFilter{"Pictures", []string{"*.png", "*.*", "*"}}
	tests := []struct {
		in   string
		want ParameterDefinition
	}{
		{
			"{name: S, type: STRING, description: d, default: abc, minLength: 2, maxLength: 8, userInterface: {control: MULTILINE_EDIT, label: L, groupLabel: G}}",
			ParameterDefinition{Name: "S", Type: TypeString, Description: "d", Default: "abc", HasDefault: true, MinLength: &two, MaxLength: &eight,
				UserInterface: UserInterface{Control: "MULTILINE_EDIT", Label: "L", GroupLabel: "G"}},
		},
		{
			"{name: C, type: STRING, allowedValues: ['No', 'yes'], userInterface: {control: CHECK_BOX}}",
			ParameterDefinition{Name: "C", Type: TypeString, AllowedValues: []string{"No", "yes"}, UserInterface: UserInterface{Control: "CHECK_BOX", Label: "C"}},
		},
		{
			"{name: P, type: PATH, objectType: FILE, dataFlow: OUT, userInterface: {fileFilters: [{label: Pictures, patterns: ['*.png', '*.*', '*']}], fileFilterDefault: {label: Pictures, patterns: ['*.png', '*.*', '*']}}}",
			ParameterDefinition{Name: "P", Type: TypePath, ObjectType: "FILE", DataFlow: "OUT",
				UserInterface: UserInterface{Control: "CHOOSE_OUTPUT_FILE", Label: "P", FileFilters: []FileFilter{filter}, FileFilterDefault: &filter}},
		},
		{
			"{name: I, type: INT, default: '05', minValue: -3, maxValue: 9223372036854775807, userInterface: {singleStepDelta: 3}}",
			ParameterDefinition{Name: "I", Type: TypeInt, Default: "5", HasDefault: true, MinValue: "-3", MaxValue: "9223372036854775807",
				UserInterface: UserInterface{Control: "SPIN_BOX", Label: "I", SingleStepDelta: "3"}},
		},
		{
			"{name: F, type: FLOAT, default: 0.10000000000000000555, allowedValues: ['0.1', 2, 1e3], userInterface: {control: HIDDEN}}",
			ParameterDefinition{Name: "F", Type: TypeFloat, Default: "0.10000000000000000555", HasDefault: true, AllowedValues: []string{"0.1", "2", "1e3"},
				UserInterface: UserInterface{Control: "HIDDEN", Label: "F"}},
		},
		{
			"{name: D, type: FLOAT, userInterface: {decimals: 5, singleStepDelta: 0.5}}",
			ParameterDefinition{Name: "D", Type: TypeFloat, UserInterface: UserInterface{Control: "SPIN_BOX", Label: "D", Decimals: &five, SingleStepDelta: "0.5"}},
		},
	}
	for _, tt := range tests {
		got, err := parseParam(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestDefaultControls(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"{name: A, type: STRING}":                                  "LINE_EDIT",
		"{name: A, type: STRING, allowedValues: [a]}":              "DROPDOWN_LIST",
		"{name: A, type: PATH}":                                    "CHOOSE_DIRECTORY",
		"{name: A, type: PATH, objectType: DIRECTORY}":             "CHOOSE_DIRECTORY",
		"{name: A, type: PATH, objectType: FILE}":                  "CHOOSE_INPUT_FILE",
		"{name: A, type: PATH, objectType: FILE, dataFlow: INOUT}": "CHOOSE_INPUT_FILE",
		"{name: A, type: PATH, objectType: FILE, dataFlow: OUT}":   "CHOOSE_OUTPUT_FILE",
		"{name: A, type: INT}":                                     "SPIN_BOX",
		"{name: A, type: FLOAT, allowedValues: [1]}":               "DROPDOWN_LIST",
	} {
		d, err := parseParam(in)
		if err != nil || d.UserInterface.Control != want {
			t.Errorf("%s: control %q, %v, want %q", in, d.UserInterface.Control, err, want)
		}
	}
}

func TestParameterRules(t *testing.T) {
	t.Parallel()
	ui := func(typ, s string) string { return "{name: A, type: " + typ + ", userInterface: {" + s + "}}" }
	tests := []struct{ in, want string }{
		{"[]", "must be an object"},
		{"{type: STRING}", "has no name"},
		{"{name: A}", "has no type"},
		{"{name: A, type: 'LIST[INT]'}", "belongs to the extension EXPR"},
		{"{name: A, type: string}", "write it as STRING"},
		{"{name: " + strings.Repeat("a", 65) + ", type: INT}", "has 65 characters"},
		{"{name: A, type: INT, default: 1.0}", "is a number and must be an integer"},
		{"{name: A, type: INT, default: '1.0'}", "not an integer"},
		{"{name: A, type: INT, default: true}", "is a boolean"},
		{"{name: A, type: INT, default: 9223372036854775808}", "outside of the 64-bit integers"},
		{"{name: A, type: INT, default: 2, minValue: 3}", "less than the minimum 3"},
		{"{name: A, type: INT, default: 4, allowedValues: [3, 5]}", `"4" is not one of the allowed values 3, 5`},
		{"{name: A, type: INT, minValue: 3, maxValue: 2}", "minValue 3 above maxValue 2"},
		{"{name: A, type: INT, maxValue: 2, allowedValues: [1, 3]}", "more than the maximum 2"},
		{"{name: A, type: INT, allowedValues: null}", "is null and must be a list"},
		{"{name: A, type: INT, allowedValues: []}", "has 0 items"},
		{"{name: A, type: INT, minLength: 1}", "not a known key"},
		{"{name: A, type: FLOAT, default: 1e309}", "too large"},
		{"{name: A, type: FLOAT, default: .nan}", "not a finite number"},
		{"{name: A, type: FLOAT, default: 0x1p3}", "not a finite number"},
		{"{name: A, type: STRING, default: 5}", `put it in quotes: "5"`},
		{"{name: A, type: STRING, default: ab, maxLength: 1}", "more than the maximum 1"},
		{"{name: A, type: STRING, default: äö, maxLength: 2}", ""},
		{"{name: A, type: STRING, default: '', minLength: 0}", ""},
		{"{name: A, type: STRING, minLength: -1}", "out of range"},
		{"{name: A, type: STRING, maxLength: 0}", "out of range"},
		{"{name: A, type: STRING, minLength: '1'}", "must be an integer"},
		{"{name: A, type: STRING, minValue: 1}", "not a known key"},
		{"{name: A, type: STRING, default: " + strings.Repeat("x", 1025) + "}", "at most 1024"},
		{"{name: A, type: PATH, objectType: LINK}", "use one of FILE, DIRECTORY"},
		{"{name: A, type: STRING, dataFlow: IN}", "not a known key"},
		{ui("STRING", "control: SPIN_BOX"), "use one of LINE_EDIT"},
		{ui("STRING", "control: DROPDOWN_LIST"), "needs allowedValues"},
		{ui("STRING", `label: "a\nb"`), "U+000A"},
		{ui("STRING", "label: ''"), "is empty"},
		{ui("STRING", "fileFilters: []"), "not a known key"},
		{ui("INT", "singleStepDelta: 0"), "is not positive"},
		{ui("INT", "singleStepDelta: 0.5"), "positive number of the parameter's type"},
		{ui("INT", "decimals: 2"), "not a known key"},
		{ui("FLOAT", "decimals: -1"), "out of range"},
		{ui("FLOAT", "control: HIDDEN, decimals: 1"), "only be used with the control SPIN_BOX"},
		{ui("PATH", "fileFilters: [{label: a, patterns: ['*']}]"), "CHOOSE_INPUT_FILE"},
		{ui("PATH", "control: CHOOSE_INPUT_FILE, fileFilters: [{patterns: ['*']}]"), "has no label"},
		{ui("PATH", "control: CHOOSE_INPUT_FILE, fileFilters: [{label: a, patterns: []}]"), "has 0 items"},
		{ui("PATH", "control: CHOOSE_INPUT_FILE, fileFilters: [{label: a, patterns: ['*.a/b']}]"), "not a file pattern"},
		{ui("PATH", "control: CHOOSE_INPUT_FILE, fileFilters: [{label: a, patterns: ['a.png']}]"), "not a file pattern"},
		{ui("PATH", "control: CHOOSE_INPUT_FILE, fileFilters: [{label: a, patterns: ['*.']}]"), "not a file pattern"},
		{"{name: A, type: STRING, allowedValues: [a, b], userInterface: {control: CHECK_BOX}}", "CHECK_BOX needs two"},
		{"{name: A, type: STRING, allowedValues: [a, b], userInterface: {control: LINE_EDIT}}", "cannot be used with allowedValues"},
	}
	for _, tt := range tests {
		_, err := parseParam(tt.in)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got error %v, want %q", clip(tt.in), err, tt.want)
		}
	}
}

func envTemplateOf(t *testing.T, definitions string) *EnvironmentTemplate {
	t.Helper()
	e, err := ParseEnvironmentTemplate([]byte("specificationVersion: environment-2023-09\nparameterDefinitions: [" + definitions + "]\nenvironment: {name: e, variables: {A: x}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func jobTemplateOf(t *testing.T, definitions string) *JobTemplate {
	t.Helper()
	j, err := ParseJobTemplate([]byte("specificationVersion: jobtemplate-2023-09\nname: n\nparameterDefinitions: [" + definitions + "]\n" + minimalSteps))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestMerge(t *testing.T) {
	t.Parallel()
	five, nine := 5, 9
	tests := []struct {
		name, env1, env2, job string
		want                  ParameterDefinition
	}{
		{
			"bounds meet, the last default stays", "{name: A, type: INT, minValue: 0, maxValue: 40, default: 1, description: d}", "{name: A, type: INT, default: 7}", "{name: A, type: INT, minValue: 5, maxValue: 50}",
			ParameterDefinition{Name: "A", Type: TypeInt, Description: "d", Default: "7", HasDefault: true, MinValue: "5", MaxValue: "40", UserInterface: UserInterface{Control: "SPIN_BOX", Label: "A"}},
		},
		{
			"lengths meet", "{name: A, type: STRING, minLength: 1, maxLength: 9}", "{name: A, type: STRING, minLength: 5}", "{name: A, type: STRING, maxLength: 10, userInterface: {label: L}}",
			ParameterDefinition{Name: "A", Type: TypeString, MinLength: &five, MaxLength: &nine, UserInterface: UserInterface{Control: "LINE_EDIT", Label: "L"}},
		},
		{
			"allowed values meet by value", "{name: A, type: FLOAT, allowedValues: [1.0, 2, 3e0]}", "{name: A, type: FLOAT}", "{name: A, type: FLOAT, allowedValues: [3, 1, 9]}",
			ParameterDefinition{Name: "A", Type: TypeFloat, AllowedValues: []string{"3", "1"}, UserInterface: UserInterface{Control: "DROPDOWN_LIST", Label: "A"}},
		},
		{
			"kinds of paths are taken over", "{name: A, type: PATH, objectType: FILE}", "{name: A, type: PATH, dataFlow: IN}", "{name: A, type: PATH}",
			ParameterDefinition{Name: "A", Type: TypePath, ObjectType: "FILE", DataFlow: "IN", UserInterface: UserInterface{Control: "CHOOSE_DIRECTORY", Label: "A"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := MergeDefinitions([]*EnvironmentTemplate{envTemplateOf(t, tt.env1), envTemplateOf(t, tt.env2)}, jobTemplateOf(t, tt.job))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]ParameterDefinition{tt.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMergeRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ env, job, want string }{
		{"{name: A, type: INT}", "{name: A, type: FLOAT}", "of type INT in one template and FLOAT in another"},
		{"{name: A, type: PATH, dataFlow: IN}", "{name: A, type: PATH, dataFlow: OUT}", "the dataFlow IN"},
		{"{name: A, type: PATH, objectType: FILE}", "{name: A, type: PATH, objectType: DIRECTORY}", "the objectType FILE"},
		{"{name: A, type: INT, minValue: 5}", "{name: A, type: INT, maxValue: 4}", "minValue 5 above maxValue 4 once"},
		{"{name: A, type: STRING, minLength: 5}", "{name: A, type: STRING, maxLength: 4}", "minLength 5 above maxLength 4"},
		{"{name: A, type: STRING, minLength: 5}", "{name: A, type: STRING, default: abc}", "has a default that the merged templates refuse"},
		{"{name: A, type: INT, allowedValues: [1, 2]}", "{name: A, type: INT, allowedValues: [3]}", "no value that all templates allow"},
	}
	for _, tt := range tests {
		_, err := MergeDefinitions([]*EnvironmentTemplate{envTemplateOf(t, tt.env)}, jobTemplateOf(t, tt.job))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "parameterDefinitions.A: ") {
			t.Errorf("%s and %s: got error %v, want %q", tt.env, tt.job, err, tt.want)
		}
	}
}

func TestEnvironmentTemplatesInAJob(t *testing.T) {
	t.Parallel()
	env, err := ParseEnvironmentTemplate([]byte(`{"specificationVersion": "environment-2023-09", "parameterDefinitions": [{"name": "Pool", "type": "STRING", "default": "cpu"}],
		"environment": {"name": "queue", "script": {"actions": {"onExit": {"command": "{{Param.Pool}}"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	job, err := jobTemplateOf(t, "{name: N, type: INT, default: 1}").Instantiate(map[string]string{"Pool": "gpu"}, Options{Environments: []*EnvironmentTemplate{env}})
	if err != nil {
		t.Fatal(err)
	}
	want := []JobParameter{{Name: "Pool", Type: TypeString, Value: "gpu"}, {Name: "N", Type: TypeInt, Value: "1"}}
	if diff := cmp.Diff(want, job.Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if len(job.Environments) != 1 || job.Environments[0].Name != "queue" || job.Environments[0].Script.OnEnter != nil {
		t.Errorf("environments are %+v", job.Environments)
	}
	got, err := job.Environments[0].Script.OnExit.Command.Resolve(job.Symbols(nil))
	if err != nil || got != "gpu" {
		t.Errorf("command is %q, %v", got, err)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	tmpl := jobTemplateOf(t, "{name: S, type: STRING, default: s, maxLength: 5}, {name: I, type: INT, default: 1, maxValue: 9}, {name: F, type: FLOAT, default: 1}, {name: P, type: PATH, default: a}, {name: R, type: INT}")
	tests := []struct{ name, value, want, wantErr string }{
		{"S", " x ", " x ", ""},
		{"S", "", "", ""},
		{"S", "123456", "", "parameters.S: has 6 characters, more than the maximum 5"},
		{"S", "\xff", "", "not UTF-8"},
		{"S", strings.Repeat("x", 1025), "", "at most 1024"},
		{"I", " +007 ", "7", ""},
		{"I", "-0", "0", ""},
		{"I", "7.0", "", "not an integer"},
		{"I", "", "", "not an integer"},
		{"I", "1_0", "", "not an integer"},
		{"I", "10", "", "more than the maximum 9"},
		{"I", "99999999999999999999", "", "64-bit"},
		{"F", " 2.50 ", "2.50", ""},
		{"F", "3.141592653589793238462643", "3.141592653589793238462643", ""},
		{"F", "inf", "", "not a finite number"},
		{"F", "0x1p3", "", "not a finite number"},
		{"F", "1_0", "", "not a finite number"},
		{"F", ".", "", "not a finite number"},
		{"F", "1e-400", "1e-400", ""},
		{"F", "+.5E+3", "+.5E+3", ""},
		{"F", "1e999999999", "", "too large"},
		{"P", "", "", ""},
		{"P", "../x/./y", "/home/x/y", ""},
		{"P", "/abs/../x", "/abs/../x", ""},
		{"P", `C:\shots\a`, `C:\shots\a`, ""},
		{"P", "s3://bucket/key", "/home/me/s3:/bucket/key", ""},
		{"X", "1", "", "parameters.X: is no parameter of the templates"},
	}
	for _, tt := range tests {
		job, err := tmpl.Instantiate(map[string]string{tt.name: tt.value, "R": "1"}, Options{TemplateDir: "/t", WorkingDir: "/home/me"})
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%s=%q: got error %v, want %q", tt.name, clip(tt.value), err, tt.wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s=%q: %v", tt.name, tt.value, err)
			continue
		}
		if got := job.Symbols(nil)["RawParam."+tt.name]; got != tt.want {
			t.Errorf("%s=%q becomes %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
	_, err := tmpl.Instantiate(map[string]string{"A": "1", "I": "x"}, Options{})
	if errs, _ := err.(Errors); len(errs) != 3 {
		t.Errorf("a missing, a wrong and an unknown value give %v", err)
	}
}

func TestDefaultPaths(t *testing.T) {
	t.Parallel()
	tests := []struct{ dir, in, want, wantErr string }{
		{"/t/d", ".", "/t/d", ""},
		{"/t/d", "a/../b", "/t/d/b", ""},
		{"/t/d", "..name/name../...", "/t/d/..name/name../...", ""},
		{"/t/d", `a\..\..\b`, `/t/d/a\..\..\b`, ""},
		{"", "a/../b", "a/../b", ""},
		{`C:\t`, `a/..\b`, `C:\t\b`, ""},
		{`\\srv\share\t`, "a", `\\srv\share\t\a`, ""},
		{"/t/d", "", "", ""},
		{"/t/d", "..", "", "leaves the template's directory"},
		{"/t/d", "./../b", "", "leaves"},
		{"/t/d", "a/b/../../../c", "", "leaves"},
		{"", "../b", "", "leaves"},
		{"", `a\..\..\b`, "", "leaves"},
		{`C:\t`, `a/..\..\b`, "", "leaves"},
		{"/t/d", "/abs", "", "is an absolute path"},
		{"/t/d", `D:\abs`, "", "is an absolute path"},
		{`C:\t`, `\abs`, "", "is an absolute path"},
		{`C:\t`, `D:abs`, "", "is an absolute path"},
	}
	for _, tt := range tests {
		tmpl := jobTemplateOf(t, "{name: P, type: PATH, default: '"+tt.in+"'}")
		job, err := tmpl.Instantiate(nil, Options{TemplateDir: tt.dir})
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("%q in %q: got error %v, want %q", tt.in, tt.dir, err, tt.wantErr)
			}
			continue
		}
		if err != nil || job.Parameters[0].Value != tt.want {
			t.Errorf("%q in %q: got %v, want %q", tt.in, tt.dir, err, tt.want)
		}
	}
	tmpl := jobTemplateOf(t, "{name: P, type: PATH, default: a, maxLength: 3}")
	_, err := tmpl.Instantiate(nil, Options{TemplateDir: "/templates"})
	wantError(t, err, "more than the maximum 3")
}

func TestParameterValues(t *testing.T) {
	t.Parallel()
	got, err := ParameterValues([]byte(`{"S": "x", "I": 12, "F": 1.50, "B": true, "N": "007", "L": [1, "a", [true]]}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"S": "x", "I": "12", "F": "1.50", "B": "true", "N": "007", "L": `[1,"a",[true]]`}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = ParameterValues([]byte("A: {b: 1}\nB: null\n"))
	if errs, _ := err.(Errors); len(errs) != 2 || errs[0].Path != "A" {
		t.Errorf("an object and a null give %v", err)
	}
	_, err = ParameterValues([]byte("[1]"))
	wantError(t, err, "must be an object")
}
