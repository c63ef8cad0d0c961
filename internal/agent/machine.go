package agent

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"

	"drover.farm/internal/api"
)

// probeTime bounds each program that is asked about the machine.
const probeTime = 10 * time.Second

// anyProduct in Machine.Fetches: builds of all renderers are fetched.
const anyProduct = "any"

// describe finds out what this machine is. What cannot be found out is left out.
func describe(ctx context.Context, c *Config) api.Machine {
	m := api.Machine{
		OS: osFamily(runtime.GOOS), Arch: cpuArch(runtime.GOARCH), Cores: runtime.NumCPU(),
		Version: c.Version, Amounts: c.Amounts, Attributes: c.Attributes, Fetches: []string{anyProduct},
	}
	var err error
	if m.Hostname, err = os.Hostname(); err != nil || m.Hostname == "" {
		m.Hostname = "localhost"
	}
	if infos, err := cpu.InfoWithContext(ctx); err == nil && len(infos) > 0 {
		m.CPU = strings.Join(strings.Fields(infos[0].ModelName), " ")
	}
	if v, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		m.Memory = int64(v.Total)
	}
	if u, err := disk.UsageWithContext(ctx, c.Data); err == nil {
		m.Disk = int64(u.Free)
	}
	m.GPUs = findGPUs(ctx, "/sys/class/drm")
	if c.Detect != nil {
		m.Renderers = c.Detect(ctx)
	}
	return m
}

// osFamily is the value of attr.worker.os.family (OpenJD, section 3.3.2).
func osFamily(goos string) string {
	if goos == "darwin" {
		return "macos"
	}
	return goos
}

// cpuArch is the value of attr.worker.cpu.arch (OpenJD, section 3.3.2).
func cpuArch(goarch string) string {
	if goarch == "amd64" {
		return "x86_64"
	}
	return goarch
}

// findGPUs asks NVIDIA's tool, and takes cards of other makers from sysfs.
func findGPUs(ctx context.Context, drm string) []api.GPU {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	var gpus []api.GPU
	if err == nil {
		gpus = parseNvidia(string(out))
	}
	return append(gpus, readDRM(drm, len(gpus) > 0)...)
}

// Bounds of what is believed of a machine; memory in MiB.
const (
	maxGPUs      = 64
	maxGPUMemory = 1 << 30
)

// parseNvidia reads the lines of nvidia-smi --query-gpu=name,memory.total,
// driver_version --format=csv,noheader,nounits; memory is in MiB. Lines that are
// something else, such as error messages, are passed over.
func parseNvidia(out string) []api.GPU {
	var gpus []api.GPU
	for line := range strings.Lines(out) {
		r := csv.NewReader(strings.NewReader(line))
		r.TrimLeadingSpace, r.LazyQuotes = true, true
		f, err := r.Read()
		if err != nil || len(f) != 3 || strings.TrimSpace(f[0]) == "" || len(gpus) == maxGPUs {
			continue
		}
		// "[N/A]" where the driver does not say, as on machines of one memory.
		mib, err := strconv.ParseInt(strings.TrimSpace(f[1]), 10, 64)
		if err != nil && !strings.HasPrefix(f[1], "[") {
			continue
		}
		gpus = append(gpus, api.GPU{Name: strings.TrimSpace(f[0]), Memory: min(max(mib, 0), maxGPUMemory) << 20, Driver: strings.TrimSpace(f[2])})
	}
	return gpus
}

// pciVendors are the makers of cards that can render.
var pciVendors = map[string]string{"0x1002": "AMD", "0x8086": "Intel", "0x10de": "NVIDIA"}

// readDRM reads the cards of Linux's direct rendering manager: a folder cardN
// each, with links to the PCI device. Cards of NVIDIA are passed over when its
// tool has told of them.
func readDRM(dir string, nvidiaKnown bool) []api.GPU {
	cards, _ := filepath.Glob(filepath.Join(dir, "card[0-9]*"))
	slices.SortFunc(cards, func(a, b string) int { return cardNumber(a) - cardNumber(b) })
	var gpus []api.GPU
	for _, card := range cards {
		vendor := sysValue(card, "device", "vendor")
		maker, known := pciVendors[vendor]
		if cardNumber(card) < 0 || !known || len(gpus) == maxGPUs || maker == "NVIDIA" && nvidiaKnown {
			continue
		}
		g := api.GPU{Name: sysValue(card, "device", "product_name")}
		if g.Name == "" {
			g.Name = fmt.Sprintf("%s GPU %s", maker, strings.TrimPrefix(sysValue(card, "device", "device"), "0x"))
		}
		if bytes, err := strconv.ParseInt(sysValue(card, "device", "mem_info_vram_total"), 10, 64); err == nil && bytes > 0 {
			g.Memory = bytes // amdgpu alone has this file
		}
		if link, err := os.Readlink(filepath.Join(card, "device", "driver")); err == nil {
			g.Driver = filepath.Base(link)
		}
		gpus = append(gpus, g)
	}
	return gpus
}

// cardNumber is N of a folder cardN, -1 for others, such as connectors.
func cardNumber(path string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "card"))
	if err != nil {
		return -1
	}
	return n
}

// sysValue reads a file of sysfs, which are short; "" when there is none.
func sysValue(parts ...string) string {
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil || len(b) > 4096 {
		return ""
	}
	return strings.TrimSpace(string(b))
}
