//go:build !linux

package sandbox

import "context"

// Run refuses every program.
func Run(context.Context, Spec) ([]byte, error) { return nil, ErrUnsupported }

// Inside does nothing: there is no sandbox.
func Inside() {}
