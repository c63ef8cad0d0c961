//go:build unix

package rayserver

import (
	"fmt"
	"os"
)

// private refuses a file that others than its owner may read or write.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("the file has mode %04o, so others can read it; chmod 600 it, and change its keys", mode)
	}
	return nil
}
