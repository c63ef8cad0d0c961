package client

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"time"

	"drover.farm/internal/api"
)

// Worker methods: the part of the API that a native worker speaks.

// Register makes a worker known.
func (c *Client) Register(ctx context.Context, r api.Registration) (*api.Worker, error) {
	return send[api.Worker](ctx, c, http.MethodPost, "/workers", r)
}

// Claim asks for a task; nil without an error when there was none within
// k.Wait seconds. It is repeated only with a key, which makes repeats harmless.
func (c *Client) Claim(ctx context.Context, worker int64, k api.Claim) (*api.Lease, error) {
	out := new(api.Lease)
	status, err := c.do(ctx, call{method: http.MethodPost, path: "/workers/" + id(worker) + "/claim", in: k, out: out, once: k.Key == "", hold: seconds(k.Wait)})
	if err != nil || status == http.StatusNoContent {
		return nil, err
	}
	return out, nil
}

// Heartbeat renews leases; the answer is held back up to p.Wait seconds.
func (c *Client) Heartbeat(ctx context.Context, worker int64, p api.Pulse) (*api.PulseReply, error) {
	out := new(api.PulseReply)
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/workers/" + id(worker) + "/heartbeat", in: p, out: out, hold: seconds(p.Wait)})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Complete ends an attempt that succeeded. Repeats are acknowledged again.
func (c *Client) Complete(ctx context.Context, lease int64, r api.Result) (*api.Verdict, error) {
	return send[api.Verdict](ctx, c, http.MethodPost, "/leases/"+id(lease)+"/complete", r)
}

// Fail ends an attempt that failed.
func (c *Client) Fail(ctx context.Context, lease int64, r api.Result) (*api.Verdict, error) {
	return send[api.Verdict](ctx, c, http.MethodPost, "/leases/"+id(lease)+"/fail", r)
}

// Return gives leases back untried.
func (c *Client) Return(ctx context.Context, worker int64, g api.GiveBack) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/workers/" + id(worker) + "/return", in: g})
	return err
}

// SignOff ends a worker's session.
func (c *Client) SignOff(ctx context.Context, worker int64) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/workers/" + id(worker) + "/signoff"})
	return err
}

func ofWorker(worker int64) url.Values { return url.Values{"worker": {id(worker)}} }

// Work returns what a session of the lease's job takes.
func (c *Client) Work(ctx context.Context, worker, lease int64) (*api.Work, error) {
	return get[api.Work](ctx, c, "/leases/"+id(lease)+"/work", ofWorker(worker))
}

// Inputs returns a page of the outputs that the lease's step depends on.
func (c *Client) Inputs(ctx context.Context, worker, lease int64, after string) (*api.Outputs, error) {
	q := ofWorker(worker)
	if after != "" {
		q.Set("after", after)
	}
	return get[api.Outputs](ctx, c, "/leases/"+id(lease)+"/inputs", q)
}

// logPiece is how much of a log the farm takes in one request.
const logPiece = 1 << 20

// AppendLog adds to a lease's live log, in several requests if it is much. It is
// tried once: what is lost is sent again with the next piece.
func (c *Client) AppendLog(ctx context.Context, worker, lease, offset int64, data []byte) error {
	for {
		n := min(len(data), logPiece)
		q := ofWorker(worker)
		q.Set("offset", id(offset))
		if err := c.put(ctx, "/leases/"+id(lease)+"/log", q, bytes.NewReader(data[:n]), int64(n)); err != nil {
			return err
		}
		if data = data[n:]; len(data) == 0 {
			return nil
		}
		offset += int64(n)
	}
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
