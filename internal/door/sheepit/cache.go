package sheepit

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"drover.farm/internal/farm"
)

// maxCached is how many archives of a client are looked at.
const maxCached = 2000

// cached reads which archives the client has. Clients since 2016 send them as
// XML, the first of them under the content type of a form; others send no body,
// without a length.
func (d *Door) cached(w http.ResponseWriter, r *http.Request) ([]string, params, bool) {
	p := queryOf(r)
	if r.Method != http.MethodPost {
		return nil, p, true
	}
	body, ok := d.body(w, r, maxXML)
	if !ok {
		return nil, p, false
	}
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, p, true
	case body[0] != '<':
		form, _ := url.ParseQuery(string(body)) // the documents allow parameters in a POST
		for k, vs := range form {
			p.Values[k] = append(p.Values[k], vs...)
		}
		return nil, p, true
	}
	list, err := parseCache(body)
	if err != nil {
		http.Error(w, "the list of archives cannot be read: "+err.Error(), http.StatusBadRequest)
		return nil, p, false
	}
	return list, p, true
}

// parseCache reads <cache><file md5="…"/>…</cache>. Entities that a document
// declares are not expanded.
func parseCache(body []byte) ([]string, error) {
	var out []string
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // what counts is ASCII
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		e, ok := t.(xml.StartElement)
		if !ok || e.Name.Local != "file" {
			continue
		}
		for _, a := range e.Attr {
			if m := strings.ToLower(a.Value); a.Name.Local == "md5" && isMD5(m) && len(out) < maxCached {
				out = append(out, m)
			}
		}
	}
}

func isMD5(s string) bool { return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" }

// deletions are the archives of a client that nothing needs any more.
func (d *Door) deletions(ctx context.Context, s *session, cached []string) []*element {
	if s == nil || len(cached) == 0 {
		return nil
	}
	packs, err := d.Farm.PackList(ctx, packPrefix)
	if err != nil {
		if farm.CodeOf(err) != farm.Unavailable {
			d.Log.Warn("the archives cannot be listed", "err", err)
		}
		return nil
	}
	used := make(map[string]bool, len(packs))
	for _, p := range packs {
		used[p.MD5] = used[p.MD5] || p.Used
	}
	var out []*element
	for _, m := range cached {
		if !used[m] {
			out = append(out, el("file", "md5", m, "action", "delete"))
		}
	}
	return out
}
