package flamenco

import (
	"context"
	"io"
)

// place is one of the few for what is large in memory at once, such as logs.
type place struct {
	places chan struct{} // nil: there is no need
	then   func()        // called when it was taken, if not nil
	taken  bool
}

func (p *place) take(ctx context.Context) error {
	if p.taken || p.places == nil {
		return nil
	}
	select {
	case p.places <- struct{}{}:
		p.taken = true
		if p.then != nil {
			p.then()
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *place) free() {
	if p.taken {
		p.taken = false
		<-p.places
	}
}

// readAll reads r to its end. Beyond smallBody it waits for a place first, which
// it keeps. size is how much is expected at most, -1 if that is not known.
func (p *place) readAll(ctx context.Context, r io.Reader, size int64) ([]byte, error) {
	head, err := io.ReadAll(io.LimitReader(r, smallBody))
	if err != nil || len(head) < smallBody {
		return head, err
	}
	if err := p.take(ctx); err != nil {
		return nil, err
	}
	body := make([]byte, len(head), max(size+1, 2*smallBody))
	copy(body, head)
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF { //nolint:errorlint // of a reader, as io.ReadAll
			return body, nil
		} else if err != nil {
			return nil, err
		}
	}
}
