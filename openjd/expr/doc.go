// Package expr reads and evaluates expressions of the Open Job Description
// expression language (2026-02, the extension EXPR): a typed subset of Python's
// expressions over job and task parameters.
//
// [Parse] reads an expression, [Expr.Eval] evaluates it with the symbols of an
// [Env]. A symbol of which only the type is known ([Unknown]) makes what depends on
// it unknown, too: so the same evaluation checks types before values are there.
// There are no side effects, no files, no clock, and both operations and memory are
// bounded.
package expr
