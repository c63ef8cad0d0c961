package api_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

// TestVerdictsAreWhatJSONMakesOfThem holds the hand-written documents to the
// types' tags, with every field set and none.
func TestVerdictsAreWhatJSONMakesOfThem(t *testing.T) {
	t.Parallel()
	full := &api.Lease{ID: 1<<40 + 3, Job: 1000, Step: 2, StepName: "Render \"a\" <b>", Index: 17, Attempt: 3,
		Parameters: []api.TaskParameter{{Name: "Frame", Type: "INT", Value: "17"}, {Name: "é", Type: "PATH", Value: "/a\\b"}},
		Chunks:     []api.ChunkSize{{From: 1, Size: 2}}, Deadline: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Period: 0.25, Build: "4.2"}
	whole(t, *full)
	verdict := &api.Verdict{Accepted: true, Reason: "because", Next: full}
	whole(t, *verdict)
	for _, v := range []*api.Verdict{verdict, {}, {Next: &api.Lease{}}, {Next: &api.Lease{Parameters: []api.TaskParameter{}, Period: 1e-9}}} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.AppendJSON(nil)
		if d := cmp.Diff(string(want), string(got)); d != "" || err != nil {
			t.Errorf("%v: -want +got\n%s", err, d)
		}
	}
}

// whole fails when a field of v is not set: the test would not see it.
func whole(t *testing.T, v any) {
	t.Helper()
	rv := reflect.ValueOf(v)
	for i := range rv.NumField() {
		if rv.Field(i).IsZero() {
			t.Fatalf("the test does not set %s", rv.Type().Field(i).Name)
		}
	}
}
