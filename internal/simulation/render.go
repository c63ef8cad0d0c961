package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"drover.farm/internal/renderer/radiance"
)

// take says whether an unfinished result was made in the same way, and notes the
// way of this one. One that was not is removed.
func (c *control) take(unf string, args []string) (again bool, err error) {
	sum := sha256.Sum256([]byte(c.j.Octree + "\n" + strings.Join(args, "\n")))
	made := hex.EncodeToString(sum[:])
	path := filepath.Join(c.j.dir, unf)
	info, statErr := os.Stat(path)
	again = statErr == nil && info.Size() > 0 && c.j.Made == made
	if !again && statErr == nil {
		if err := os.Remove(path); err != nil {
			return false, fmt.Errorf("remove what was rendered with other options: %w", err)
		}
	}
	c.update(func(j *Job) { j.Made = made })
	return again, nil
}

// picture renders a picture: .unf while it is rendered, .pic when it is whole.
func (c *control) picture(ctx context.Context) error {
	p := c.pic
	unf, pic := c.j.result()+".unf", c.j.result()+".pic"
	args := p.Args()
	again, err := c.take(unf, args)
	if err != nil {
		return err
	}
	if c.amb != "" {
		args = append(args, "-af", c.amb)
	}
	args = append(args, "-t", strconv.Itoa(max(1, int(c.spec.Report.Seconds()))))
	err = c.rpict(ctx, args, unf, again)
	if err != nil && again && strings.Contains(err.Error(), "not a") { // nothing that could be taken up
		os.Remove(filepath.Join(c.j.dir, unf))
		err = c.rpict(ctx, args, unf, false)
	}
	if err != nil {
		return err
	}
	if err := radiance.CheckPicture(filepath.Join(c.j.dir, unf), p.Width, p.Height); err != nil {
		return err
	}
	if err := c.r.Filter(ctx, p, unf, pic); err != nil {
		return err
	}
	if p.Raw {
		return os.Rename(filepath.Join(c.j.dir, unf), filepath.Join(c.j.dir, c.j.result()+"_raw.pic"))
	}
	return os.Remove(filepath.Join(c.j.dir, unf))
}

// rpict renders. It goes on in the file if there is one to take up (-ro); the
// view is given in any case, since without it a file that is not there would be
// rendered with the default view.
func (c *control) rpict(ctx context.Context, args []string, unf string, again bool) error {
	how := "-o"
	if again {
		how = "-ro"
	}
	_, err := c.r.Run(ctx, radiance.Step{Program: "rpict", Args: append(args[:len(args):len(args)], how, unf, c.octree())})
	return err
}

// trace computes the values of a measuring field: those that are there already
// are kept, the rest is traced.
func (c *control) trace(ctx context.Context) error {
	points := filepath.Join(c.j.dir, pointsFile(c.j.Name))
	unf, res := c.j.result()+".unf", c.j.result()+".res"
	args := radiance.TraceArgs(c.args)
	again, err := c.take(unf, args)
	if err != nil {
		return err
	}
	out, done, err := openValues(filepath.Join(c.j.dir, unf), again)
	if err != nil {
		return err
	}
	defer out.Close()
	in, total, err := sensors(points, done)
	if err != nil {
		return err
	}
	if c.amb != "" {
		args = append(args, "-af", c.amb)
	}
	progress := &counter{to: out, done: done, tell: func(n int) { c.update(func(j *Job) { j.Percent = 100 * float64(n) / float64(total) }) }}
	if _, err := c.r.Run(ctx, radiance.Step{Program: "rtrace", Args: append(args, c.octree()), In: in, Out: progress}); err != nil {
		return err
	}
	if err := radiance.CheckGrid(filepath.Join(c.j.dir, unf), total); err != nil {
		return err
	}
	return os.Rename(filepath.Join(c.j.dir, unf), filepath.Join(c.j.dir, res))
}

// openValues opens an unfinished measuring field behind its last whole line.
func openValues(path string, again bool) (*os.File, int, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, 0, err
	}
	n, size := 0, int64(0)
	if again {
		if n, size, err = radiance.CheckValues(f); err != nil {
			n, size, err = 0, 0, nil // begin anew
		}
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, n, nil
}

// sensors are the lines of a measuring field from the done-th on.
func sensors(path string, done int) (io.Reader, int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	var rest strings.Builder
	n := 0
	total, err := radiance.CheckPoints(f, func(line string) error {
		if n++; n > done {
			rest.WriteString(line + "\n")
		}
		return nil
	})
	return strings.NewReader(rest.String()), total, err
}

// counter counts lines on their way to a file.
type counter struct {
	to   io.Writer
	done int
	told int
	tell func(n int)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.done += strings.Count(string(p[:n]), "\n")
	if c.done-c.told >= 50 {
		c.told = c.done
		c.tell(c.done)
	}
	return n, err
}
