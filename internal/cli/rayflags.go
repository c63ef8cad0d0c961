package cli

import (
	"fmt"
	"strings"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/rayd"
)

// rayFlags are the Rayserver's settings on its command line, which mixes them
// with the options of the manual.
type rayFlags struct {
	target *config.Rayserver
	table  []*config.Setting
	given  map[string]*string // by flag
}

func newRayFlags(target *config.Rayserver) (*rayFlags, error) {
	table, err := config.Table(target)
	return &rayFlags{target: target, table: table, given: map[string]*string{}}, err
}

// take reads --setting=value, --setting value or, of one that is true or false,
// --setting, and says how many arguments it took.
func (f *rayFlags) take(args []string) (int, error) {
	name, value, has := strings.Cut(args[0][2:], "=")
	s := f.find(name)
	if s == nil && name != "config" {
		return 0, rayd.UsageError(fmt.Sprintf("Unknown option %q.", args[0]))
	}
	used := 1
	switch {
	case has:
	case s != nil && s.Type == "true or false":
		value = "true"
	case len(args) < 2:
		return 0, rayd.UsageError(fmt.Sprintf("Missing value after %q.", args[0]))
	default:
		value, used = args[1], 2
	}
	if s != nil && strings.HasPrefix(s.Type, "list") && f.given[name] != nil {
		value = *f.given[name] + "," + value
	} else if f.given[name] != nil {
		return 0, rayd.UsageError(fmt.Sprintf("Duplicate %s argument.", name))
	}
	f.given[name] = &value
	return used, nil
}

func (f *rayFlags) find(name string) *config.Setting {
	for _, s := range f.table {
		if s.Flag() == name {
			return s
		}
	}
	return nil
}

// load gives the settings the values of the file, of the environment and of the
// command line. home is where the file is by default.
func (f *rayFlags) load(env func(string) (string, bool), home string) error {
	if dir := f.given["home"]; dir != nil {
		home = *dir
	} else if dir, _ := env(rayEnv(f.find("home"))); dir != "" {
		home = dir
	}
	named := ""
	if file := f.given["config"]; file != nil {
		named = *file
	}
	file, err := fileOr(named, home, "config/rayserver.yaml")
	if err != nil {
		return err
	}
	if err := config.Load(f.target, file, func(string) (string, bool) { return "", false }, nil); err != nil {
		return err
	}
	for _, s := range f.table {
		if text, _ := env(rayEnv(s)); text != "" {
			if err := s.Set(text); err != nil {
				return fmt.Errorf("environment variable %s: %w", rayEnv(s), err)
			}
		}
		if text := f.given[s.Flag()]; text != nil {
			if err := s.Set(*text); err != nil {
				return fmt.Errorf("--%s: %w", s.Flag(), err)
			}
		}
	}
	return nil
}

func rayEnv(s *config.Setting) string {
	return "DROVER_RAYSERVER_" + strings.TrimPrefix(s.Env(), "DROVER_")
}
