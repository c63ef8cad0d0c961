package sim

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// entry is something that will be done. What a worker meant to do is passed over
// when its life has changed meanwhile.
type entry struct {
	at   int64 // milliseconds since the start
	seq  uint64
	who  *rig
	life uint32
	solo bool // never while others' requests are gathered: it asks the farm twice
	do   func()
}

// agenda orders entries by time and, of one time, by the order of their coming,
// so that nothing is left to chance that the seed has not decided.
type agenda struct {
	entries []entry
	seq     uint64
}

func (a *agenda) add(e entry) {
	a.seq++
	e.seq = a.seq
	heap.Push(a, e)
}

func (a *agenda) next() entry { return heap.Pop(a).(entry) }

func (a *agenda) Len() int { return len(a.entries) }
func (a *agenda) Less(i, j int) bool {
	x, y := &a.entries[i], &a.entries[j]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}
func (a *agenda) Swap(i, j int) { a.entries[i], a.entries[j] = a.entries[j], a.entries[i] }
func (a *agenda) Push(v any)    { a.entries = append(a.entries, v.(entry)) }
func (a *agenda) Pop() any {
	last := len(a.entries) - 1
	e := a.entries[last]
	a.entries[last] = entry{}
	a.entries = a.entries[:last]
	return e
}

// dice is the chance of one actor.
type dice struct{ *rand.Rand }

func newDice(seed, actor uint64) dice { return dice{rand.New(rand.NewPCG(seed, actor))} }

// hit is true in n of 10,000 cases.
func (d dice) hit(n int) bool { return n > 0 && d.IntN(10_000) < n }

// between is a time from a to b, in whole milliseconds.
func (d dice) between(a, b time.Duration) time.Duration {
	return a + time.Duration(d.Int64N(int64((b-a)/time.Millisecond)+1))*time.Millisecond
}

// about is a time of half to one and a half of t.
func (d dice) about(t time.Duration) time.Duration { return d.between(t/2, t*3/2) }
