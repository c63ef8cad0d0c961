package openjd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drover.farm/openjd/expr"
)

// scope is which symbols a format string may name (section 7.3.1).
type scope struct {
	params map[string]ParamType
	// host tells a string that is resolved on the host, in a session.
	host bool
	// task holds the task parameters where these are known.
	task map[string]ParamType
	// files are the embedded files, under filePrefix.
	files      map[string]bool
	filePrefix string

	// What the extension EXPR adds: lets are the names that let binds, with what is
	// known of their values, jobName and stepName tell where these names are known,
	// and binding tells a let of a step, in which a PATH has a type but no value.
	lets              map[string]expr.Value
	jobName, stepName bool
	binding           bool
}

func paramScope(defs []ParameterDefinition) scope {
	s := scope{params: make(map[string]ParamType, len(defs))}
	for _, d := range defs {
		s.params[d.Name] = d.Type
	}
	return s
}

// onHost is the scope of a script with the given embedded files.
func (s scope) onHost(prefix string, files []EmbeddedFile) scope {
	s.host, s.filePrefix, s.files = true, prefix, make(map[string]bool, len(files))
	for _, f := range files {
		s.files[f.Name] = true
	}
	return s
}

// refuse tells why name cannot be used in the scope; rule is empty when it can.
func (s scope) refuse(name string) (rule, hint string) {
	switch {
	case strings.HasPrefix(name, PrefixParam):
		t, ok := s.params[name[len(PrefixParam):]]
		if !ok {
			return s.unknownParam(name)
		}
		if (t == TypePath || t == TypeListPath) && !s.host && !s.binding {
			return name + " is a PATH, whose value is known only on the host", "use " + PrefixRawParam + name[len(PrefixParam):]
		}
		return "", ""
	case strings.HasPrefix(name, PrefixRawParam):
		if _, ok := s.params[name[len(PrefixRawParam):]]; !ok {
			return s.unknownParam(name)
		}
		return "", ""
	case strings.HasPrefix(name, PrefixTaskParam), strings.HasPrefix(name, PrefixTaskRawParam):
		return s.refuseTask(name)
	case strings.HasPrefix(name, PrefixTaskFile), strings.HasPrefix(name, PrefixEnvFile):
		return s.refuseFile(name)
	case name == SymbolWorkingDirectory, name == SymbolHasPathMappingRules, name == SymbolPathMappingRulesFile:
		if !s.host {
			return name + " is known only on the host", "use job parameters here"
		}
		return "", ""
	case name == SymbolJobName && s.jobName, name == SymbolStepName && s.stepName:
		return "", ""
	case name == SymbolJobName, name == SymbolStepName:
		return name + " is not known here", "it belongs to the extension EXPR, and is known after the job, or within the step, that it names"
	}
	if _, ok := s.lets[name]; ok {
		return "", ""
	}
	return fmt.Sprintf("no symbol %s exists", clip(name)), "use Param, RawParam, Task, Env or Session and a name"
}

func (s scope) unknownParam(name string) (rule, hint string) {
	return clip(name) + " names no job parameter of this template", oneOf("add it to parameterDefinitions", s.params)
}

func (s scope) refuseTask(name string) (rule, hint string) {
	if s.task == nil {
		return clip(name) + " is known only in a step's script", "use job parameters here"
	}
	if s.task[name[strings.LastIndexByte(name, '.')+1:]] == "" || strings.Count(name, ".") != 2 {
		return clip(name) + " names no task parameter of this step", oneOf("add it to taskParameterDefinitions", s.task)
	}
	return "", ""
}

func (s scope) refuseFile(name string) (rule, hint string) {
	file, ok := strings.CutPrefix(name, s.filePrefix)
	if s.filePrefix == "" || !ok {
		return clip(name) + " is not known here", "Task.File is for a step's script and Env.File for an environment's"
	}
	if !s.files[file] {
		return clip(name) + " names no embedded file of this script", oneOf("add it to embeddedFiles", s.files)
	}
	return "", ""
}

// oneOf lists names in a hint, unless there are too many to be of help.
func oneOf[T any](otherwise string, names map[string]T) string {
	if len(names) == 0 || len(names) > 50 {
		return otherwise
	}
	return otherwise + ", or use one of " + clip(strings.Join(slices.Sorted(maps.Keys(names)), ", "))
}

// format reads a format string and checks that the scope has its symbols.
func (c *checker) format(n *node, at *place, s scope) (FormatString, bool) {
	text, ok := c.text(n, at)
	if !ok {
		return FormatString{}, false
	}
	if c.expr {
		return c.exprFormat(n, at, text, s, false)
	}
	f, err := ParseFormatString(text)
	if err != nil {
		hint := "write {{Param.Name}} or another dotted name"
		if strings.ContainsAny(text, "+-*/()[]") {
			hint += "; expressions need the extension EXPR: add it to extensions"
		}
		c.fail(n, at, err.Error(), hint)
		return FormatString{}, false
	}
	told := map[string]bool{}
	for _, p := range f.parts {
		if p.name == "" || told[p.name] {
			continue
		}
		told[p.name] = true
		if rule, hint := s.refuse(p.name); rule != "" {
			c.fail(n, at, rule, hint)
			ok = false
		}
	}
	return f, ok
}

// formatItem is format for an item of a list, which may stand for several.
func (c *checker) formatItem(n *node, at *place, s scope) (FormatString, bool) {
	if text, ok := c.text(n, at); c.expr && ok {
		return c.exprFormat(n, at, text, s, true)
	} else if !ok {
		return FormatString{}, false
	}
	return c.format(n, at, s)
}

// literal reports whether f has no references, so that its text can be checked
// before values are known.
func (f FormatString) literal() bool { return len(f.parts) == 0 }
