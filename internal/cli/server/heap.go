package server

import "runtime/debug"

// heapFloor is memory that is asked for and never touched, so that the system
// never gives it. The collector counts it, so it runs once in so many bytes of
// garbage instead of once in the few MB that a farm's state takes, which would
// cost a tenth of the processor under load.
var heapFloor []byte

const heapFloorSize = 32 << 20

// raiseHeap is called before anything large is made, for memory that was used
// before would have to be cleared.
func raiseHeap() { heapFloor = make([]byte, heapFloorSize) }

// settleHeap gives back to the system what only the start needed.
func settleHeap() { debug.FreeOSMemory() }
