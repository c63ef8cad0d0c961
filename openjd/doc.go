// Package openjd reads, checks and instantiates Open Job Description templates,
// revision 2023-09 (https://github.com/OpenJobDescription/openjd-specifications).
//
// [ParseJobTemplate] and [ParseEnvironmentTemplate] accept YAML 1.2 or JSON and
// report everything that is wrong with a document at once, as [Errors].
// [JobTemplate.Instantiate] binds parameter values and returns a [Job], in which
// all that the specification resolves at submission is resolved and all that it
// resolves on the host is kept as [FormatString].
//
// A step's tasks are never listed: [Space] computes the task of an index.
//
// With the extension EXPR, format strings hold expressions of drover.farm/openjd/expr,
// which are checked by the types of what they refer to when the template is read.
//
// The package does no I/O and runs nothing; running a job's actions on a machine
// is the work of drover.farm/openjd/session. All values are safe for concurrent
// use once returned, as long as nobody writes to their fields.
package openjd
