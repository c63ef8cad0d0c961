package agent

import "testing"

func TestProcessorSensors(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"coretemp_package_id_0": true, "k10temp_tctl": true, "cpu_thermal": true, "acpitz": true, "Package id 0": true,
		"nvme_composite": false, "iwlwifi_1": false, "BAT0": false, "amdgpu_edge": false,
	} {
		if got := processor(key); got != want {
			t.Errorf("%s: %v", key, got)
		}
	}
}

func TestHottest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"61\n74\n": 74, "[N/A]\n": 0, "": 0, "9999\n40\n": 40} {
		if got := hottest(text); got != want {
			t.Errorf("%q: %g, not %g", text, got, want)
		}
	}
}

// TestVitals looks at this very machine.
func TestVitals(t *testing.T) {
	t.Parallel()
	v := vitals(t.Context(), t.TempDir(), false)
	if v.Memory <= 0 || v.DiskFree <= 0 || v.Load < 0 || v.Load > 100 || v.Temperature < 0 || v.Temperature > 150 {
		t.Errorf("%+v", v)
	}
}
