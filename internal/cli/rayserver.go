package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/rayd"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/simulation"
)

// rayserverCmd lists the Rayserver among the commands. Its command line is not
// of kong's kind, so App.Main passes by it.
type rayserverCmd struct {
	Args []string `arg:"" optional:""`
}

func (c *rayserverCmd) Run(a *App) error {
	return errors.New("the rayserver is started by its own command line")
}

// calledRayserver reports whether the program was called by the name of the
// Rayserver.
func calledRayserver(program string) bool {
	return strings.TrimSuffix(filepath.Base(program), ".exe") == "rayserver"
}

// rayHandoff is what the process that read the command line leaves to the
// server.
type rayHandoff struct {
	Settings config.Rayserver
	Daemon   bool
	Program  string
	Host     string
}

// rayserver reads the command line, becomes the user and group asked for, and
// starts the server (manual, "Starting the Rayserver"). Problems go to the
// terminal and to the log.
func (a *App) rayserver(args []string) int {
	h, opts, err := a.rayPrepare(args)
	if err == nil && opts.Help {
		rayHelp(a.Out)
		return exitDone
	}
	code := exitUsage
	if err == nil {
		code, err = a.rayStart(h, opts)
	}
	if err == nil {
		return code
	}
	fmt.Fprintln(a.Err, cleanLines(err.Error()))
	if h.Settings.Home != "" {
		if d, openErr := rayd.OpenDiary(h.Settings.Home, h.Host, nil, time.Now); openErr == nil {
			d.Note(err.Error())
			d.Close()
		}
	}
	return code
}

// rayPrepare reads options and settings.
func (a *App) rayPrepare(args []string) (h rayHandoff, opts rayd.Options, err error) {
	set := config.DefaultRayserver()
	if h.Program, err = os.Executable(); err != nil {
		return h, opts, fmt.Errorf("find the program: %w", err)
	}
	called := h.Program
	if path, err := exec.LookPath(os.Args[0]); err == nil && calledRayserver(path) {
		if called, err = filepath.Abs(path); err != nil { // a link in the installation
			return h, opts, fmt.Errorf("find the program: %w", err)
		}
	}
	if h.Host, err = os.Hostname(); err != nil {
		return h, opts, fmt.Errorf("find the name of this host: %w", err)
	}
	h.Settings.Home = rayHome(called) // so that a bad command line is logged there
	flags, err := newRayFlags(set)
	if err != nil {
		return h, opts, err
	}
	if opts, err = rayd.ParseOptions(args, runtime.GOOS, flags.take); err != nil {
		if flags.given["home"] != nil {
			h.Settings.Home = *flags.given["home"]
		}
		return h, opts, err
	}
	if err := flags.load(a.Env, h.Settings.Home); err != nil {
		return h, opts, err
	}
	if err := rayDefaults(set, h.Settings.Home); err != nil {
		return h, opts, err
	}
	h.Settings, h.Daemon = *set, !opts.Foreground
	return h, opts, nil
}

// rayHome is the installation directory of a program in HOME/platform/SYSTEM/bin.
func rayHome(program string) string {
	return filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(program))))
}

