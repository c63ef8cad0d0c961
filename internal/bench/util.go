package bench

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

func unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

// median is the middle value; of an even number, the upper one.
func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// middle is what loads came to in the middle, figure by figure.
func middle(ls []load) load {
	var rates, cpus, allocs []float64
	for _, l := range ls {
		rates, cpus, allocs = append(rates, l.rate), append(cpus, float64(l.cpu)), append(allocs, l.allocs)
	}
	return load{median(rates), time.Duration(median(cpus)), median(allocs)}
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// String is for whoever looks on.
func (l load) String() string {
	return fmt.Sprintf("%.0f/s at %.0f µs and %.0f allocations", l.rate, micro(l.cpu), l.allocs)
}
