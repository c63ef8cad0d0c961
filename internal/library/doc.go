// Package library is the farm's library of renderers: it recognises what a file
// is (which program, version, system and architecture), keeps it by content and
// publishes it as a build that workers fetch.
//
// A file is judged by what it holds, never by running it, unless an operator
// allows that. The package knows no wire; the doors hand it files. States of a
// build are the farm's; docs/design/library.md has the diagram.
package library

import "fmt"

// Unknown says why a file is no build that the library can take, and what would
// make it one. Its text is for whoever sent the file.
type Unknown struct{ Why string }

// Error is the reason.
func (u *Unknown) Error() string { return u.Why }

func unknown(format string, args ...any) error { return &Unknown{fmt.Sprintf(format, args...)} }

// Any is the operating system or architecture of a build that runs on all, such
// as a script.
const Any = "any"

// Found is what a file was recognised as.
type Found struct {
	Product  string
	Version  string
	Revision string // hash of the source it was built from, "" when not told
	OS       string // linux, windows, macos, Any
	Arch     string // x86_64, arm64, Any
	Root     string // folder of the archive that holds it all, "" for none
	Program  string // path of the program below Root
}

// Description is what an operator says of a file. Empty fields are found out.
type Description struct {
	Product  string `json:"product"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	OS       string `json:"os,omitempty"`
	Arch     string `json:"arch,omitempty"`
	Program  string `json:"program,omitempty"` // path in the archive
}
