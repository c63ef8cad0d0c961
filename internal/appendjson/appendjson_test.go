package appendjson_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"drover.farm/internal/appendjson"
)

// same fails unless the bytes are what encoding/json makes of v.
func same(t *testing.T, v any, got []byte, err error) {
	t.Helper()
	want, werr := json.Marshal(v)
	if (err == nil) != (werr == nil) || err == nil && string(got) != "x"+string(want) {
		t.Errorf("%v is %q, %v; want %q, %v", v, got, err, want, werr)
	}
}

func TestValuesAreWhatJSONMakesOfThem(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "render-1", "a \"b\" \\ c", "<&>", "é\u2028", "\x00\n\x7f", "\xff"} {
		same(t, s, appendjson.String([]byte("x"), s), nil)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	for _, v := range []time.Time{at, {}, at.In(time.FixedZone("", 7200)), at.Truncate(time.Second)} {
		same(t, v, appendjson.Time([]byte("x"), v), nil)
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1.5, -0.1, 1e-6, 9.9e-7, 1e20, 1e21, 1e-300, math.MaxFloat64, math.Pi, math.NaN(), math.Inf(1)} {
		got, err := appendjson.Float([]byte("x"), f)
		same(t, f, got, err)
	}
}

func FuzzValues(f *testing.F) {
	f.Add("text", 1.5)
	f.Fuzz(func(t *testing.T, s string, n float64) {
		same(t, s, appendjson.String([]byte("x"), s), nil)
		got, err := appendjson.Float([]byte("x"), n)
		same(t, n, got, err)
	})
}
