package farm

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Deed is a line of the audit list: who changed what of the farm's set-up,
// accounts or workers. Deeds are kept for good.
type Deed struct {
	Time time.Time `json:"time"`
	By   string    `json:"by"`
	Text string    `json:"text"`
}

// The audit list is notes whose keys run backwards, so that the newest comes
// first.
const auditPrefix = "audit/"

// audit writes a deed down, with what it was in the same batch.
func (st *state) audit(by Principal, format string, args ...any) {
	d := Deed{Time: st.now, By: by.Login, Text: clip(fmt.Sprintf(format, args...), 1000)}
	text, err := json.Marshal(d)
	if err != nil {
		return // strings and a time: cannot fail
	}
	// Event numbers go up in every batch that emits one, which all deeds do.
	st.deeds++
	st.putNote(Note{Key: fmt.Sprintf("%s%016x-%06x", auditPrefix, math.MaxInt64-st.lastEvent, 0xffffff-st.deeds&0xffffff), Text: string(text)})
}

// Audit lists deeds, newest first. next is the cursor of the page that follows,
// "" at the end. It takes the role operator.
func (f *Farm) Audit(ctx context.Context, by Principal, after string, limit int) (deeds []Deed, next string, err error) {
	if !by.Is(RoleOperator) {
		return nil, "", Errorf(Forbidden, "the audit list takes the role operator")
	}
	ns, err := f.Notes(ctx, NoteQuery{Prefix: auditPrefix, After: after, Limit: limit + 1})
	if err != nil {
		return nil, "", err
	}
	if len(ns) > limit {
		ns, next = ns[:limit], ns[limit-1].Key
	}
	for _, n := range ns {
		var d Deed
		if err := json.Unmarshal([]byte(n.Text), &d); err != nil {
			return nil, "", fmt.Errorf("read the audit list at %s: %w", n.Key, err)
		}
		deeds = append(deeds, d)
	}
	return deeds, next, nil
}
