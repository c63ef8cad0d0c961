package farm_test

import (
	"testing"
	"testing/synctest"

	"drover.farm/internal/farm"
)

// TestSwitches keeps what operators switch across a restart, and shows it without
// asking the dispatcher.
func TestSwitches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		if v := b.f.Value(farm.ValuePublic); v != "" {
			t.Errorf("a new farm is %q to the public", v)
		}
		if err := b.f.SetPublic(t.Context(), ann, true); farm.CodeOf(err) != farm.Forbidden {
			t.Errorf("a submitter opened the farm: %v", err)
		}
		before := b.f.LastEvent()
		b.check(b.f.SetPublic(t.Context(), admin, true))
		b.check(b.f.SetMaintenance(t.Context(), admin, true))
		if got := b.f.LastEvent(); got != before+2 {
			t.Errorf("the last event is %d, after %d and two more", got, before)
		}
		b.restart()
		if p, m := b.f.Value(farm.ValuePublic), b.f.Value(farm.ValueMaintenance); p != "on" || m != "on" {
			t.Errorf("after a restart: public %q, maintenance %q", p, m)
		}
		if got := b.f.LastEvent(); got != before+2 {
			t.Errorf("after a restart the last event is %d", got)
		}
		b.check(b.f.SetPublic(t.Context(), admin, false))
		if v := b.f.Value(farm.ValuePublic); v != "off" {
			t.Errorf("a farm that was closed again is %q", v)
		}
	})
}
