package archive

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// settle makes all that lies below a folder durable, in one call for its whole
// file system rather than one for each of many thousand files.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