// rayDefaults fills in what depends on the installation directory. A daemon
// changes its folder, so all paths begin at the root.
func rayDefaults(set *config.Rayserver, home string) error {
	for path, def := range map[*string]string{
		&set.Home: home, &set.Hosts: "hosts", &set.Keys: "keys",
		&set.TLSCert: "", &set.TLSKey: "", &set.Radiance: "", &set.FarmToken: "", &set.FarmCA: "",
	} {
		if *path == "" {
			*path = def
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = abs
	}
	for _, path := range []*string{&set.Hosts, &set.Keys} {
		if !filepath.IsAbs(*path) {
			*path = filepath.Join(set.Home, "config", *path)
		}
	}
	switch {
	case set.Insecure && len(set.Allow) == 0:
		return rayd.UsageError("--insecure needs --allow CIDR: without keys, everyone who is let in can run simulations.")
	case (set.TLSCert == "") != (set.TLSKey == ""):
		return rayd.UsageError("--tls-cert and --tls-key go together.")
	case set.Farm != "" && set.FarmToken == "":
		return rayd.UsageError("--farm needs --farm-token FILE, with the token of an account that may submit.")
	case set.FarmPieces < 1 || set.FarmAtOnce < 1:
		return rayd.UsageError("--farm-pieces and --farm-at-once are 1 or more.")
	case set.Port < 0 || set.Port > 65535:
		return rayd.UsageError(fmt.Sprintf("The port %d is not between 0 and 65535.", set.Port))
	}
	if _, _, err := radiance.ParseTiles(set.FarmTiles); err != nil {
		return rayd.UsageError("--farm-tiles: " + err.Error())
	}
	return nil
}

// rayStart becomes who it is to be and starts the server.
func (a *App) rayStart(h rayHandoff, opts rayd.Options) (int, error) {
	id, err := rayd.LookUp(opts)
	if err != nil {
		return exitUsage, err
	}
	if err := id.Assume(); err != nil {
		return exitFailed, err
	}
	opts.ApplyUmask()
	if _, err := rayd.OpenHosts(h.Settings.Hosts, h.Host); err != nil {
		//lint:ignore ST1005 the message is the manual's
		return exitFailed, fmt.Errorf("Rayserver refuses to run: %w", err)
	}
	for _, line := range id.Lines() {
		fmt.Fprintln(a.Out, line)
	}
	env, err := rayd.Server.Env(h)
	if err != nil {
		return exitFailed, err
	}
	if !h.Daemon {
		if err := rayd.Become(h.Program, rayd.Server, h.Settings.Home, env); err != nil {
			return exitFailed, err
		}
		return a.rayServe(h), nil
	}
	pid, release, err := rayd.Daemon(h.Program, rayd.Server, h.Settings.Home, env)
	if err != nil {
		return exitFailed, err
	}
	fmt.Fprintf(a.Out, "Rayserver %d switching to daemon mode.\n", pid)
	return exitDone, release()
}

// rayRole is the program in one of the roles of an installation's processes.
func (a *App) rayRole(role rayd.Role, body json.RawMessage) int {
	if role == rayd.Control {
		var spec simulation.Spec
		if json.Unmarshal(body, &spec) != nil {
			return exitUsage
		}
		if simulation.Control(context.Background(), spec, a.rayFarm(spec.Farm)) != nil {
			return exitFailed // the record says why
		}
		return exitDone
	}
	var h rayHandoff
	if role != rayd.Server || json.Unmarshal(body, &h) != nil {
		return exitUsage
	}
	if h.Daemon && rayd.AwaitRelease() != nil {
		return exitFailed
	}
	return a.rayServe(h)
}

// rayHelp prints how the Rayserver is used.
func rayHelp(w io.Writer) {
	fmt.Fprint(w, `Usage: rayserver [-f | -d] [-u user] [-g group] [-m mask] [--setting value ...]

Runs Radiance simulations for other machines (also: drover rayserver).

  -f        run in foreground mode
  -d        run in background daemon mode (default)
            (-f and -d are mutually exclusive)
  -u user   run and create all files as username/UID
  -g group  run and create all files as groupname/GID
  -m mask   set the umask to mask (default 002)
  --help    print this

Settings, which can also stand in HOME/config/rayserver.yaml (--config FILE names another) and, as
DROVER_RAYSERVER_SETTING, in the environment:

`)
	table, err := config.Table(config.DefaultRayserver())
	if err != nil {
		return
	}
	for _, s := range table {
		def := ""
		if s.Default != "" && s.Default != "0" && s.Default != "false" {
			def = " Default: " + s.Default + "."
		}
		fmt.Fprintf(w, "  --%-16s %s%s\n", s.Flag(), s.Help, def)
	}
}
