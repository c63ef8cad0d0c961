package agent

import (
	"context"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/sensors"

	"drover.farm/internal/api"
)

// watchVitals looks now and then at how the machine fares, for people: the next
// sign of life tells it. It ends with ctx.
func (a *agent) watchVitals(ctx context.Context) {
	a.mu.Lock()
	nvidia := false
	for _, g := range a.machine.GPUs {
		nvidia = nvidia || strings.Contains(strings.ToLower(g.Name), "nvidia") || g.Driver != ""
	}
	a.mu.Unlock()
	for {
		v := vitals(ctx, a.dir.dir, nvidia)
		a.mu.Lock()
		a.vitals = v
		a.mu.Unlock()
		if !wait(ctx, a.set.VitalsEvery) {
			return
		}
	}
}

// vitals is how the machine fares now. What cannot be found out is left out.
func vitals(ctx context.Context, dir string, nvidia bool) *api.Vitals {
	v := &api.Vitals{}
	if p, err := cpu.PercentWithContext(ctx, 0, false); err == nil && len(p) == 1 {
		v.Load = math.Round(p[0])
	}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		v.Memory = int64(m.Total - m.Available)
	}
	if u, err := disk.UsageWithContext(ctx, dir); err == nil {
		v.DiskFree = int64(u.Free)
	}
	// An error beside readings means that some sensor could not be read.
	ts, _ := sensors.TemperaturesWithContext(ctx)
	for _, t := range ts {
		if processor(t.SensorKey) && sane(t.Temperature) {
			v.Temperature = max(v.Temperature, math.Round(t.Temperature))
		}
	}
	if nvidia {
		v.GPUTemperature = gpuTemperature(ctx)
	}
	return v
}

// processor reports whether a sensor is a processor's, by the names that Linux'
// drivers (coretemp, k10temp, zenpower, cpu_thermal, acpitz, …), Windows and macOS
// give them; those of disks, network cards and batteries are not.
func processor(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"coretemp", "k10temp", "k8temp", "zenpower", "cpu", "package", "soc", "acpitz", "tctl", "tdie", "thermal_zone"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// sane leaves out what broken sensors say.
func sane(celsius float64) bool { return celsius > 0 && celsius < 150 }

// gpuTemperature is that of the hottest graphics processor of NVIDIA, 0 when it
// cannot be told.
func gpuTemperature(ctx context.Context) float64 {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=temperature.gpu", "--format=csv,noheader,nounits")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	return hottest(string(out))
}

func hottest(text string) float64 {
	most := 0.0
	for _, line := range strings.Fields(text) {
		if t, err := strconv.ParseFloat(line, 64); err == nil && sane(t) {
			most = max(most, t)
		}
	}
	return most
}
