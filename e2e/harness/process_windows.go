package harness

import "os"

const exeSuffix = ".exe"

// terminate kills: Windows has no signal that asks.
func terminate(p *os.Process) error { return p.Kill() }
