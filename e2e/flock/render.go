package flock

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"drover.farm/internal/archive"
)

// Render fetches what a frame needs, renders it and returns the picture with its
// path.
func (c *Client) Render(ctx context.Context, j *Job) (string, []byte, error) {
	renderer, err := c.unpacked(ctx, j.Renderer.MD5, "", func() ([]byte, error) {
		if c.Chunks {
			return c.fetch(ctx, c.address(c.paths["download-binary"], "?job="+j.ID), j.Renderer.MD5)
		}
		return c.fetch(ctx, c.address(c.paths["download-archive"], "?type=binary&job="+j.ID), j.Renderer.MD5)
	})
	if err != nil {
		return "", nil, err
	}
	project, err := c.unpacked(ctx, j.ArchiveMD5, j.Password, func() ([]byte, error) { return c.project(ctx, j) })
	if err != nil {
		return "", nil, err
	}
	if err := c.run(ctx, j, renderer, project); err != nil {
		return "", nil, err
	}
	if c.Deletes { // its copy of the scene is of no more use
		if err := os.RemoveAll(project); err != nil {
			return "", nil, err
		}
	}
	found, err := filepath.Glob(filepath.Join(c.Dir, j.ID+"_"+j.Frame+"*"))
	if err != nil || len(found) != 1 {
		return "", nil, fmt.Errorf("frame %s left the pictures %v, %v", j.Frame, found, err)
	}
	data, err := os.ReadFile(found[0])
	return found[0], data, err
}

// project fetches the scene's archive, whole or in pieces.
func (c *Client) project(ctx context.Context, j *Job) ([]byte, error) {
	if !c.Chunks {
		return c.fetch(ctx, c.address(c.paths["download-archive"], "?job="+j.ID+"&type=job"), j.ArchiveMD5)
	}
	var all []byte
	for _, k := range j.Chunks {
		part, err := c.fetch(ctx, c.address(c.paths["download-chunk"], "?chunk="+k.ID), k.MD5)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// unpacked is the folder of an archive, fetched if it is not there.
func (c *Client) unpacked(ctx context.Context, md5, password string, fetch func() ([]byte, error)) (string, error) {
	dir := filepath.Join(c.Dir, md5)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	data, err := fetch()
	if err != nil {
		return "", err
	}
	if !slices.Contains(c.cached, md5) {
		c.cached = append(c.cached, md5)
	}
	return dir, archive.Unpack(ctx, bytes.NewReader(data), int64(len(data)), c.Dir, md5, archive.Options{Password: password})
}

// run starts Blender by the farm's command line, cut at spaces.
func (c *Client) run(ctx context.Context, j *Job, renderer, project string) error {
	script := filepath.Join(c.Dir, "script_"+j.Frame)
	if err := os.WriteFile(script, []byte(c.Before+j.Script+"\n"+c.After), 0o600); err != nil {
		return err
	}
	early := filepath.Join(c.Dir, "early.py")
	if err := os.WriteFile(early, []byte(c.Early), 0o600); err != nil {
		return err
	}
	scene := filepath.Join(project, filepath.FromSlash(j.Path))
	var args []string
	for _, a := range strings.Split(j.Renderer.Command, " ") {
		switch a {
		case ".e":
			args = append(args, filepath.Join(renderer, "rend.exe"), "-t", "2")
		case ".c":
			if c.Early != "" {
				args = append(args, "-P", early)
			}
			args = append(args, scene, "-P", script)
		case ".o":
			args = append(args, filepath.Join(c.Dir, j.ID+"_"))
		case ".f":
			args = append(args, j.Frame)
		default:
			args = append(args, a)
		}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "BLENDER_USER_CONFIG="+c.Dir, "CORES=2", "PYTHONPATH=", "PYTHONHOME=", "TEMP="+c.Dir, "TMP="+c.Dir,
		"LD_LIBRARY_PATH="+filepath.Join(renderer, "lib"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	var log strings.Builder
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		if first && c.Deletes {
			if err := os.Remove(scene); err != nil {
				return errors.Join(err, cmd.Wait())
			}
		}
		log.WriteString(lines.Text() + "\n")
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w:\n%s", err, log.String())
	}
	if strings.Contains(log.String(), "Traceback") {
		return fmt.Errorf("a script failed:\n%s", log.String())
	}
	return nil
}
