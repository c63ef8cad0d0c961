package store_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/farm"
	"drover.farm/internal/store"
)

// TestAttemptsAreWhatJSONMakesOfThem holds the hand-written column to the type's
// tags, with every field set, none set, and text that must be escaped.
func TestAttemptsAreWhatJSONMakesOfThem(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	full := farm.Attempt{Lease: 1<<40 + 3, Worker: 7, Name: "render-1", Door: "native", Started: at, Ended: at.Add(time.Second), Outcome: farm.OutcomeFailed,
		Cause: farm.CauseJob, Error: "no \"camera\"\nin <scene> & that's \u2028 all \x00 \xff é", Exit: -11, Log: "abcd", Memory: 1 << 33, Seconds: 0.1, Build: "blender 3.4",
		Outputs: []farm.File{{Name: "a<b>.png", SHA256: "ef", Size: 9, Width: 3}}}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("the test does not set %s", v.Type().Field(i).Name)
		}
	}
	tiny, large := farm.Attempt{Started: at, Seconds: 1e-9}, farm.Attempt{Started: at.In(time.FixedZone("", 7200)), Seconds: 1e21}
	for _, as := range [][]farm.Attempt{{full}, {{}}, {full, {}, tiny, large}} {
		want, err := json.Marshal(as)
		if err != nil {
			t.Fatal(err)
		}
		got, err := store.Attempts(as)
		if d := cmp.Diff(string(want), got); d != "" || err != nil {
			t.Errorf("%v: -want +got\n%s", err, d)
		}
	}
	if got, err := store.Attempts(nil); got != "" || err != nil {
		t.Errorf("no attempts are %q, %v", got, err)
	}
}
