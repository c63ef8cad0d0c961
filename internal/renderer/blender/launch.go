package blender

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// CalledRend reports whether a program was called by the name under which
// SheepIt clients start Blender.
func CalledRend(program string) bool {
	return strings.EqualFold(filepath.Base(strings.ReplaceAll(program, `\`, "/")), "rend.exe")
}

// emptied are variables that SheepIt clients empty or point at themselves.
var emptied = []string{
	"PYTHONHOME", "PYTHONPATH", "OCIO",
	"BLENDER_SYSTEM_RESOURCES", "BLENDER_SYSTEM_SCRIPTS", "BLENDER_SYSTEM_DATAFILES", "BLENDER_SYSTEM_PYTHON",
	"BLENDER_USER_RESOURCES", "BLENDER_USER_SCRIPTS", "BLENDER_USER_DATAFILES", "BLENDER_USER_CONFIG",
}

// Launch runs the Blender that lies beside the program self, as its archives for
// SheepIt clients on Windows have it, and returns its exit code. What Blender
// prints is held back until the scene has been read: some clients delete the
// scene at the first line. Blender ends with this process.
func Launch(self string, args []string, out io.Writer) int {
	runtime.LockOSThread() // as in process.run
	defer runtime.UnlockOSThread()
	name := "blender"
	if runtime.GOOS == "windows" {
		name = "blender.exe"
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(self), name), args...)
	cmd.Stdin = os.Stdin
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.ContainsFunc(emptied, func(e string) bool { return strings.EqualFold(e, name) })
	})
	var group processGroup
	read, err := launch(cmd, &group, out)
	if err != nil {
		fmt.Fprintf(out, "drover: error of the machine: Blender could not be started: %v\n", err)
		return 127
	}
	cmd.Wait()   // how it ended is in ProcessState
	group.kill() // what it has left would hold the pipe
	<-read
	group.close()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 1
}

// launch starts Blender; the channel is closed when all that it printed is out.
func launch(cmd *exec.Cmd, group *processGroup, out io.Writer) (<-chan struct{}, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	group.prepare(cmd)
	err = cmd.Start()
	w.Close()
	if err == nil {
		err = group.started(cmd)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer r.Close()
		quiet(r, out)
	}()
	return read, nil
}

// maxHeld is how much is held back at most.
const maxHeld = 1 << 20

// sceneRead are how lines begin that come once the scene has been read, or never
// will be.
var sceneRead = [][]byte{[]byte("drover: the scene is open"), []byte("drover: error"), []byte("Fra:")}

// quiet copies r to w, from its beginning once a line says that the scene has
// been read. It reads r to its end, whatever becomes of w.
func quiet(r io.Reader, w io.Writer) {
	var held bytes.Buffer
	br := bufio.NewReaderSize(r, maxLine)
	for held.Len() < maxHeld {
		line, err := br.ReadSlice('\n')
		held.Write(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) ||
			slices.ContainsFunc(sceneRead, func(p []byte) bool { return bytes.HasPrefix(line, p) }) {
			break
		}
	}
	if _, err := w.Write(held.Bytes()); err == nil {
		_, err = io.Copy(w, br)
		if err == nil {
			return
		}
	}
	io.Copy(io.Discard, br) // who reads is gone; Blender ends by itself or is ended
}
