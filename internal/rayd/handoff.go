package rayd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The processes of an installation show in a list of processes as Rayfront's did
// (manual, "Starting the Rayserver"): "rfcore -O HOME/server/start.pyo" is the
// server, "... procwrap.pyo" the process that controls a simulation. The
// program starts itself anew under these names; what it is to do comes by the
// environment.
const (
	processName = "rfcore"
	serverFile  = "start.pyo"
	wrapFile    = "procwrap.pyo"
	handoffEnv  = "DROVER_RAYSERVER_HANDOFF"
)

// Role is what a process started under a name of Rayfront's is.
type Role string

// The roles.
const (
	Server  Role = "server"
	Control Role = "control" // of a simulation
)

// Argv is the command line of a process of the installation in home.
func (r Role) Argv(home string) []string {
	file := serverFile
	if r == Control {
		file = wrapFile
	}
	return []string{processName, "-O", filepath.Join(home, "server", file)}
}

// Env is what a process of the role needs in its environment to take v over.
func (r Role) Env(v any) (string, error) {
	data, err := json.Marshal(struct {
		Role Role `json:"role"`
		Body any  `json:"body"`
	}{r, v})
	if err != nil {
		return "", fmt.Errorf("hand over: %w", err)
	}
	return handoffEnv + "=" + string(data), nil
}

// Taken reports whether args are those of a process that this program started in
// a role, and takes what was handed over out of the environment. A process that
// merely has the name is not one.
func Taken(args []string) (role Role, body json.RawMessage, ok bool) {
	text := os.Getenv(handoffEnv)
	if len(args) != 3 || args[0] != processName || args[1] != "-O" || text == "" {
		return "", nil, false
	}
	os.Unsetenv(handoffEnv)
	var h struct {
		Role Role            `json:"role"`
		Body json.RawMessage `json:"body"`
	}
	if json.Unmarshal([]byte(text), &h) != nil || h.Role != Server && h.Role != Control {
		return "", nil, false
	}
	return h.Role, h.Body, true
}
