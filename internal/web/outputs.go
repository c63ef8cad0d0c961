package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path"
	"strings"

	"drover.farm/internal/blob"
	"drover.farm/internal/blob/tus"
	"drover.farm/internal/farm"
	"drover.farm/internal/frame"
	"drover.farm/internal/outzip"
)

const (
	maxZip    = 100_000 // tasks
	maxFilm   = 20_000  // frames
	taskBlock = 500     // tasks read at once
)

// doneTasks calls fn with the done tasks of a job, of one step if it is not -1,
// in order.
func (s *site) doneTasks(ctx context.Context, j *farm.Job, step int, most int64, fn func(*farm.Task) error) error {
	for i := range j.Steps {
		if step >= 0 && i != step {
			continue
		}
		for from := int64(0); ; {
			ts, err := s.Farm.Tasks(ctx, farm.TaskQuery{Job: j.ID, Step: i, FromStep: i, From: from, States: []farm.TaskState{farm.TaskDone}, Limit: taskBlock})
			if err != nil {
				return err
			}
			for _, t := range ts {
				if most--; most < 0 {
					return nil
				}
				if err := fn(t); err != nil {
					return err
				}
				from = t.Index + 1
			}
			if len(ts) < taskBlock {
				break
			}
		}
	}
	return nil
}

// zip streams the outputs of a job's done tasks, or of those that ?task= names.
func (v *visit) zip() error {
	h, err := v.head("")
	if err != nil {
		return err
	}
	chosen, err := chosenTasks(h.ID, v.r.URL.Query()["task"])
	switch {
	case err != nil:
		return err
	case h.Counts.Done == 0:
		return farm.Errorf(farm.NotFound, "job %d has no outputs yet", h.ID)
	case len(chosen) == 0 && h.Counts.Done > maxZip:
		return farm.Errorf(farm.Invalid, "%d tasks are done, more than the %d whose outputs one zip file may have; \"drover job fetch %d\" takes them one by one", h.Counts.Done, maxZip, h.ID)
	}
	v.attach("application/zip", h.Spec.Name+".zip")
	z := outzip.New(v.steady(), v.Blobs, 4*maxZip)
	add := func(t *farm.Task) error { return z.Add(v.ctx(), t) }
	if len(chosen) == 0 {
		err = v.doneTasks(v.ctx(), h.Job, -1, maxZip, add)
	}
	for i := 0; i < len(chosen) && err == nil; i++ {
		var t *farm.Task
		if t, err = v.Farm.Task(v.ctx(), chosen[i]); err == nil && t.State == farm.TaskDone {
			err = add(t)
		}
	}
	if err == nil {
		err = z.Close()
	}
	v.cutOff("a zip of outputs", err)
	return nil
}

func (v *visit) steady() *steady {
	return &steady{w: v.w, ctl: http.NewResponseController(v.w), idle: v.Idle}
}

func (v *visit) attach(kind, name string) {
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", tus.Disposition(name))
	h.Set("Cache-Control", "no-store")
}

// cutOff ends an answer that has begun and failed: the connection is cut, lest
// half a file pass for a whole one.
func (v *visit) cutOff(what string, err error) {
	if err == nil {
		return
	}
	if v.ctx().Err() == nil {
		v.Log.Error(what+" was broken off", "path", v.r.URL.Path, "err", err)
	}
	panic(http.ErrAbortHandler)
}

// sheet answers with a contact sheet of the job's pictures as a PNG.
func (v *visit) sheetPNG() error {
	h, step, err := v.headStep()
	if err != nil {
		return err
	}
	select { // each has hundreds of files open
	case v.sheets <- struct{}{}:
		defer func() { <-v.sheets }()
	case <-v.ctx().Done():
		return v.ctx().Err()
	}
	var cells []frame.Cell
	var files []blob.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	err = v.doneTasks(v.ctx(), h.Job, step, frame.MaxCells, func(t *farm.Task) error {
		n := pictureOf(t)
		if n < 0 {
			return nil
		}
		hash, err := blob.ParseHash(t.Outputs[n].Thumb)
		if err != nil {
			return err
		}
		name := baseName(t.Outputs[n].Name)
		c := frame.Cell{Label: strings.TrimSuffix(name, path.Ext(name))}
		if f, err := v.Blobs.Open(v.ctx(), hash); err == nil {
			files = append(files, f)
			c.Picture, c.Size = f, f.Size()
		}
		cells = append(cells, c)
		return nil
	})
	if err != nil {
		return err
	}
	if len(cells) == 0 {
		return farm.Errorf(farm.NotFound, "job %d has no pictures yet", h.ID)
	}
	hd := v.w.Header()
	hd.Set("Content-Type", "image/png")
	hd.Set("Cache-Control", "no-store")
	v.cutOff("a contact sheet", frame.ContactSheet(v.steady(), cells, 8))
	return nil
}

