package native

import (
	"context"
	"slices"
	"strconv"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
)

const (
	maxKey    = 200
	maxLeases = 4096
)

func (d *door) register(ctx context.Context, c *call, in api.Registration) (*api.Worker, error) {
	if len(in.Holds) > maxLeases {
		return nil, farm.Errorf(farm.Invalid, "a worker cannot hold %d leases", len(in.Holds))
	}
	m := &in.Machine
	r := farm.Registration{
		By: c.by, Key: in.Key, Name: in.Name, Door: doorName, Slots: in.Slots, Rules: farm.Rules(in.Rules), Holds: in.Holds, News: in.News,
		Machine: farm.Machine{
			Hostname: m.Hostname, OS: m.OS, Arch: m.Arch, CPU: m.CPU, Cores: m.Cores, Memory: m.Memory, Disk: m.Disk,
			Version: m.Version, Amounts: m.Amounts, Attributes: m.Attributes, Fetches: m.Fetches, Held: m.Held,
		},
	}
	for _, g := range m.GPUs {
		r.Machine.GPUs = append(r.Machine.GPUs, farm.GPU(g))
	}
	for _, x := range m.Renderers {
		r.Machine.Renderers = append(r.Machine.Renderers, farm.Renderer(x))
	}
	w, err := d.Farm.Register(ctx, r)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Location", d.PublicPath+"/workers/"+strconv.FormatInt(w.ID, 10))
	return workerView(w), nil
}

// sees reports whether the account may look at a worker: who only lends machines
// sees those of its own.
func (c *call) sees(w *farm.Worker) bool { return w.User == c.by.Login || c.by.Is(farm.RoleSubmitter) }

func (d *door) workers(ctx context.Context, c *call) (api.WorkerList, error) {
	out := api.WorkerList{Workers: []api.Worker{}}
	ws, err := d.Farm.Farmhands(ctx)
	if err != nil {
		return out, err
	}
	for _, w := range ws {
		if c.sees(w) {
			out.Workers = append(out.Workers, *workerView(w))
		}
	}
	return out, nil
}

func (d *door) worker(ctx context.Context, c *call) (*api.Worker, error) {
	id, err := c.number("worker")
	if err != nil {
		return nil, err
	}
	w, err := d.Farm.Farmhand(ctx, id)
	if err != nil {
		return nil, err
	}
	if !c.sees(w) {
		return nil, farm.Errorf(farm.Forbidden, "worker %d belongs to another account; looking at it takes the role submitter", id)
	}
	return workerView(w), nil
}

func (d *door) patchWorker(ctx context.Context, c *call, in api.WorkerPatch) (*api.Worker, error) {
	id, err := c.number("worker")
	if err != nil {
		return nil, err
	}
	ch := farm.WorkerChange{Enabled: in.Enabled, Reason: clip(in.Reason, 1000), Tags: in.Tags}
	if in.Rules != nil {
		rules := farm.Rules(*in.Rules)
		ch.Rules = &rules
	}
	if ch.Enabled == nil && ch.Tags == nil && ch.Rules == nil {
		return nil, farm.Errorf(farm.Invalid, "there is nothing to change: one of the fields enabled, tags and rules is needed")
	}
	w, err := d.Farm.ChangeWorker(ctx, c.by, id, ch)
	if err != nil {
		return nil, err
	}
	return workerView(w), nil
}

func (d *door) removeWorker(ctx context.Context, c *call) (nothing, error) {
	id, err := c.number("worker")
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, d.Farm.RemoveWorker(ctx, c.by, id)
}

func (c *call) claimRequest(worker int64, in *api.Claim) (farm.ClaimRequest, error) {
	r := farm.ClaimRequest{By: c.by, Worker: worker, Key: in.Key, Wait: wait(in.Wait), Warm: in.Warm, Uploading: in.Uploading}
	if len(in.Key) > maxKey {
		return r, farm.Errorf(farm.Invalid, "the key of a claim has at most %d bytes, not %d", maxKey, len(in.Key))
	}
	return r, nil
}

func (d *door) claim(ctx context.Context, c *call, in api.Claim) (*api.Lease, error) {
	id, err := c.number("worker")
	if err != nil {
		return nil, err
	}
	req, err := c.claimRequest(id, &in)
	if err != nil {
		return nil, err
	}
	l, err := d.Farm.Claim(ctx, req)
	if err != nil {
		return nil, err
	}
	return leaseView(l), nil
}

func (d *door) heartbeat(ctx context.Context, c *call, in api.Pulse) (*api.PulseReply, error) {
	id, err := c.number("worker")
	if err != nil {
		return nil, err
	}
	if len(in.Leases) > maxLeases {
		return nil, farm.Errorf(farm.Invalid, "a worker cannot hold %d leases", len(in.Leases))
	}
	p := farm.Pulse{By: c.by, Worker: id, Wait: wait(in.Wait), Leases: make([]farm.Progress, len(in.Leases))}
	for i, l := range in.Leases {
		p.Leases[i] = farm.Progress(l)
	}
	if v := in.Vitals; v != nil {
		p.Vitals = &farm.Vitals{Load: bounded(v.Load, 100), Memory: max(v.Memory, 0), DiskFree: max(v.DiskFree, 0),
			Temperature: bounded(v.Temperature, 1000), GPUTemperature: bounded(v.GPUTemperature, 1000)}
	}
	r, err := d.Farm.Heartbeat(ctx, p)
	if err != nil {
		return nil, err
	}
	out := &api.PulseReply{Period: r.Period.Seconds()}
	for lease, why := range r.Stop {
		out.Stop = append(out.Stop, api.Stop{Lease: lease, Reason: why})
	}
	slices.SortFunc(out.Stop, func(a, b api.Stop) int { return int(a.Lease - b.Lease) })
	return out, nil
}

// bounded makes of a number that a worker tells one that can be shown.
func bounded(v, most float64) float64 { return min(max(finite(v), 0), most) }

func (d *door) giveBack(ctx context.Context, c *call, in api.GiveBack) (nothing, error) {
	id, err := c.number("worker")
	if err != nil {
		return nothing{}, err
	}
	if len(in.Leases) > maxLeases {
		return nothing{}, farm.Errorf(farm.Invalid, "a worker cannot hold %d leases", len(in.Leases))
	}
	reason := clip(in.Reason, 1000)
	if reason == "" {
		reason = "the worker gave it back"
	}
	return nothing{}, d.Farm.Return(ctx, c.by, id, in.Leases, reason)
}

func (d *door) signOff(ctx context.Context, c *call) (nothing, error) {
	id, err := c.number("worker")
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, d.Farm.SignOff(ctx, c.by, id)
}
