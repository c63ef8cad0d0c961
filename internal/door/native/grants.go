package native

import (
	"context"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// Who may read a blob: accounts with the role submitter (so operators and
// admins) may read any, for they see all jobs; an account that only lends
// machines may read the input files of the jobs of which one of its workers
// holds a lease, the renderer that it must fetch for them, and the outputs of the steps that this lease's step depends
// on. What GET /leases/{id}/work and /inputs have told it is remembered here,
// so that a download needs no search; what is not remembered, say after a
// restart, is looked up.

// grants remembers which blobs were named to accounts. A grant counts only
// together with a lease.
type grants struct {
	by *lru.Cache[grant, struct{}]
	// seeks bounds how many searches run at once: one can read all outputs of a
	// job.
	seeks chan struct{}
}

type grant struct {
	login string
	hash  string
}

const maxGrants = 200_000

func newGrants() *grants {
	by, _ := lru.New[grant, struct{}](maxGrants) // fails on a size below 1 only
	return &grants{by: by, seeks: make(chan struct{}, 2)}
}

func (g *grants) add(login string, fs []farm.File) {
	for i := range fs {
		g.by.Add(grant{login, fs[i].SHA256}, struct{}{})
	}
}

func (g *grants) has(login string, h blob.Hash) bool { return g.by.Contains(grant{login, h.String()}) }

// mayRead decides whether the caller may read a blob.
func (c *call) mayRead(ctx context.Context, h blob.Hash) error {
	if c.by.Is(farm.RoleSubmitter) {
		return nil
	}
	held, err := c.d.Farm.Lends(ctx, c.by.Login)
	if err != nil {
		return err
	}
	if held > 0 {
		if c.d.grants.has(c.by.Login, h) {
			return nil
		}
		leases, err := c.leases(ctx)
		if err != nil {
			return err
		}
		if found, err := c.d.seek(ctx, c.by.Login, leases, h); err != nil || found {
			return err
		}
	}
	return farm.Errorf(farm.Forbidden, "the account %s may read only the files of tasks that its workers hold", c.by.Login)
}

// leases are those of all workers of the caller.
func (c *call) leases(ctx context.Context) ([]farm.LeaseInfo, error) {
	ws, err := c.d.Farm.Farmhands(ctx)
	if err != nil {
		return nil, err
	}
	var out []farm.LeaseInfo
	for _, w := range ws {
		if w.User == c.by.Login {
			out = append(out, w.Leases...)
		}
	}
	return out, nil
}

// seek looks for a blob among what the leases entitle to, and remembers what it
// sees on the way.
func (d *door) seek(ctx context.Context, login string, leases []farm.LeaseInfo, h blob.Hash) (bool, error) {
	select {
	case d.grants.seeks <- struct{}{}:
		defer func() { <-d.grants.seeks }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	type place struct {
		job  int64
		step int
	}
	seen := make(map[place]bool)
	for _, l := range leases {
		at := place{l.Job, l.Step}
		if seen[at] {
			continue
		}
		seen[at] = true
		j, err := d.Farm.Job(ctx, l.Job)
		if farm.CodeOf(err) == farm.NotFound {
			continue
		} else if err != nil {
			return false, fmt.Errorf("look for the right to read a file: %w", err)
		}
		if b, err := d.Farm.BuildFor(ctx, l.Worker, l.Job); err == nil && b != nil && d.entitled(login, []farm.File{{SHA256: b.SHA256}}, h) {
			return true, nil
		}
		if d.entitled(login, j.Spec.Files, h) {
			return true, nil
		}
		for next, more := "", true; more; more = next != "" {
			var rows []*farm.Task
			if rows, next, err = d.doneTasks(ctx, j.ID, upstream(j, l.Step), next, outputPage); err != nil {
				return false, err
			}
			for _, t := range rows {
				if d.entitled(login, t.Outputs, h) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// entitled grants the files and reports whether h is one of them.
func (d *door) entitled(login string, fs []farm.File, h blob.Hash) bool {
	d.grants.add(login, fs)
	for i := range fs {
		if fs[i].SHA256 == h.String() {
			return true
		}
	}
	return false
}
