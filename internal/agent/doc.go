// Package agent is Drover's native worker: it registers with a farm, claims
// tasks, runs them in OpenJD sessions on this machine and sends the outputs
// back. It knows the farm only through its ports Farm and Files, and no renderer:
// those are programs that the jobs' templates run.
package agent
