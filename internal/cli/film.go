package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"drover.farm/internal/frame"
)

// sheetColumns is how many frames stand side by side on a contact sheet.
const sheetColumns = 6

// contactSheet puts pictures on one PNG, each with its name.
func contactSheet(path string, pictures []string) (err error) {
	cells := make([]frame.Cell, len(pictures))
	for i, p := range pictures {
		f, err := os.Open(p)
		if err != nil {
			return fmt.Errorf("make the contact sheet: %w", err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return fmt.Errorf("make the contact sheet: %w", err)
		}
		cells[i] = frame.Cell{Label: strings.TrimSuffix(filepath.Base(p), filepath.Ext(p)), Picture: f, Size: info.Size()}
	}
	out, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make the contact sheet: %w", err)
	}
	if err := errors.Join(frame.ContactSheet(out, cells, sheetColumns), out.Close()); err != nil {
		return fmt.Errorf("make the contact sheet: %w", err)
	}
	return nil
}

// film makes an MP4 of the PNG pictures 0001.png and on in a folder.
func film(ctx context.Context, path, dir string) error {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return errors.New("the frames are there, but there is no ffmpeg to make a film of them; install it (Debian and Ubuntu: apt-get install --no-install-recommends ffmpeg)")
	}
	cmd := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-y",
		"-framerate", "24", "-start_number", "1", "-i", filepath.Join(dir, "%04d.png"),
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "18", "-movflags", "+faststart", path)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make the film with %s: %w: %s", ffmpeg, err, strings.TrimSpace(said.String()))
	}
	return nil
}
