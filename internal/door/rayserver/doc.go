// Package rayserver is the wire of the Rayserver, server and client: the line
// protocol rayserver/1 (docs/doors/rayserver.md), its keys and its limits. What
// a simulation is, is below it.
package rayserver
