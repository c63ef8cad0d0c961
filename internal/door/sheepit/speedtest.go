package sheepit

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"

	"drover.farm/internal/farm"
)

// attrSpeed has what a session measured, a line for each target.
const attrSpeed = "attr.sheepit.speedtest"

// maxResults is how many targets of an answer are kept.
const maxResults = 20

// speedResult is what a client measured of one target. Ping is 2147483647 when
// the target could not be pinged.
type speedResult struct {
	target string
	speed  float64 // bytes a second
	ping   int64   // ms
}

// speedAnswer takes what a client measured: /server/speedtest.php. The list may
// be empty. Anything but 200 would end the client.
func (d *Door) speedAnswer(w http.ResponseWriter, r *http.Request, s *session) {
	body, ok := d.body(w, r, maxXML)
	if !ok {
		return
	}
	results, err := parseSpeed(body)
	if err != nil {
		http.Error(w, "the results cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx := patient(r)
	if _, err := d.keep(ctx, s); err == nil {
		if err := d.measured(r, s, results); err != nil {
			d.Log.Warn("the measured speed could not be kept", "worker", s.worker, "err", err)
		}
	}
	answer(w, status("speedtest", 0))
}

// measured keeps the results with the session's machine.
func (d *Door) measured(r *http.Request, s *session, results []speedResult) error {
	ctx := patient(r)
	hand, err := d.Farm.Farmhand(ctx, s.worker)
	if err != nil {
		return err
	}
	m := hand.Machine
	m.Amounts, m.Attributes = maps.Clone(m.Amounts), maps.Clone(m.Attributes)
	if m.Amounts == nil {
		m.Amounts = map[string]float64{}
	}
	if m.Attributes == nil {
		m.Attributes = map[string][]string{}
	}
	lines, best := []string{}, 0.0
	for _, x := range results {
		lines = append(lines, fmt.Sprintf("%s speed=%.0f ping=%d", x.target, x.speed, x.ping))
		best = max(best, x.speed)
	}
	m.Attributes[attrSpeed] = lines
	delete(m.Amounts, amountDownload)
	if best > 0 {
		m.Amounts[amountDownload] = best
	}
	_, err = d.Farm.Register(ctx, farm.Registration{By: s.by, Key: hand.Key, Name: hand.Name, Door: hand.Door, Machine: m,
		Slots: hand.Slots, Rules: hand.Rules, Lease: d.Lease, Silence: d.SessionTimeout, News: true})
	return err
}

// parseSpeed reads <speedtest><result target="…" speed="…" ping="…"/>…</speedtest>.
func parseSpeed(body []byte) ([]speedResult, error) {
	var out []speedResult
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		t, err := dec.Token()
		if err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		e, ok := t.(xml.StartElement)
		if !ok || e.Name.Local != "result" || len(out) == maxResults {
			continue
		}
		p := params{map[string][]string{}}
		for _, a := range e.Attr {
			p.Values.Set(a.Name.Local, a.Value)
		}
		out = append(out, speedResult{p.text("target", 300), p.real("speed"), min(p.integer("ping"), math.MaxInt32)})
	}
}

// noise is a file of bytes that nothing packs: the same block again and again.
type noise struct{ size int64 }

const noiseBlock = 1 << 20

var noiseBytes = sync.OnceValue(func() []byte {
	b := make([]byte, noiseBlock)
	c := rand.NewChaCha8([32]byte{1})
	_, _ = c.Read(b) // never fails
	return b
})

// ReadAt implements io.ReaderAt.
func (n noise) ReadAt(p []byte, off int64) (int, error) {
	if off >= n.size {
		return 0, io.EOF
	}
	block := noiseBytes()
	k := copy(p[:min(int64(len(p)), n.size-off)], block[off%noiseBlock:])
	if k < len(p) && off+int64(k) == n.size {
		return k, io.EOF
	}
	if k < len(p) {
		m, err := n.ReadAt(p[k:], off+int64(k))
		return k + m, err
	}
	return k, nil
}

// speedFile is the payload of the speed test. It needs no session: clients fetch
// it without their cookie.
func (d *Door) speedFile(w http.ResponseWriter, r *http.Request) {
	if d.SpeedBytes <= 0 {
		notFound(w)
		return
	}
	body := io.NewSectionReader(noise{d.SpeedBytes}, 0, d.SpeedBytes)
	serve(w, r, &steady{ReadSeeker: body, ctl: http.NewResponseController(w), idle: d.Idle}, "speed-"+strconv.FormatInt(d.SpeedBytes, 10))
}
