package cli

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sync/errgroup"

	"drover.farm/internal/api"
	"drover.farm/internal/client"
)

// upload hashes the files of a job and sends those whose content the farm does
// not have. It returns the files with their hashes.
func (a *App) upload(farm *client.Client, files []api.File, paths []string, patience time.Duration) ([]api.File, error) {
	if err := a.hash(files, paths); err != nil {
		return nil, err
	}
	sources := make([]client.Source, len(files))
	for i := range files {
		sources[i] = client.Source{Path: paths[i], SHA256: files[i].SHA256, Size: files[i].Size}
	}
	var sent int64
	_, err := persist(a.ctx, patience, func(s string) { a.say("%s", s) }, func() (struct{}, error) {
		bar := newTransfer(a)
		defer bar.stop()
		n, err := farm.UploadMissing(a.ctx, sources, bar.update)
		sent += n
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("upload the job's files: %w", err)
	}
	if len(files) > 0 {
		a.say("%s: %s uploaded, the farm has the rest", count(len(files), "file"), size(sent))
	}
	return files, nil
}

// hash fills in the hashes and sizes of files.
func (a *App) hash(files []api.File, paths []string) error {
	g, ctx := errgroup.WithContext(a.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range files {
		g.Go(func() error {
			f, err := client.Hash(ctx, paths[i])
			if err != nil {
				return fmt.Errorf("read %s: %w", paths[i], err)
			}
			files[i].SHA256, files[i].Size = f.SHA256, f.Size
			return nil
		})
	}
	return g.Wait()
}

// transfer shows how much of an upload is done, on a terminal.
type transfer struct {
	app  *App
	bars *mpb.Progress
	bar  *mpb.Bar
	at   atomic.Pointer[[2]int64]
}

func newTransfer(a *App) *transfer {
	t := &transfer{app: a}
	if !a.Terminal(a.Err) {
		return t
	}
	t.at.Store(&[2]int64{})
	t.bars = mpb.New(mpb.WithOutput(a.Err), mpb.WithWidth(40), mpb.WithAutoRefresh())
	t.bar = t.bars.AddBar(0, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name("upload ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			p := t.at.Load()
			return size(p[0]) + " of " + size(p[1])
		})))
	return t
}

// update may be called by several goroutines.
func (t *transfer) update(sent, total int64) {
	if t.bar == nil {
		return
	}
	t.at.Store(&[2]int64{sent, total})
	t.bar.SetTotal(total, false)
	t.bar.SetCurrent(sent)
}

func (t *transfer) stop() {
	if t.bar != nil {
		t.bar.Abort(true)
		t.bars.Wait()
	}
}
