package native

import (
	"context"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
)

func (d *door) environments(ctx context.Context, _ *call) (api.EnvironmentList, error) {
	out := api.EnvironmentList{Environments: []api.Environment{}}
	list, err := d.Farm.Environments(ctx)
	for _, e := range list {
		out.Environments = append(out.Environments, environmentView(&e))
	}
	return out, err
}

func environmentView(e *farm.Environment) api.Environment {
	return api.Environment{Name: e.Name, Tag: e.Tag, Template: e.Template, By: e.By, Changed: e.Changed}
}

func (d *door) setEnvironment(ctx context.Context, c *call, in api.NewEnvironment) (api.Environment, error) {
	e, err := d.Farm.SetEnvironment(ctx, c.by, farm.Environment{Template: in.Template, Tag: in.Tag})
	if err != nil {
		return api.Environment{}, err
	}
	return environmentView(e), nil
}

func (d *door) removeEnvironment(ctx context.Context, c *call) (nothing, error) {
	return nothing{}, d.Farm.RemoveEnvironment(ctx, c.by, c.r.PathValue("name"))
}