func (v *visit) headStep() (jobHead, int, error) {
	h, err := v.head("")
	if err != nil {
		return h, 0, err
	}
	step, err := stepOf(h.Job, v.r.URL.Query().Get("step"))
	return h, step, err
}

// frames lists the pictures of a step for the film player.
func (v *visit) frames() error {
	h, step, err := v.headStep()
	if err != nil {
		return err
	}
	type frameView struct {
		Src   string `json:"src"`
		Label string `json:"label"`
		Href  string `json:"href"`
	}
	out := []frameView{}
	label := v.labels(h.Job)
	err = v.doneTasks(v.ctx(), h.Job, step, maxFilm, func(t *farm.Task) error {
		if n := pictureOf(t); n >= 0 {
			link := taskLink(t.TaskKey)
			out = append(out, frameView{fmt.Sprintf("%s/out/%d?side=960&v=%s", link, n, clip0(t.Outputs[n].SHA256, 12)), label(t.TaskKey), link})
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(v.w).Encode(out)
}

// film streams the job's pictures as an MP4 that ffmpeg makes on the way.
func (v *visit) filmMP4() error {
	h, step, err := v.headStep()
	if err != nil {
		return err
	}
	fps := "24"
	if s := v.r.URL.Query().Get("fps"); s != "" {
		if n, err := parseNumber(s); err != nil || n < 1 || n > 120 {
			return farm.Errorf(farm.Invalid, "a film has 1 to 120 frames a second")
		}
		fps = s
	}
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return farm.Errorf(farm.Unavailable, "there is no ffmpeg on the farm's machine to make a film with; the frames can be downloaded as a zip")
	}
	if h.Counts.Done == 0 {
		return farm.Errorf(farm.NotFound, "job %d has no pictures yet", h.ID)
	}
	select {
	case v.films <- struct{}{}:
		defer func() { <-v.films }()
	default:
		return farm.Errorf(farm.Unavailable, "other films are being made; try again in a minute")
	}
	v.attach("video/mp4", h.Spec.Name+".mp4")
	ctx, cancel := context.WithCancel(v.ctx())
	defer cancel()
	cmd := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-f", "image2pipe", "-c:v", "mjpeg", "-framerate", fps, "-i", "pipe:0",
		"-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", "18",
		"-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "pipe:1")
	cmd.Stdout = v.steady()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", ffmpeg, err)
	}
	err = v.feed(ctx, in, h.Job, step)
	_ = in.Close()
	if waitErr := cmd.Wait(); err == nil {
		err = waitErr
	}
	v.cutOff("a film", err)
	return nil
}

// feed gives ffmpeg the pictures of a step, as JPEGs of one size.
func (v *visit) feed(ctx context.Context, in io.Writer, j *farm.Job, step int) error {
	return v.doneTasks(ctx, j, step, maxFilm, func(t *farm.Task) error {
		n := pictureOf(t)
		if n < 0 {
			return nil
		}
		hash, err := blob.ParseHash(t.Outputs[n].SHA256)
		if err != nil {
			return err
		}
		isRange := pictureKinds[strings.ToLower(path.Ext(t.Outputs[n].Name))]
		text, err := v.view(ctx, hash, look{side: viewSide, auto: isRange}, isRange)
		if err != nil {
			return err
		}
		_, err = in.Write(text)
		return err
	})
}

type filmPage struct {
	jobHead
	Step   int
	FFmpeg bool
}

func (v *visit) film() error {
	h, err := v.head("film")
	if err != nil {
		return err
	}
	p := filmPage{jobHead: h}
	if p.Step, err = stepOf(h.Job, v.r.URL.Query().Get("step")); err != nil {
		return err
	}
	_, err = exec.LookPath("ffmpeg")
	p.FFmpeg = err == nil
	v.page(http.StatusOK, "film", "jobs", h.Spec.Name+": film", p)
	return nil
}
