package openjd

import (
	"slices"
	"time"
)

// Job is an instantiated template. Submission-time format strings are resolved;
// those of the host scope (commands, arguments, embedded data, values of
// environment variables) wait for a session's symbols.
type Job struct {
	Name        string
	Description string
	// Extensions that the job template named, in its order.
	Extensions []string
	// Parameters of the job template and of the environment templates, merged,
	// each with its value; environment templates' come first.
	Parameters []JobParameter
	// Environments are entered in this order: those of environment templates,
	// then the job's own.
	Environments []*Environment
	// Steps in the template's order, which need not be an order to run them in;
	// see StepOrder.
	Steps []*Step
}

// JobParameter is a job parameter with its bound value.
type JobParameter struct {
	Name string
	Type ParamType
	// Value is the text that RawParam.<Name> resolves to.
	Value string
	// ObjectType is FILE or DIRECTORY, DataFlow NONE, IN, OUT or INOUT, with the
	// specification's defaults filled in; both are empty unless Type is PATH.
	ObjectType, DataFlow string
}

// Paths are the paths of a PATH or LIST[PATH] parameter that lie on a machine: URIs
// are left out; nil for other types.
func (p JobParameter) Paths() []string {
	paths := []string{p.Value}
	switch p.Type {
	case TypePath:
	case TypeListPath:
		paths, _ = listItems(p.Type, p.Value)
	default:
		return nil
	}
	return slices.DeleteFunc(paths, isURI)
}

// Step is one step of a job.
type Step struct {
	Name, Description string
	// DependsOn names the steps that must have succeeded before this one starts.
	DependsOn []string
	// Environments are entered after those of the job.
	Environments []*Environment
	// Host is nil when the template states no requirement.
	Host *HostRequirements
	// Space is nil when the step has a single task without parameters; the
	// methods of a nil Space say so.
	Space  *Space
	Script *Script

	// Let is what the extension EXPR binds here; see Bind.
	Let Bindings
}

// HostRequirements is what a host must offer to run a step's tasks.
type HostRequirements struct {
	Amounts    []AmountRequirement
	Attributes []AttributeRequirement
}

// AmountRequirement asks for a quantity that is reserved for the session.
type AmountRequirement struct {
	// Name in lower case, with the vendor prefix if it has one.
	Name string
	// Min defaults to what the specification says of the capability (1 for
	// amount.worker.vcpu, else 0).
	Min float64
	// Max counts only when HasMax.
	Max    float64
	HasMax bool
}

// AttributeRequirement asks for values of a host's attribute. Values compare
// without regard to case.
type AttributeRequirement struct {
	// Name in lower case, with the vendor prefix if it has one.
	Name string
	// AnyOf: the host has at least one of these, unless empty.
	AnyOf []string
	// AllOf: the host has all of these.
	AllOf []string
}

// Environment is entered at the start of a session and left at its end.
//
// Its format strings see the Param and RawParam symbols of the whole job, the
// Session symbols, and Env.File.<name> of its own embedded files. An environment
// template may refer only to parameters that it defines itself; their merged
// values are among the job's, so Job.Symbols serves every environment.
type Environment struct {
	Name, Description string
	// Variables in the template's order.
	Variables []Variable
	// Script is nil for an environment of variables alone.
	Script *EnvironmentScript

	// Let is what the extension EXPR binds here; see Bind.
	Let Bindings
}

// Variable is an environment variable that an environment sets.
type Variable struct {
	Name  string
	Value FormatString
}

// EnvironmentScript is what an environment runs.
type EnvironmentScript struct {
	// OnEnter and OnExit are nil when the template does not define them.
	OnEnter, OnExit *Action
	// EmbeddedFiles are written before either action.
	EmbeddedFiles []EmbeddedFile
}

// Script is what a step's task runs.
type Script struct {
	OnRun *Action
	// EmbeddedFiles are written before each run.
	EmbeddedFiles []EmbeddedFile
}

// Action is a command to run on the host.
type Action struct {
	Command FormatString
	Args    []FormatString
	// Timeout is 0 when there is none; an onExit action without one in the
	// template has the specification's 5 minutes.
	Timeout time.Duration
	// Cancelation is never empty: TERMINATE is the default.
	Cancelation Cancelation
}

// CancelMode is how a running action is canceled (section 5.3).
type CancelMode string

// The cancelation modes.
const (
	CancelTerminate           CancelMode = "TERMINATE"
	CancelNotifyThenTerminate CancelMode = "NOTIFY_THEN_TERMINATE"
)

// Cancelation says how to cancel an action.
type Cancelation struct {
	Mode CancelMode
	// NotifyPeriod is the time between the notification and the end, for
	// NOTIFY_THEN_TERMINATE: what the template says, or the default of the
	// action (120 s for onRun, 30 s for the others).
	NotifyPeriod time.Duration
}

// EndOfLine is how the lines of an embedded file end on disk.
type EndOfLine string

// The line ends of embedded files (extension FEATURE_BUNDLE_1).
const (
	// EndOfLineAsIs writes the data as it stands: no endOfLine was given.
	EndOfLineAsIs EndOfLine = ""
	// EndOfLineAuto is that of the host's operating system.
	EndOfLineAuto EndOfLine = "AUTO"
	EndOfLineLF   EndOfLine = "LF"
	EndOfLineCRLF EndOfLine = "CRLF"
)

// EmbeddedFile is a text file written to the session's directory before an action.
type EmbeddedFile struct {
	// Name is the last part of its symbol, Task.File.<Name> or Env.File.<Name>.
	Name string
	// Filename on disk, a plain base name; empty lets the session choose one.
	Filename string
	// Runnable asks for permission to execute.
	Runnable  bool
	EndOfLine EndOfLine
	Data      FormatString
}
