//go:build unix

package disk

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeBytes is what the file system of path has left for an ordinary user.
func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	// The types of the fields differ between systems; Bavail can be negative
	// on some when the reserve for root is touched.
	blocks, size := int64(st.Bavail), int64(st.Bsize)
	if blocks <= 0 || size <= 0 {
		return 0, nil
	}
	if blocks > math.MaxInt64/size {
		return math.MaxInt64, nil
	}
	return blocks * size, nil
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	// Some network file systems cannot sync a directory and say so.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// rename moves a file over another; syncDir makes it durable.
func rename(from, to string) error { return os.Rename(from, to) }
