package flamenco

import (
	"context"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"time"

	"drover.farm/internal/farm"
)

// pictures are what a job has rendered so far, by the names that they have in the
// archive for the server: flat, as the original sent them, unless two would be
// one.
func (d *Door) pictures(ctx context.Context, job int64) ([]farm.File, error) {
	var out []farm.File
	names := make(map[string]bool)
	for after := ""; ; {
		list, next, err := d.farm.TaskPage(ctx, farm.TaskPageQuery{Job: job, Step: -1, After: after, States: []farm.TaskState{farm.TaskDone}})
		if err != nil {
			return nil, err
		}
		for i := range list {
			for _, f := range list[i].Outputs {
				if flat := path.Base(f.Name); !names[flat] {
					f.Name = flat
				}
				if !names[f.Name] {
					names[f.Name] = true
					out = append(out, f)
				}
			}
		}
		if after = next; after == "" {
			return out, nil
		}
	}
}

// counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// sendFiles puts a form with the archive "taskfile". The servers take no body
// without a length, so it is made twice; the same files always give the same
// bytes.
func (u *upstream) sendFiles(ctx context.Context, to string, form url.Values, files []farm.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	boundary := multipart.NewWriter(io.Discard).Boundary()
	write := func(w io.Writer) error {
		m := multipart.NewWriter(w)
		if err := m.SetBoundary(boundary); err != nil {
			return err
		}
		for _, k := range slices.Sorted(maps.Keys(form)) {
			if err := m.WriteField(k, form.Get(k)); err != nil {
				return err
			}
		}
		part, err := m.CreateFormFile("taskfile", "taskfile.zip")
		if err != nil {
			return err
		}
		if err := u.d.writeZip(ctx, part, files); err != nil {
			return err
		}
		return m.Close()
	}
	var size counter
	if err := write(&size); err != nil {
		return err
	}
	r, w := io.Pipe()
	u.d.spawn(func() { w.CloseWithError(write(w)) })
	defer r.Close()
	idle := time.AfterFunc(uploadIdle, cancel)
	defer idle.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.base+to, &moving{r, idle, serverTime})
	if err != nil {
		return err
	}
	req.ContentLength = int64(size)
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	_, err = u.carry(req)
	return err
}

// moving puts a deadline off as long as something is read.
type moving struct {
	io.Reader
	idle *time.Timer
	last time.Duration // after the end
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if m.idle.Stop() {
		m.idle.Reset(uploadIdle)
		if err != nil {
			m.idle.Reset(m.last)
		}
	}
	return n, err
}
