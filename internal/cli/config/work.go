package config

import "drover.farm/internal/agent"

// Work is the settings of `drover work`.
type Work struct {
	Name       string         `yaml:"name" help:"Name of the worker as people see it. By default the machine's."`
	Slots      int            `yaml:"slots" help:"How many tasks run at once."`
	Owners     []string       `yaml:"owners" help:"Take only jobs of these accounts."`
	Jobs       []int64        `yaml:"jobs" help:"Take only these jobs."`
	Hours      string         `yaml:"hours" help:"Take tasks only at this time of day, such as 18:00-08:00, by the farm's clock."`
	LeaveFree  int            `yaml:"leave_free" help:"How many cores are left to the machine's owner."`
	Amounts    []string       `yaml:"amounts" help:"Further OpenJD amounts that this machine offers, as NAME=NUMBER."`
	Attributes []string       `yaml:"attributes" help:"Further OpenJD attributes that this machine has, as NAME=VALUE; the same name may come several times."`
	Swarm      Swarm          `yaml:"swarm"`
	Log        Log            `yaml:"log"`
	Worker     agent.Settings `yaml:"worker"`
}

// DefaultWork returns the settings of a worker that says nothing else.
func DefaultWork() *Work {
	return &Work{Slots: 1, Swarm: defaultSwarm(), Log: Log{Level: "info", Format: "auto"}, Worker: agent.Defaults()}
}
