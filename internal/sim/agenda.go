package sim

import (
	"math/rand/v2"
	"time"
)

// entry is something that an actor will do. It is passed over when the actor's
// life has changed meanwhile: a vanished worker does nothing.
type entry struct {
	at   int64 // milliseconds since the start
	seq  uint64
	who  *worker
	life uint32
	solo bool // never together with others in a group
	do   func()
}

// agenda orders entries by time, and equal times by the order of their coming,
// so that there is never a choice that the seed has not made.
type agenda struct {
	heap []entry
	seq  uint64
}

func (a *agenda) len() int { return len(a.heap) }

func (a *agenda) less(i, j int) bool {
	x, y := &a.heap[i], &a.heap[j]
	return x.at < y.at || x.at == y.at && x.seq < y.seq
}

func (a *agenda) push(e entry) {
	a.seq++
	e.seq = a.seq
	a.heap = append(a.heap, e)
	for i := len(a.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.less(i, up) {
			break
		}
		a.heap[i], a.heap[up] = a.heap[up], a.heap[i]
		i = up
	}
}

func (a *agenda) pop() entry {
	top, last := a.heap[0], len(a.heap)-1
	a.heap[0] = a.heap[last]
	a.heap[last] = entry{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && a.less(down+1, down) {
			down++
		}
		if !a.less(down, i) {
			break
		}
		a.heap[i], a.heap[down] = a.heap[down], a.heap[i]
		i = down
	}
	return top
}

// dice is the chance of one actor.
type dice struct{ rand.Rand }

// newDice makes the dice of an actor: equal seeds and actors throw alike.
func newDice(seed, actor uint64) *dice {
	return &dice{*rand.New(rand.NewPCG(seed, actor*0x9e3779b97f4a7c15+1))}
}

// hit is true in n of 10,000 cases.
func (d *dice) hit(n int) bool { return n > 0 && d.IntN(10_000) < n }

// between is a time from a to b.
func (d *dice) between(a, b time.Duration) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(d.Int64N(int64(b-a)))
}

// about is a time of half to one and a half of t.
func (d *dice) about(t time.Duration) time.Duration { return d.between(t/2, t*3/2) }
