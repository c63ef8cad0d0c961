package native

import (
	"context"
	"math"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
)

func (d *door) status(ctx context.Context, _ *call) (*api.Farm, error) {
	s, err := d.Farm.Status(ctx)
	if err != nil {
		return nil, err
	}
	m := d.Farm.Metrics()
	v := &api.Farm{
		Maintenance: s.Maintenance, Retention: d.Farm.Retention(), Workers: make(map[string]int, len(s.Workers)), Jobs: s.Jobs, Waiting: s.Waiting, Running: s.Running,
		Limits: limitsView(s.Limits), Doors: d.Doors, Version: d.Version,
		Counters: map[string]int64{
			"batches": m.Batches, "operations": m.Operations, "claims": m.Claims, "completions": m.Completions, "shed": m.Shed, "looks": m.Looks,
			"queued": int64(m.Queued), "held": d.held.Load(),
		},
	}
	for k, n := range s.Workers {
		v.Workers[string(k)] = n
	}
	return v, nil
}

func limitsView(ls []farm.Limit) []api.Limit {
	out := make([]api.Limit, len(ls))
	for i, l := range ls {
		out[i] = api.Limit(l)
	}
	return out
}

func (d *door) limits(ctx context.Context, _ *call) (api.LimitList, error) {
	s, err := d.Farm.Status(ctx)
	if err != nil {
		return api.LimitList{}, err
	}
	return api.LimitList{Limits: limitsView(s.Limits)}, nil
}

func (d *door) putLimit(ctx context.Context, c *call, in api.NewLimit) (api.Limit, error) {
	name := c.r.PathValue("name")
	if in.Total < 0 || math.IsInf(in.Total, 0) || in.Total > 1e12 {
		return api.Limit{}, farm.Errorf(farm.Invalid, "the total %g of a limit is not between 0 and 1e12", in.Total)
	}
	if err := d.Farm.SetLimit(ctx, c.by, name, in.Total); err != nil {
		return api.Limit{}, err
	}
	return d.limit(ctx, name)
}

// limit finds a limit by its name.
func (d *door) limit(ctx context.Context, name string) (api.Limit, error) {
	s, err := d.Farm.Status(ctx)
	if err != nil {
		return api.Limit{}, err
	}
	for _, l := range s.Limits {
		if l.Name == name {
			return api.Limit(l), nil
		}
	}
	return api.Limit{}, farm.Errorf(farm.NotFound, "there is no limit %q", clip(name, 100))
}

func (d *door) removeLimit(ctx context.Context, c *call) (nothing, error) {
	name := c.r.PathValue("name")
	if _, err := d.limit(ctx, name); err != nil {
		return nothing{}, err
	}
	return nothing{}, d.Farm.SetLimit(ctx, c.by, name, -1)
}

func (d *door) retention(ctx context.Context, c *call, in api.Retention) (api.Retention, error) {
	return in, d.Farm.SetRetention(ctx, c.by, in.Days)
}

func (d *door) maintenance(ctx context.Context, c *call, in api.Maintenance) (api.Maintenance, error) {
	return in, d.Farm.SetMaintenance(ctx, c.by, in.On)
}
