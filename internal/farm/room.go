package farm

import (
	"container/list"
	"slices"
)

// room is where claims wait for work: in lines, one for each class of workers
// that the queue cannot tell apart, and once more in a line of those of the class
// whose workers have the same job's session open or hold the same files.
type room struct {
	all     list.List           // *claim, in order of arrival
	lines   map[spot]*list.List // *claim
	classes map[thing][]uint64  // that have such a line, in order of their coming
	version uint64              // of the queue, when all lines were last asked
	parted  uint64              // of the queue, when all were last put in line
}

// thing is what a worker may have of a job: its session, or its files; the zero
// thing is what every worker has.
type thing struct {
	job   int64
	scene uint64
}

// spot names a line.
type spot struct {
	thing
	class uint64
}

// stand is where a claim stands while it waits.
type stand struct {
	place *list.Element // in room.all; nil: it does not wait
	class uint64        // of its line; 0: its worker takes nothing just now
	in    []footing
	asked uint64 // version of the queue at which there was nothing for it
	// served while it is being asked: what ranks first for it is offered to those
	// who are nearer to that, who may cede in their turn.
	served bool
}

// footing is a place in a line.
type footing struct {
	spot
	at *list.Element
}

func newRoom() room {
	return room{lines: make(map[spot]*list.List), classes: make(map[thing][]uint64)}
}

// enter lets a claim wait, in no line yet.
func (r *room) enter(c *claim) {
	c.place = r.all.PushBack(c)
	c.worker.claims = append(c.worker.claims, c)
}

// leave ends a claim's wait, if it does wait.
func (r *room) leave(c *claim) {
	if c.place == nil {
		return
	}
	r.unline(c)
	r.all.Remove(c.place)
	c.place = nil
	c.worker.claims = slices.DeleteFunc(c.worker.claims, func(o *claim) bool { return o == c })
}

// line puts a waiting claim at the end of the lines of its class, out of any
// other; class 0 has none. A claim that stays in its class keeps its place.
func (r *room) line(c *claim, class uint64) {
	if class == c.class {
		return
	}
	r.unline(c)
	if c.class = class; class == 0 {
		return
	}
	r.join(c, thing{})
	if c.req.Warm != 0 {
		r.join(c, thing{job: c.req.Warm})
	}
	for _, s := range c.worker.scenes {
		r.join(c, thing{scene: s})
	}
}

func (r *room) join(c *claim, t thing) {
	s := spot{t, c.class}
	l := r.lines[s]
	if l == nil {
		l = list.New()
		r.lines[s] = l
		r.classes[t] = append(r.classes[t], c.class)
	}
	c.in = append(c.in, footing{s, l.PushBack(c)})
}

// unline takes a claim out of all lines.
func (r *room) unline(c *claim) {
	for _, f := range c.in {
		l := r.lines[f.spot]
		l.Remove(f.at)
		if l.Len() > 0 {
			continue
		}
		delete(r.lines, f.spot)
		if rest := slices.DeleteFunc(r.classes[f.thing], func(o uint64) bool { return o == f.class }); len(rest) > 0 {
			r.classes[f.thing] = rest
		} else {
			delete(r.classes, f.thing)
		}
	}
	c.in, c.class = c.in[:0], 0
}

// unasked is the first claim in a line that was not asked at this version, nor is
// being asked; nil when there is none. Of those whom could, when it is not nil,
// refuses, it passes over some.
func (r *room) unasked(t thing, class, version uint64, could func(*claim) bool) *claim {
	l := r.lines[spot{t, class}]
	if l == nil {
		return nil
	}
	refused := 0
	for e := l.Front(); e != nil && refused < maxNear; e = e.Next() {
		c := e.Value.(*claim)
		switch {
		case c.asked == version || c.served:
		case could == nil || could(c):
			return c
		default:
			refused++
		}
	}
	return nil
}

// first are the first claims of a class that wait, at most so many.
func (r *room) first(class uint64, most int) (cs []*claim) {
	l := r.lines[spot{class: class}]
	if l == nil {
		return nil
	}
	for e := l.Front(); e != nil && len(cs) < most; e = e.Next() {
		cs = append(cs, e.Value.(*claim))
	}
	return cs
}

// waiting goes through the claims that wait, in order of arrival. The one at
// hand may be taken out meanwhile.
func (r *room) waiting(yield func(*claim) bool) {
	for e := r.all.Front(); e != nil; {
		next := e.Next()
		if !yield(e.Value.(*claim)) {
			return
		}
		e = next
	}
}
