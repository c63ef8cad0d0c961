package bench

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheReportIsWritten(t *testing.T) {
	t.Parallel()
	r := &Report{Machine: "x", Cores: 2, Load: "0.10"}
	r.hold("cycles", 5400, "cycles/s", "≥ 5000/s", true, "")
	r.hold("ratio", 0.5, "", "≥ 0.7", false, "slow disk")
	r.Sweep = []Point{{"SQLite", 1000, 10, 900, 80, 90}, {"SQLite", 1_000_000, 10, 880, 81, 90}, {"SQLite", 1000, 500, 9000, 70, 90}, {"SQLite", 1_000_000, 500, 8800, 71, 90},
		{"PostgreSQL", 1000, 10, 300, 80, 95}, {"PostgreSQL", 1_000_000, 10, 280, 81, 95}}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bench.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 5400 cycles/s | ≥ 5000/s | held |", "NOT HELD", "slow disk", "load average before the run 0.10", "| SQLite: waiting | 10 workers | 500 workers |", "| 1000000 | 880 (81.0 µs) | 8800 (71.0 µs) |", "| 1000000 | 280 (81.0 µs) |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	var table strings.Builder
	r.Table(&table)
	if want := "PostgreSQL, 1000000 waiting, 10 workers"; !strings.Contains(table.String(), want) {
		t.Errorf("the table lacks %q:\n%s", want, table.String())
	}
	svg, err := os.ReadFile(filepath.Join(dir, "bench.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
}

func TestNextFindsTheLease(t *testing.T) {
	t.Parallel()
	got, ok := next([]byte(`{"accepted":true,"next":{"id":4294967299,"job":1000,"step":0,"step_name":"Render","index":17,"attempt":1}}`))
	if want := (held{4294967299, 1000, 17}); !ok || got != want {
		t.Errorf("found %v, %v", got, ok)
	}
	for _, bad := range []string{"", "{}", `{"next":{"id":5}}`, `{"next":{"id":x`, `{"next":{"id":5,"job":,"index":1}}`} {
		if got, ok := next([]byte(bad)); ok {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

func TestBaselineWritesWhatItAcknowledges(t *testing.T) {
	t.Parallel()
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Baseline(ctx, t.TempDir(), addr) }()
	s := &server{url: "http://" + addr, http: client(16)}
	for range 1000 {
		if resp, err := s.http.Get(s.url + "/healthz"); err == nil {
			resp.Body.Close()
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the server ended: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.pid = os.Getpid()
	got, err := s.writes(ctx, 8, 200*time.Millisecond)
	if err != nil || got.rate <= 0 || got.allocs <= 0 {
		t.Errorf("%v, %v", got, err)
	}
	cancel()
	if err := <-ended; err != http.ErrServerClosed {
		t.Errorf("it ends with %v", err)
	}
}

func TestUnknownMeasurementsAreRefused(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Options{Out: t.TempDir(), Only: []string{"speed"}})
	if err == nil || !strings.Contains(err.Error(), "cycles") {
		t.Errorf("error %v, want one that names what there is", err)
	}
}

func TestMedianAndPercentile(t *testing.T) {
	t.Parallel()
	if m := median([]float64{3, 1, 2}); m != 2 {
		t.Errorf("median %v", m)
	}
	times := make([]time.Duration, 100)
	for i := range times {
		times[i] = time.Duration(100 - i)
	}
	if p := percentile(times, 99); p != 100 {
		t.Errorf("p99 of 1 to 100 is %d", p)
	}
}
