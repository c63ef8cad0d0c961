package sheepit

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"

	"drover.farm/internal/farm"
)

// Capabilities that a session has beyond those of OpenJD.
const (
	amountDownload = "amount.sheepit.download" // bytes a second
	attrPlain      = "attr.sheepit.plain"      // opens no encrypted archives
	attrMacPaths   = "attr.sheepit.macpaths"   // looks for Blender where it is on macOS
	attrHeadless   = "attr.sheepit.headless"
)

// systems are the names of operating systems: SheepIt's, Rust's, and the farm's.
var systems = map[string]string{"windows": "windows", "linux": "linux", "mac": "macos", "macos": "macos", "freebsd": "freebsd"}

// archOf is the architecture by what clients say of it. Apple's processors are
// only told by their name.
func archOf(p params) string {
	switch bits := strings.ToLower(p.text("bits", 20)); {
	case strings.HasPrefix(p.text("cpu_model_name", 200), "Apple"), bits == "arm64", bits == "aarch64":
		return "arm64"
	case bits == "64bit", bits == "x86_64", bits == "amd64":
		return "x86_64"
	case bits == "32bit", bits == "386", bits == "i386", bits == "i686", bits == "x86":
		return "x86"
	default:
		return "unknown"
	}
}

// machineOf is the machine that a login tells of.
func (d *Door) machineOf(p params, agent string) farm.Machine {
	m := farm.Machine{
		Hostname: p.text("hostname", 200), OS: systems[strings.ToLower(p.text("os", 20))], Arch: archOf(p),
		CPU: p.text("cpu_model_name", 200), Cores: int(min(p.integer("cpu_cores"), 4096)), Memory: memoryOf(p.integer("ram")),
		Version: p.text("version", 50), Fetches: []string{product}, Amounts: map[string]float64{}, Attributes: map[string][]string{},
	}
	if m.OS == "" {
		m.OS = "unknown"
	}
	if m.Hostname == "" {
		m.Hostname = p.text("login", 100)
	}
	for _, name := range []string{"hwid", "os_version", "ui", "cpu_family", "cpu_model", "extras"} {
		if v := p.text(name, 200); v != "" {
			m.Attributes["attr.sheepit."+name] = []string{v}
		}
	}
	if h := p.text("headless", 10); h == "1" || h == "true" {
		m.Attributes[attrHeadless] = []string{"true"}
	}
	if strings.HasPrefix(agent, "Go-http-client") {
		m.Attributes[attrPlain], m.Attributes[attrMacPaths] = []string{"true"}, []string{"true"}
	}
	if m.OS == "macos" {
		m.Attributes[attrMacPaths] = []string{"true"}
		if m.Arch == "arm64" && d.Rosetta {
			m.Emulates = []string{"x86_64"}
		}
	}
	return m
}

// memoryOf is the memory in bytes. The early document says bytes and the later
// one kilobytes; clients send KiB, but for one that sends bytes. No machine of
// today has a tebibyte in KiB.
func memoryOf(n int64) int64 {
	if n > 1<<30 {
		return n
	}
	return n << 10
}

// machineKey is what a machine is known by: never more than what its client says
// of it at each login.
func machineKey(p params) string {
	h := sha256.New()
	for _, name := range []string{"hwid", "hostname", "os", "cpu_model_name", "cpu_cores"} {
		h.Write([]byte(p.Get(name)))
		h.Write([]byte{0})
	}
	return Name + " " + hex.EncodeToString(h.Sum(nil)[:12])
}

// fits reports whether a build runs on the machine.
func fits(b *farm.Build, m *farm.Machine) bool {
	return b.Product == product && b.State != farm.BuildAside && b.Runs(m)
}

func has(m *farm.Machine, attr string) bool { return len(m.Attributes[attr]) > 0 }

// update is the machine as a request for work tells of it.
func update(old *farm.Machine, p params) farm.Machine {
	m := *old
	m.Amounts, m.Attributes = maps.Clone(old.Amounts), maps.Clone(old.Attributes)
	if m.Amounts == nil {
		m.Amounts = map[string]float64{}
	}
	if m.Attributes == nil {
		m.Attributes = map[string][]string{}
	}
	set := func(name string, v float64) {
		if delete(m.Amounts, name); v > 0 {
			m.Amounts[name] = v
		}
	}
	set("amount.worker.vcpu", float64(min(p.integer("cpu_cores"), 4096)))
	set("amount.worker.memory", float64(p.kib("ram_max")>>20))
	if speed := p.real("network_dl"); speed > 0 {
		m.Amounts[amountDownload] = speed
	}
	m.GPUs = nil
	if t := p.text("gpu_type", 50); t != "" && p.Get("computemethod") != methodCPU {
		m.GPUs = []farm.GPU{{Name: p.text("gpu_model", 200), Memory: p.integer("gpu_ram"), Driver: t}}
	}
	return m
}
