package flamenco

import (
	"context"
	"encoding/json"
	"fmt"

	"drover.farm/internal/farm"
)

// Notes of the farm that the door keeps of posted tasks. Numbers have a fixed
// width, so that keys sort as they count.
//
//	flamenco/task/<task_id>  the job that the task is now, as text
//	flamenco/post/<job>      the task as it was posted
//	flamenco/open/<job>      the last state told to the server, behind a ? while that
//	                         is on its way; goes with the final one
//	flamenco/child/<task_id>/<task_id>  the job whose files the first task waits for
//	flamenco/files/<job_id>  the job whose files are those of the poster's job_id
//	flamenco/setting/<name>  what /settings holds
//	flamenco/upstream        what the server knows this farm by
func noteTask(id int64) string  { return fmt.Sprintf("%s/task/%09d", Name, id) }
func notePost(job int64) string { return fmt.Sprintf("%s/post/%012d", Name, job) }
func noteOpen(job int64) string { return fmt.Sprintf("%s/open/%012d", Name, job) }
func noteChild(child, id int64) string {
	return fmt.Sprintf("%s%09d", prefixChild(child), id)
}
func prefixChild(child int64) string { return fmt.Sprintf("%s/child/%09d/", Name, child) }
func noteFiles(id int64) string      { return fmt.Sprintf("%s/files/%019d", Name, id) }

const (
	prefixTask = Name + "/task/"
	prefixOpen = Name + "/open/"
)

// jobOf is the job that a posted task is, 0 when none was posted under the id.
func (d *Door) jobOf(ctx context.Context, task int64) (int64, error) {
	n, err := d.farm.Note(ctx, noteTask(task))
	if farm.CodeOf(err) == farm.NotFound {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return n.Job, nil
}

// postOf is the task that a job was posted as, nil for a job that was not.
func (d *Door) postOf(ctx context.Context, job int64) (*post, error) {
	d.mu.Lock()
	p := d.posts[job]
	d.mu.Unlock()
	if p != nil {
		return p, nil
	}
	n, err := d.farm.Note(ctx, notePost(job))
	if farm.CodeOf(err) == farm.NotFound {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	p = new(post)
	if err := json.Unmarshal([]byte(n.Text), p); err != nil {
		return nil, fmt.Errorf("read the note of job %d: %w", job, err)
	}
	if _, err := p.want(); err != nil {
		return nil, err
	}
	return p, nil
}

// openPost is a posted task that has not been closed.
type openPost struct {
	job  int64
	post *post
}

func (d *Door) openPosts() []openPost {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]openPost, 0, len(d.posts))
	for job, p := range d.posts {
		out = append(out, openPost{job, p})
	}
	return out
}
