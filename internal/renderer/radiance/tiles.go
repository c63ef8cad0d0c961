package radiance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// RenderTile renders a part of a picture into a file, which gets its name when
// it is whole.
func (r *Runner) RenderTile(ctx context.Context, p *Picture, t Tile, octree, name string, more ...string) error {
	args := append(p.TileArgs(t), more...)
	_, err := r.toFile(ctx, Step{Program: "rpict", Args: append(args, octree)}, name, func(path string) error {
		return CheckPicture(path, t.Width, t.Height)
	})
	return err
}

// JoinTiles puts the parts of a picture together, exactly.
func (r *Runner) JoinTiles(ctx context.Context, p *Picture, tiles []Tile, files []string, name string) error {
	args := []string{"-x", strconv.Itoa(p.Width), "-y", strconv.Itoa(p.Height)}
	for i, t := range tiles {
		if err := CheckPicture(filepath.Join(r.Dir, files[i]), t.Width, t.Height); err != nil {
			return fmt.Errorf("tile %d: %w", i, err)
		}
		args = append(args, files[i], strconv.Itoa(t.X), strconv.Itoa(t.Y))
	}
	_, err := r.toFile(ctx, Step{Program: "pcompos", Args: args}, name, func(path string) error {
		return CheckPicture(path, p.Width, p.Height)
	})
	return err
}

// Filter makes the final picture of a raw one, as rad would.
func (r *Runner) Filter(ctx context.Context, p *Picture, raw, name string) error {
	_, err := r.toFile(ctx, Step{Program: "pfilt", Args: append(append([]string(nil), p.Filter...), raw)}, name, func(path string) error {
		return CheckPicture(path, 0, 0)
	})
	return err
}

// Trace computes the values on the sensors of a file, into a file that gets its
// name when there is one line for each sensor.
func (r *Runner) Trace(ctx context.Context, args []string, octree, points, name string) error {
	in, err := os.Open(filepath.Join(r.Dir, points))
	if err != nil {
		return jobFaultf("read the sensors: %v", err)
	}
	defer in.Close()
	n, err := CheckPoints(in, nil)
	if err != nil {
		return jobFaultf("%s: %v", points, err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		return err
	}
	_, err = r.toFile(ctx, Step{Program: "rtrace", Args: append(TraceArgs(args), octree), In: in}, name, func(path string) error {
		return CheckGrid(path, n)
	})
	return err
}

// TraceArgs are rtrace's options for a measuring field: without a header, and
// irradiance unless the options say otherwise.
func TraceArgs(args []string) []string {
	irradiance := true
	for _, a := range args {
		if a == "-I-" {
			irradiance = false
		}
	}
	out := append([]string{"-h"}, Without(args, "-h", "-h-", "-h+", "-I", "-I+", "-I-")...)
	if irradiance {
		out = append(out, "-I")
	}
	return out
}
