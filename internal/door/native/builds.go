package native

import (
	"context"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
	"drover.farm/internal/library"
)

func (d *door) builds(ctx context.Context, c *call) (api.BuildList, error) {
	out := api.BuildList{Builds: []api.Build{}}
	product, err := c.get("product")
	if err != nil {
		return out, err
	}
	bs, err := d.Farm.BuildList(ctx, product)
	for i := range bs {
		out.Builds = append(out.Builds, buildView(&bs[i]))
	}
	if d.Imports != nil && (product == "" || product == "vray") {
		for _, f := range d.Imports() {
			out.Files = append(out.Files, api.ImportFile{Name: f.Name, Size: f.Size, State: string(f.State), Reason: f.Reason, Tries: f.Tries, Next: moment(f.Next)})
		}
	}
	return out, err
}

func (d *door) addBuild(ctx context.Context, c *call, in api.NewBuild) (api.Build, error) {
	h, err := parseHash(in.SHA256)
	if err != nil {
		return api.Build{}, err
	}
	b, _, err := d.Library.Add(ctx, c.by, h, clip(in.Name, 255), library.Description{
		Product: in.Product, Version: in.Version, Revision: in.Revision, OS: in.OS, Arch: in.Arch, Program: in.Program,
	})
	if err != nil {
		return api.Build{}, err
	}
	return buildView(b), nil
}

func (d *door) build(ctx context.Context, c *call) (api.Build, error) {
	id, err := c.number("build")
	if err != nil {
		return api.Build{}, err
	}
	b, err := d.Farm.Build(ctx, id)
	if err != nil {
		return api.Build{}, err
	}
	return buildView(b), nil
}

func (d *door) patchBuild(ctx context.Context, c *call, in api.BuildPatch) (api.Build, error) {
	id, err := c.number("build")
	if err != nil {
		return api.Build{}, err
	}
	var b *farm.Build
	if in.State == "" && in.Trial == nil {
		return api.Build{}, farm.Errorf(farm.Invalid, "there is nothing to change: one of the fields state and trial is needed")
	}
	if in.State != "" {
		b, err = d.Farm.SetBuildState(ctx, c.by, id, farm.BuildState(in.State), in.Reason)
	}
	if err == nil && in.Trial != nil {
		b, err = d.Farm.TryBuild(ctx, c.by, id, *in.Trial)
	}
	if err != nil {
		return api.Build{}, err
	}
	return buildView(b), nil
}

func (d *door) removeBuild(ctx context.Context, c *call) (nothing, error) {
	id, err := c.number("build")
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, d.Farm.RemoveBuild(ctx, c.by, id)
}

func buildView(b *farm.Build) api.Build {
	return api.Build{
		ID: b.ID, Product: b.Product, Version: b.Version, Revision: b.Revision, OS: b.OS, Arch: b.Arch, SHA256: b.SHA256, MD5: b.MD5, Size: b.Size,
		Origin: b.Origin, State: string(b.State), Reason: b.Reason, Root: b.Layout.Root, Program: b.Layout.Program, Added: moment(b.Added), By: b.By,
		Trial: b.Trial, Trying: b.TrialWorkers, Proved: b.Proved,
	}
}
