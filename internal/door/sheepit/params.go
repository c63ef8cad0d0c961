package sheepit

import (
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds of what clients say.
const (
	maxParam = 4096      // bytes of one parameter
	maxForm  = 64 << 10  // bytes of a form
	maxXML   = 256 << 10 // bytes of an XML document
)

// params are the parameters of a request. Of doubled ones the first counts.
type params struct{ url.Values }

// queryOf reads the query. What cannot be decoded is left out.
func queryOf(r *http.Request) params {
	v, _ := url.ParseQuery(r.URL.RawQuery) // the good pairs come beside the error
	return params{v}
}

// formOf reads query and form: clients until 2017 send parameters in the query,
// later ones as a form, whatever the documents say. It answers requests that are
// too large.
func (d *Door) formOf(w http.ResponseWriter, r *http.Request) (params, bool) {
	p := queryOf(r)
	if r.Method != http.MethodPost {
		return p, true
	}
	if t := r.Header.Get("Content-Type"); t != "" && !strings.HasPrefix(t, "application/x-www-form-urlencoded") {
		return p, true
	}
	body, ok := d.body(w, r, maxForm)
	if !ok {
		return p, false
	}
	form, _ := url.ParseQuery(string(body))
	for k, vs := range form {
		p.Values[k] = append(p.Values[k], vs...)
	}
	return p, true
}

// body reads a small body within a time; it answers 413 when it is larger, 400
// when it breaks off.
func (d *Door) body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d.Idle)) // where there is no deadline the server's holds
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	switch {
	case err != nil:
		http.Error(w, "the body broke off", http.StatusBadRequest)
	case int64(len(body)) > limit:
		w.Header().Set("Connection", "close")
		http.Error(w, "the body is longer than the "+number(limit)+" bytes that are read here", http.StatusRequestEntityTooLarge)
	default:
		return body, true
	}
	return nil, false
}

// text is a parameter as people may read it: one line, bounded, UTF-8.
func (p params) text(name string, limit int) string {
	s := p.Get(name)
	if len(s) > maxParam {
		s = s[:maxParam]
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit])
	}
	return s
}

// integer is a parameter as a whole number from 0 on, 0 for anything else.
func (p params) integer(name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(p.Get(name)), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// real is a parameter as a number from 0 on. Clients of 2017 send such things as
// "%!d(float64=0)": that is 0, like all nonsense.
func (p params) real(names ...string) float64 {
	for _, name := range names {
		f, err := strconv.ParseFloat(strings.TrimSpace(p.Get(name)), 64)
		if err == nil && f > 0 && f <= math.MaxInt32 {
			return f
		}
	}
	return 0
}

// kib is a parameter in KiB as bytes, 0 when it is nonsense.
func (p params) kib(name string) int64 {
	n := p.integer(name)
	if n > 1<<42 {
		return 0
	}
	return n << 10
}
