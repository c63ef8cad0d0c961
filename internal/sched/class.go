package sched

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
)

// asks are the names of the amounts and attributes that steps of a queue ask
// for. A name stays until the next new one comes, though nothing asks for it any
// more, so that jobs of one kind which come and go do not part the workers anew
// each time.
type asks struct {
	count map[string]int
	names []string // sorted
	epoch uint64   // how often names changed
	seed  maphash.Seed
}

func newAsks() asks { return asks{count: make(map[string]int), seed: maphash.MakeSeed()} }

func (a *asks) add(n *Needs) {
	added := false
	for name := range n.names {
		a.count[name]++
		added = added || !slices.Contains(a.names, name)
	}
	if !added {
		return
	}
	a.epoch++
	a.names = a.names[:0]
	for name, c := range a.count {
		if c == 0 {
			delete(a.count, name)
		} else {
			a.names = append(a.names, name)
		}
	}
	slices.Sort(a.names)
}

func (a *asks) remove(n *Needs) {
	for name := range n.names {
		a.count[name]--
	}
}

// names goes through the names of what n asks for.
func (n *Needs) names(yield func(string) bool) {
	if n == nil {
		return
	}
	for _, a := range n.Amounts {
		if !yield(a.Name) {
			return
		}
	}
	for _, a := range n.Attributes {
		if !yield(a.Name) {
			return
		}
	}
}

// Class is equal for workers that steps of the queue tell apart by nothing but
// ID, Warm and Scenes: what no step asks for does not count. It holds until
// Parted changes. It is never 0.
func (q *Queue) Class(w *Worker) uint64 {
	var h maphash.Hash
	h.SetSeed(q.asks.seed)
	var b [8]byte
	number := func(v uint64) {
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	text := func(list []string) {
		number(uint64(len(list)))
		for _, s := range list {
			h.WriteString(s)
			h.WriteByte(0)
		}
	}
	number(q.asks.epoch)
	h.WriteString(w.Door)
	text(w.Tags)
	text(w.Owners)
	number(uint64(len(w.Jobs)))
	for _, j := range w.Jobs {
		number(uint64(j))
	}
	number(uint64(w.Slots))
	for _, name := range q.asks.names {
		have, known := w.Amounts[name]
		if known {
			number(math.Float64bits(have))
			number(math.Float64bits(w.Used[name]))
		}
		text(w.Attributes[name])
	}
	return max(h.Sum64(), 1)
}

// Parted changes whenever steps begin to ask for something that none has asked
// for before, so that each worker's Class has to be worked out anew.
func (q *Queue) Parted() uint64 { return q.asks.epoch }

// Barren reports whether nothing was found for workers of the class since the
// queue last changed in a way that could help them.
func (q *Queue) Barren(class uint64) bool {
	_, vain := q.barren[class]
	return vain
}
