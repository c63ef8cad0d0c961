package library

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"drover.farm/internal/archive"
	"drover.farm/internal/sandbox"
)

// Installers unpacks installers of V-Ray, which are programs: PROGRAM
// -unpackInstall DIR. They are run in a sandbox without network that can write to
// DIR alone. Nil refuses them.
type Installers struct {
	Time time.Duration // that one may take; 10 min
}

// unpack returns the file as it is when it is no executable; else an archive of
// what the installer unpacked. done removes what was made.
func (i *Installers) unpack(ctx context.Context, file *os.File, name, dir string) (out *os.File, as string, done func(), err error) {
	head := make([]byte, headSize)
	n, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, "", nil, err
	}
	on := systemOf(head[:n])
	if on == (system{}) {
		return file, name, func() {}, nil
	}
	switch {
	case i == nil:
		return nil, "", nil, unknown("the file is an executable, and installers are refused here: send an archive, or allow them in the configuration (swarm.allow_executables)")
	case on.os != hostOS() && on.os != Any:
		return nil, "", nil, unknown("the file is an installer for %s, which can be unpacked only there; send an archive", on.os)
	}
	work, err := os.MkdirTemp(dir, "installer-")
	if err != nil {
		return nil, "", nil, err
	}
	if out, err = i.run(ctx, file, work); err != nil {
		os.RemoveAll(work)
		return nil, "", nil, err
	}
	return out, name, func() { out.Close(); os.RemoveAll(work) }, nil
}

// run unpacks the installer below work and packs what came out.
func (i *Installers) run(ctx context.Context, file *os.File, work string) (*os.File, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(work, "installer")
	to, err := os.OpenFile(program, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(to, io.NewSectionReader(file, 0, st.Size()))
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(work, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return nil, err
	}
	limit := i.Time
	if limit <= 0 {
		limit = 10 * time.Minute
	}
	if _, err := sandbox.Run(ctx, sandbox.Spec{Program: program, Args: []string{"-unpackInstall", tree}, Write: tree, Time: limit}); err != nil {
		return nil, unknown("the installer could not be unpacked: %v", err)
	}
	packed, err := os.Create(filepath.Join(work, "tree.tar.gz"))
	if err != nil {
		return nil, err
	}
	g := archive.NewTarGz(packed)
	if err = g.Tree("", tree); err == nil {
		err = g.Close()
	}
	if err != nil {
		packed.Close()
		return nil, fmt.Errorf("pack what the installer unpacked: %w", err)
	}
	return packed, nil
}
