package mem

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"drover.farm/internal/farm"
)

type ledgerKey struct {
	account string
	job     int64
}

func (s *Store) writeBuilds(b *farm.Batch) {
	for _, v := range b.Builds {
		c := *v
		s.builds[v.ID] = &c
		s.maxBuild = max(s.maxBuild, v.ID)
	}
	for _, id := range b.DropBuilds {
		delete(s.builds, id)
	}
	for _, k := range b.DropPacks {
		delete(s.packs, k)
	}
	for _, p := range b.Packs {
		c := *p
		s.packs[p.Key] = &c
	}
	for _, e := range b.Entries {
		c := *e
		s.ledger[ledgerKey{e.Account, e.Job}] = &c
	}
}

func (s *Store) loadBuilds(snap *farm.Snapshot) {
	snap.MaxBuild, snap.Balances = s.maxBuild, make(map[string]farm.Points)
	snap.Builds = s.buildList()
	for _, k := range slices.Sorted(maps.Keys(s.packs)) {
		c := *s.packs[k]
		snap.Packs = append(snap.Packs, &c)
	}
	for k, e := range s.ledger {
		snap.Balances[k.account] += e.Balance()
		if j := s.jobs[k.job]; k.job == 0 || j != nil && !j.State.Ended() {
			c := *e
			snap.Entries = append(snap.Entries, &c)
		}
	}
}

func (s *Store) buildList() (out []*farm.Build) {
	for _, id := range slices.Sorted(maps.Keys(s.builds)) {
		c := *s.builds[id]
		out = append(out, &c)
	}
	return out
}

// Builds lists the builds by id.
func (s *Store) Builds(context.Context) ([]*farm.Build, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.buildList(), nil
}

// Ledger lists entries of the ledger, the newest job first.
func (s *Store) Ledger(_ context.Context, q farm.LedgerQuery) ([]*farm.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*farm.Entry
	for k, e := range s.ledger {
		if q.After != nil && (k.job > q.After.Job || k.job == q.After.Job && k.account <= q.After.Account) {
			continue
		}
		if (q.Account == "" || q.Account == k.account) && (q.Job == 0 || q.Job == k.job) {
			c := *e
			out = append(out, &c)
		}
	}
	slices.SortFunc(out, func(a, b *farm.Entry) int {
		return cmp.Or(cmp.Compare(b.Job, a.Job), cmp.Compare(a.Account, b.Account))
	})
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, nil
}

// Notes lists notes by key.
func (s *Store) Notes(_ context.Context, q farm.NoteQuery) ([]*farm.Note, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*farm.Note
	from, _ := slices.BinarySearch(s.noteKeys, max(q.Prefix, q.After))
	for _, k := range s.noteKeys[from:] {
		if !strings.HasPrefix(k, q.Prefix) {
			break
		}
		if k <= q.After && q.After != "" {
			continue
		}
		n := s.notes[k]
		out = append(out, &n)
		if q.Limit > 0 && len(out) == q.Limit {
			break
		}
	}
	return out, nil
}
