package openjd

import "slices"

// Symbols maps the full name of a value reference, such as Param.Frames or
// Task.File.Run, to its text.
type Symbols map[string]string

// The names of the symbols that a session defines, and the prefixes of those that
// carry a parameter's or an embedded file's name (section 7.3.1).
const (
	SymbolWorkingDirectory     = "Session.WorkingDirectory"
	SymbolHasPathMappingRules  = "Session.HasPathMappingRules"
	SymbolPathMappingRulesFile = "Session.PathMappingRulesFile"

	// Those of the extension EXPR.
	SymbolJobName  = "Job.Name"
	SymbolStepName = "Step.Name"

	PrefixParam        = "Param."
	PrefixRawParam     = "RawParam."
	PrefixTaskParam    = "Task.Param."
	PrefixTaskRawParam = "Task.RawParam."
	PrefixTaskFile     = "Task.File."
	PrefixEnvFile      = "Env.File."
)

// Symbols returns a new map with Param and RawParam of every job parameter, as
// format strings of the host scope see them: PATH values of Param go through the
// rules.
func (j *Job) Symbols(rules []PathRule) Symbols {
	s := make(Symbols, 2*len(j.Parameters)+8)
	if j.usesExpr() {
		s[SymbolJobName] = j.Name
		if doc, err := FormatPathRules(rules); err == nil && len(rules) > 0 {
			s[symbolRules] = string(doc)
		}
	}
	for _, p := range j.Parameters {
		s.set(PrefixParam, PrefixRawParam, p.Name, p.Type, p.Value, rules)
	}
	return s
}

// AddTo adds Task.Param and Task.RawParam of every task parameter to s; PATH
// values of Task.Param go through the rules.
func (t TaskParameters) AddTo(s Symbols, rules []PathRule) {
	for _, p := range t {
		s.set(PrefixTaskParam, PrefixTaskRawParam, p.Name, p.Type, p.Value, rules)
	}
}

func (s Symbols) set(prefix, raw, name string, t ParamType, value string, rules []PathRule) {
	s[raw+name] = value
	switch t {
	case TypePath:
		value, _ = ApplyPathRules(rules, value)
	case TypeListPath:
		value = mapList(value, func(p string) string { p, _ = ApplyPathRules(rules, p); return p })
	}
	s[prefix+name] = value
}

// usesExpr reports whether a template of the job has the extension EXPR.
func (j *Job) usesExpr() bool {
	return slices.ContainsFunc(j.Environments, func(e *Environment) bool { return e.Let.used }) ||
		slices.ContainsFunc(j.Steps, func(s *Step) bool { return s.Let.used })
}
