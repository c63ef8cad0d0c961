package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Swarm is the settings of the door for builds of V-Ray, on a farm and on a
// worker.
type Swarm struct {
	Listen           string         `yaml:"listen" help:"Opens the door for builds of V-Ray, as a peer of V-Ray Swarm has it: HOST:PORT, HOST, or PORT for this machine alone; 1113 by convention."`
	Allow            []netip.Prefix `yaml:"allow" help:"Networks that may use the door beside this machine, such as 10.0.0.0/8."`
	Port             int            `yaml:"port" help:"Port of the door where listen names none (webPort of swarm.yaml)."`
	Token            string         `yaml:"token" help:"Uploads must carry this token, in the header Authorization: Bearer TOKEN or X-Drover-Token. By default none is asked for."`
	ImportDir        string         `yaml:"import_dir" help:"Folder out of which builds are imported (vrayImportDir of swarm.yaml), also a shared one that is read-only. By default VRay/import in the data folder."`
	Period           time.Duration  `yaml:"period" help:"How often the import folder is looked at (uploadsQueuePeriod of swarm.yaml)."`
	Tries            int            `yaml:"tries" help:"How often a file in the import folder is tried before it is set aside."`
	Pause            time.Duration  `yaml:"pause" help:"Pause after the first failed try; it doubles."`
	AllowExecutables bool           `yaml:"allow_executables" help:"Whether installers are taken: they are run in a sandbox to unpack them."`
	RunVersion       bool           `yaml:"run_version" help:"Whether a build whose version nothing tells is run in a sandbox to say it."`
	InstallerTime    time.Duration  `yaml:"installer_time" help:"How long an installer may take to unpack."`
	MaxUpload        Size           `yaml:"max_upload" help:"How many bytes an upload may have."`
	MaxUnpacked      Size           `yaml:"max_unpacked" help:"How many bytes a build may have unpacked."`
	MaxEntries       int            `yaml:"max_entries" help:"How many files and folders a build may have."`
	MaxRatio         int64          `yaml:"max_ratio" help:"How many times its packed size a build may have unpacked."`
	AtOnce           int            `yaml:"at_once" help:"How many uploads are taken at once; more are told to come again."`
	PerMinute        int            `yaml:"per_minute" help:"How many uploads are taken in a minute."`
	Idle             time.Duration  `yaml:"idle" help:"How long a client may send nothing in the middle of an upload."`
}

func defaultSwarm() Swarm {
	return Swarm{
		Port: 1113, Period: 10 * time.Second, Tries: 5, Pause: 30 * time.Second, InstallerTime: 10 * time.Minute,
		MaxUpload: 20 << 30, MaxUnpacked: 40 << 30, MaxEntries: 200_000, MaxRatio: 200, AtOnce: 16, PerMinute: 60, Idle: time.Minute,
	}
}

// Address is where the door listens, with a port; "" when it is closed.
func (s *Swarm) Address() string {
	if s.Listen == "" {
		return ""
	}
	if _, err := strconv.Atoi(s.Listen); err == nil {
		return s.Listen
	}
	if _, port, err := net.SplitHostPort(s.Listen); err == nil && port != "" {
		return s.Listen
	}
	return net.JoinHostPort(strings.Trim(strings.TrimSuffix(s.Listen, ":"), "[]"), strconv.Itoa(s.Port))
}

// swarmYAML is the file of V-Ray Swarm's own settings. What Drover has no use for
// is read all the same, so that a file that is not Swarm's is noticed.
type swarmYAML struct {
	McastPort          any    `yaml:"mcastPort"`
	WebPort            int    `yaml:"webPort"`
	PeersPort          any    `yaml:"peersPort"`
	GRPCPort           any    `yaml:"grpcPort"`
	VRayPort           any    `yaml:"vrayPort"`
	VRayImportDir      string `yaml:"vrayImportDir"`
	UploadsQueuePeriod any    `yaml:"uploadsQueuePeriod"`
}

// ReadSwarmYAML takes the settings of V-Ray Swarm over that lie in swarm.yaml in
// the data folder, if there is one. It opens no door.
func (s *Swarm) ReadSwarmYAML(data string) error {
	path := filepath.Join(data, "swarm.yaml")
	text, err := readFile(path)
	if err != nil || text == nil {
		return err
	}
	var y swarmYAML
	if err := yaml.Unmarshal(text, &y); err != nil {
		return fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if y.WebPort != 0 {
		if y.WebPort < 0 || y.WebPort > 65535 {
			return fmt.Errorf("%s: webPort is %d; a port is at most 65535", path, y.WebPort)
		}
		s.Port = y.WebPort
	}
	if y.VRayImportDir != "" {
		s.ImportDir = os.ExpandEnv(y.VRayImportDir)
	}
	if y.UploadsQueuePeriod != nil {
		if s.Period, err = period(fmt.Sprint(y.UploadsQueuePeriod)); err != nil {
			return fmt.Errorf("%s: uploadsQueuePeriod %w", path, err)
		}
	}
	return nil
}

// period reads seconds or a duration.
func period(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	d, err := time.ParseDuration(text)
	if n, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d <= 0 || d > 24*time.Hour {
		return 0, fmt.Errorf("is %q; it is a number of seconds, or a duration such as 10s", text)
	}
	return d, nil
}
