package renderer

import "strings"

// PartsDir is the folder of a job's outputs with what its steps hand on to one
// another: tiles, pieces, octrees. It is no result.
const PartsDir = ".parts"

// HandedOn reports whether an output is for the job's next steps only.
func HandedOn(name string) bool { return strings.HasPrefix(name, PartsDir+"/") }
