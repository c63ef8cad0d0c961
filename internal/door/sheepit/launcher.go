package sheepit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"drover.farm/internal/archive"
)

// launcher is Drover's own program for Windows, which starts Blender silently
// when it is called rend.exe.
type launcher struct {
	path string
	sum  string // tells one from another
}

// findLauncher looks at the program that the setting launcher names, or at this
// one on Windows; nil when there is none.
func findLauncher(path string) (*launcher, error) {
	if path == "" {
		if runtime.GOOS != "windows" || runtime.GOARCH != "amd64" {
			return nil, nil
		}
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, head := sha256.New(), make([]byte, 2)
	if _, err := io.ReadFull(f, head); err != nil || !bytes.Equal(head, []byte("MZ")) { // PE format, "MS-DOS Stub"
		return nil, errors.New("it is no program for Windows; give the drover.exe of a release")
	}
	h.Write(head)
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return &launcher{path, hex.EncodeToString(h.Sum(nil)[:6])}, nil
}

// write adds the program to an archive.
func (l *launcher) write(z *archive.ZipWriter) error {
	f, err := os.Open(l.path)
	if err != nil {
		return fmt.Errorf("open the launcher for Windows: %w", err)
	}
	defer f.Close()
	w, err := z.File(rendProgram, false, true)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
