package browser

import (
	"context"
	"net/http"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// cookies are the page's.
func cookies(p *tab) []*http.Cookie {
	p.Helper()
	var out []*http.Cookie
	p.run(chromedp.ActionFunc(func(ctx context.Context) error {
		cs, err := network.GetCookies().Do(ctx)
		for _, c := range cs {
			out = append(out, &http.Cookie{Name: c.Name, Value: c.Value})
		}
		return err
	}))
	return out
}
