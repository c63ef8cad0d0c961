package server

import (
	"runtime"
	"runtime/debug"
)

// heapFloorSize is memory that is asked for and never touched, so that the
// system never gives it. The collector counts it, so it runs once in so many
// bytes of garbage instead of once in the few MB that a farm's state takes,
// which would cost a tenth of the processor under load.
const heapFloorSize = 32 << 20

// heapFloor returns a function that lets the memory go. It is called before
// anything large is made, for memory that was used before would be cleared.
func heapFloor() (release func()) {
	floor := make([]byte, heapFloorSize)
	return func() { runtime.KeepAlive(floor) }
}

// settle gives back to the system what only the start needed: garbage, and the
// pages of the program that ran or were read once.
func settle() {
	runtime.GC()         // empties pools, in two runs
	debug.FreeOSMemory() // is the second
	trimProgram()
}
