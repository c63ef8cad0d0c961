package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"drover.farm/internal/api"
)

// recognising is how long the farm may take to read an archive.
const recognising = 15 * time.Minute

// AddBuild adds a build whose archive was uploaded.
func (c *Client) AddBuild(ctx context.Context, b api.NewBuild) (*api.Build, error) {
	out := new(api.Build)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/builds", in: b, out: out, hold: recognising})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Builds lists the builds in the library; a product other than "" restricts it.
func (c *Client) Builds(ctx context.Context, product string) (*api.BuildList, error) {
	q := url.Values{}
	if product != "" {
		q.Set("product", product)
	}
	return get[api.BuildList](ctx, c, "/builds", q)
}

// Build returns a build.
func (c *Client) Build(ctx context.Context, build int64) (*api.Build, error) {
	return get[api.Build](ctx, c, "/builds/"+id(build), nil)
}

// ChangeBuild changes the state of a build.
func (c *Client) ChangeBuild(ctx context.Context, build int64, p api.BuildPatch) (*api.Build, error) {
	return send[api.Build](ctx, c, http.MethodPatch, "/builds/"+id(build), p)
}

// RemoveBuild removes a build.
func (c *Client) RemoveBuild(ctx context.Context, build int64) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/builds/" + id(build), once: true})
	return err
}
