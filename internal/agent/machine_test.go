package agent

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

func TestParseNvidia(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		out  string
		want []api.GPU
	}{
		"nothing": {"", nil},
		"two": {"NVIDIA GeForce RTX 4090, 24564, 550.90.07\nTesla T4, 15360, 550.90.07\n", []api.GPU{
			{Name: "NVIDIA GeForce RTX 4090", Memory: 24564 << 20, Driver: "550.90.07"}, {Name: "Tesla T4", Memory: 15360 << 20, Driver: "550.90.07"},
		}},
		"shared memory":  {"NVIDIA GB10, [N/A], 580.95.05\n", []api.GPU{{Name: "NVIDIA GB10", Driver: "580.95.05"}}},
		"no driver":      {"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", nil},
		"windows lines":  {"Quadro, 8192, 1\r\n", []api.GPU{{Name: "Quadro", Memory: 8 << 30, Driver: "1"}}},
		"odd memory":     {"Quadro, lots, 1\n", nil},
		"negative":       {"Quadro, -5, 1\n", []api.GPU{{Name: "Quadro", Driver: "1"}}},
		"a warning too":  {"WARNING: infoROM is corrupted at gpu 0000:01:00.0\nQuadro, 8192, 1\n", []api.GPU{{Name: "Quadro", Memory: 8 << 30, Driver: "1"}}},
		"without a name": {" , 1, 1\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, parseNvidia(c.out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseNvidia(f *testing.F) {
	f.Add("NVIDIA GeForce RTX 4090, 24564, 550.90.07\n")
	f.Add("\"quoted, name\", 1, 2\n[N/A], [N/A], [N/A]\n")
	f.Fuzz(func(t *testing.T, out string) {
		gpus := parseNvidia(out)
		if len(gpus) > maxGPUs {
			t.Errorf("%d GPUs", len(gpus))
		}
		for _, g := range gpus {
			if g.Name == "" || g.Memory < 0 || g.Memory > maxGPUMemory<<20 {
				t.Errorf("%+v", g)
			}
		}
	})
}

func TestReadDRM(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("card0/device/vendor", "0x1a03") // a server's own little display chip
	write("card1/device/vendor", "0x1002")
	write("card1/device/device", "0x744c")
	write("card1/device/mem_info_vram_total", "25753026560")
	write("card1/device/product_name", "Radeon RX 7900 XTX")
	write("card2/device/vendor", "0x10de")
	write("card2/device/device", "0x2684")
	write("card10/device/vendor", "0x8086")
	write("card10/device/device", "0x56a0")
	write("card1-DP-1/device/vendor", "0x1002") // a connector
	write("version", "drm 1.1.0 20060810")
	if err := os.Symlink("../../bus/pci/drivers/amdgpu", filepath.Join(dir, "card1/device/driver")); err != nil {
		t.Fatal(err)
	}
	amd := api.GPU{Name: "Radeon RX 7900 XTX", Memory: 25753026560, Driver: "amdgpu"}
	intel := api.GPU{Name: "Intel GPU 56a0"}
	if diff := cmp.Diff([]api.GPU{amd, intel}, readDRM(dir, true)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]api.GPU{amd, {Name: "NVIDIA GPU 2684"}, intel}, readDRM(dir, false)); diff != "" {
		t.Error(diff)
	}
	if got := readDRM(filepath.Join(dir, "none"), false); got != nil {
		t.Errorf("no folder: %v", got)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	blender := []api.Renderer{{Product: "blender", Version: "3.4.1", Path: "/usr/bin/blender"}}
	m := describe(t.Context(), &Config{
		Data: t.TempDir(), Version: "1.2", Amounts: map[string]float64{"amount.licence": 2},
		Detect: func(context.Context) []api.Renderer { return blender },
	})
	if m.Hostname == "" || m.Cores < 1 || m.Memory < 64<<20 || m.Disk <= 0 || m.Version != "1.2" || m.Amounts["amount.licence"] != 2 {
		t.Errorf("%+v", m)
	}
	if diff := cmp.Diff(blender, m.Renderers); diff != "" {
		t.Error(diff)
	}
	known := map[string]bool{"linux": true, "windows": true, "macos": true}
	if !known[m.OS] || m.Arch != "x86_64" && m.Arch != "arm64" {
		t.Errorf("%s on %s (%s/%s)", m.OS, m.Arch, runtime.GOOS, runtime.GOARCH)
	}
	for goos, want := range map[string]string{"linux": "linux", "darwin": "macos", "windows": "windows"} {
		if got := osFamily(goos); got != want {
			t.Errorf("%s is %s", goos, got)
		}
	}
}
