// Package rayd is the process side of the rayserver daemon: its command line,
// the user and group it runs as, daemon mode, its log, its port, its signals
// and its hosts file, with the messages of the Rayfront 1.0 manual ("Remote
// Simulations with Rayserver"). What is said on the port and what simulations
// are it does not know: its owner passes that in as a function.
package rayd
