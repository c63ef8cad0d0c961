package web

import (
	"fmt"
	"testing"
)

// BenchmarkFirstScreen draws the first screen of a farm with workers and frames.
func BenchmarkFirstScreen(bm *testing.B) {
	b := setup(bm, Config{})
	b.submit("sam", "ball", 200)
	for i := range 100 {
		w := b.join(fmt.Sprintf("node%d", i))
		b.finish(w, b.claim(w), fmt.Sprintf("%04d.png", i), drawing(i))
	}
	sam := b.open("sam")
	for bm.Loop() {
		sam.page("/ui/")
	}
}

// BenchmarkJobOf100000 draws the page of a job of 100,000 tasks, and what of its
// grid is in sight at first.
func BenchmarkJobOf100000(bm *testing.B) {
	b := setup(bm, Config{})
	b.submit("sam", "film", 100_000)
	sam := b.open("sam")
	for bm.Loop() {
		sam.page("/ui/jobs/1000")
		sam.page("/ui/jobs/1000/cells?from=0&n=400")
	}
}

// TestFirstScreenIsLight holds the first screen, with all that it loads but
// pictures, to 150 kB on the line.
func TestFirstScreenIsLight(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.scene()
	sam, sum := b.open("sam"), 0
	for _, path := range []string{"/ui/", b.site.assets.url("drover.css"), b.site.assets.url("drover.js"), b.site.assets.url("vendor/htmx.min.js"), b.site.assets.url("vendor/sse.min.js"), b.site.assets.url("icon.svg")} {
		req := sam.request(get, path, nil)
		req.Header.Set("Accept-Encoding", "gzip")
		a := sam.send(req)
		if a.status != 200 {
			t.Errorf("%s: %d", path, a.status)
		}
		sum += len(a.body)
	}
	if sum > 150_000 {
		t.Errorf("the first screen takes %d bytes", sum)
	}
	t.Logf("%d bytes", sum)
}
