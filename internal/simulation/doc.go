// Package simulation runs Radiance simulations in Rayfront's projects: who waits
// for whom, the process that controls each, its record, its files, and what is
// left of it after a kill. Clients' wires and the daemon's process are above it.
package simulation
