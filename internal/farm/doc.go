// Package farm is the domain of Drover: jobs, steps, tasks, attempts, leases,
// workers and users, the state machines that hold them together, and the verbs
// by which doors act on them.
//
// One Farm owns all state of a render farm. Verbs are methods of Farm; they may
// be called from any goroutine. Each verb that changes something is applied by
// one dispatcher goroutine, together with whatever else arrived meanwhile,
// written to the Store in one durable transaction and only then answered:
// after a nil error nothing of it is lost, whatever happens to the process.
//
// The package knows no wire protocol, no SQL and no file system. What it needs
// of them it names as ports: Store, Blobs and Prover.
package farm
