// Package archive reads archives that nobody vouches for, and writes the ZIP
// files that render clients ask for. Unpacking stays within its folder and its
// limits whatever the archive says, and leaves either everything or nothing.
//
// It knows tar (plain, gzip, bzip2, xz, zstd) and zip, told apart by content.
package archive

import (
	"errors"
	"fmt"
)

// Limits bound what an archive may hold. Zero fields mean the defaults.
type Limits struct {
	Entries int   // files, folders and links together
	Bytes   int64 // of all files together, unpacked
	Ratio   int64 // unpacked bytes for each packed byte, once 64 MiB were unpacked
	Path    int   // bytes of a path
	Depth   int   // folders of a path
}

const ratioFrom = 64 << 20

func (l Limits) withDefaults() Limits {
	pick := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	pick(&l.Entries, 200_000)
	pick(&l.Path, 1024)
	pick(&l.Depth, 64)
	if l.Bytes <= 0 {
		l.Bytes = 16 << 30
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	return l
}

// Refusal says why an archive was not unpacked, and which entry is at fault.
type Refusal struct {
	Entry string // "" when it is the archive as a whole
	Why   string
}

// Error names the entry and the reason.
func (r *Refusal) Error() string {
	if r.Entry == "" {
		return "the archive is refused: " + r.Why
	}
	return fmt.Sprintf("the archive is refused: entry %q %s", clip(r.Entry), r.Why)
}

func refuse(entry, format string, args ...any) error {
	return &Refusal{Entry: entry, Why: fmt.Sprintf(format, args...)}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// ErrPassword means that a zip is encrypted and the password does not open it.
var ErrPassword = errors.New("the password does not open the archive")
