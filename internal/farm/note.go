package farm

import (
	"context"
	"slices"
	"strings"
)

// Note is a short text that a door keeps: what its protocol knows of a job, its
// settings, how far it has told another program. Notes are read from the store
// and are not held in memory.
type Note struct {
	Key  string // chosen by the door, which begins it with its own name: "flamenco/task/61"
	Job  int64  // the note goes when this job is removed; 0: it stays
	Text string
}

// NoteQuery selects notes by the beginning of their keys.
type NoteQuery struct {
	Prefix string
	After  string // only keys behind this one: the cursor of a page
	Limit  int    // 0: all
}

const (
	maxNoteKey  = 200
	maxNoteText = 256 << 10
)

func (n *Note) check() error {
	if n.Key == "" || len(n.Key) > maxNoteKey || len(n.Text) > maxNoteText || strings.ContainsRune(n.Key+n.Text, 0) {
		return Errorf(Invalid, "a note has a key of 1 to %d bytes and a text of at most %d, without NUL", maxNoteKey, maxNoteText)
	}
	return nil
}

// PutNotes writes notes and removes those with the keys in drop, together. A
// note replaces the one with its key. It fails with NotFound when the job of a
// note is not there.
func (f *Farm) PutNotes(ctx context.Context, put []Note, drop ...string) error {
	for i := range put {
		if err := put[i].check(); err != nil {
			return err
		}
	}
	return f.do(ctx, func(st *state) error {
		for _, n := range put {
			if n.Job == 0 {
				continue
			}
			if _, err := st.job(n.Job); err != nil {
				return err
			}
		}
		for _, n := range put {
			st.putNote(n)
		}
		for _, k := range drop {
			st.dropNote(k)
		}
		return nil
	})
}

// Note returns the note with the key. It fails with NotFound.
func (f *Farm) Note(ctx context.Context, key string) (*Note, error) {
	// Of the keys that begin with a key, it comes first itself.
	ns, err := f.Notes(ctx, NoteQuery{Prefix: key, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(ns) == 0 || ns[0].Key != key {
		return nil, Errorf(NotFound, "there is no note %s", quote(key))
	}
	return ns[0], nil
}

func (st *state) putNote(n Note) {
	r := &st.dirty.rest
	r.DropNotes = slices.DeleteFunc(r.DropNotes, func(k string) bool { return k == n.Key })
	r.Notes = append(slices.DeleteFunc(r.Notes, func(o *Note) bool { return o.Key == n.Key }), &n)
}

func (st *state) dropNote(key string) {
	r := &st.dirty.rest
	r.Notes = slices.DeleteFunc(r.Notes, func(o *Note) bool { return o.Key == key })
	r.DropNotes = append(r.DropNotes, key)
}
