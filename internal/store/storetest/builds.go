package storetest

import (
	"testing"
	"time"

	"drover.farm/internal/farm"
)

func testBuilds(t *testing.T, open Factory) {
	b := setup(t, open)
	build := func(id int64) *farm.Build {
		return &farm.Build{ID: id, Product: "blender", Version: "4.2.1", Revision: "396f546c9d82", OS: "linux", Arch: "x86_64", SHA256: hash(20), MD5: "m",
			Size: 5, Origin: "blender-4.2.1-linux-x64.tar.xz", State: farm.BuildAside, Reason: "r\n", Layout: farm.Layout{Root: "blender-4.2.1", Program: "blender"}, Added: epochTime, By: "ann"}
	}
	pack := &farm.Pack{Key: "sheepit/job/1000", Job: 1000, SHA256: hash(21), MD5: "m", Size: 9, Parts: []string{"a", "b"}, Piece: 5, Made: epochTime}
	other := &farm.Pack{Key: "sheepit/build/1", Build: 1, SHA256: hash(22)}
	b.commit(&farm.Batch{Builds: []*farm.Build{build(1), build(4)}, Packs: []*farm.Pack{pack, other}})
	changed := build(1)
	changed.State, changed.Reason = farm.BuildRetired, ""
	b.commit(&farm.Batch{Builds: []*farm.Build{changed}, DropBuilds: []int64{4}, DropPacks: []string{other.Key}})
	b.reopen()
	s := b.load()
	b.same("builds", s.Builds, []*farm.Build{changed})
	b.same("packs", s.Packs, []*farm.Pack{pack})
	b.same("listed builds", must[[]*farm.Build](t)(b.s.Builds(t.Context())), []*farm.Build{changed})
	if s.MaxBuild != 4 {
		t.Errorf("the highest build id is %d, want 4 although that build is gone", s.MaxBuild)
	}
	got := map[string]bool{}
	if err := b.s.References(t.Context(), func(h string) error { got[h] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	b.same("references", got, map[string]bool{hash(20): true, hash(21): true})
}

func testLedger(t *testing.T, open Factory) {
	b := setup(t, open)
	live, over := sample(1000), sample(1001)
	over.State = farm.JobDone
	at := epochTime.Add(time.Hour)
	grant := &farm.Entry{Account: "ann", Granted: 5000, Updated: at}
	earned := &farm.Entry{Account: "ann", Job: 1000, Earned: 700, Frames: 2, Updated: at}
	old := &farm.Entry{Account: "ann", Job: 1001, Earned: 40, Spent: 50, Updated: at}
	bob := &farm.Entry{Account: "bob", Job: 1000, Spent: 600, Updated: at}
	b.commit(&farm.Batch{NewJobs: []*farm.Job{live, over}, Entries: []*farm.Entry{grant, earned, old, bob}})
	paid := &farm.Entry{Account: "bob", Job: 1000, Spent: 700, Frames: 1, Updated: at.Add(1)}
	b.commit(&farm.Batch{Entries: []*farm.Entry{paid}})
	b.reopen()
	s := b.load()
	byKey := map[string]*farm.Entry{}
	for _, e := range s.Entries {
		byKey[e.Account+string(rune('0'+e.Job%10))+string(rune('0'+e.Job/1000))] = e
	}
	b.same("loaded entries", byKey, map[string]*farm.Entry{"ann00": grant, "ann01": earned, "bob01": paid})
	b.same("balances", s.Balances, map[string]farm.Points{"ann": 5690, "bob": -700})
	all := []*farm.Entry{old, earned, paid, grant}
	ledger := func(q farm.LedgerQuery) []*farm.Entry { return must[[]*farm.Entry](t)(b.s.Ledger(t.Context(), q)) }
	b.same("the ledger", ledger(farm.LedgerQuery{}), all)
	b.same("of an account", ledger(farm.LedgerQuery{Account: "ann"}), []*farm.Entry{old, earned, grant})
	b.same("of a job", ledger(farm.LedgerQuery{Job: 1000}), []*farm.Entry{earned, paid})
	b.same("of both", ledger(farm.LedgerQuery{Account: "ann", Job: 1000}), []*farm.Entry{earned})
	for n := range all {
		if n > 0 {
			after := &farm.LedgerPlace{Job: all[n-1].Job, Account: all[n-1].Account}
			b.same("a page", ledger(farm.LedgerQuery{After: after, Limit: 2}), all[n:min(n+2, len(all))])
		}
	}
	b.same("a page of an account", ledger(farm.LedgerQuery{Account: "ann", After: &farm.LedgerPlace{Job: 1000, Account: "ann"}}), []*farm.Entry{grant})
}
