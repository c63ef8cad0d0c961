package native

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// number reads a number of the path.
func (c *call) number(name string) (int64, error) {
	return parseID(name, c.r.PathValue(name))
}

func parseID(what, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, farm.Errorf(farm.Invalid, "%q is not the number of a %s", clip(s, 50), what)
	}
	return n, nil
}

// get reads a parameter of the query that is there once at most.
func (c *call) get(name string) (string, error) {
	switch vs := c.r.URL.Query()[name]; len(vs) {
	case 0:
		return "", nil
	case 1:
		return vs[0], nil
	}
	return "", farm.Errorf(farm.Invalid, "the parameter %s is there more than once", name)
}

// integer reads a number of the query, def when it is not there.
func (c *call) integer(name string, def, low, high int64) (int64, error) {
	s, err := c.get(name)
	if err != nil || s == "" {
		return def, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high {
		return 0, farm.Errorf(farm.Invalid, "%s must be a whole number from %d to %d, not %q", name, low, high, clip(s, 50))
	}
	return n, nil
}

// required reads an id of the query that must be there.
func (c *call) required(name string) (int64, error) {
	s, err := c.get(name)
	if err != nil {
		return 0, err
	}
	if s == "" {
		return 0, farm.Errorf(farm.Invalid, "the parameter %s is missing", name)
	}
	return parseID(name, s)
}

// flag reads a switch of the query.
func (c *call) flag(name string) (bool, error) {
	s, err := c.get(name)
	if err != nil {
		return false, err
	}
	switch s {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	}
	return false, farm.Errorf(farm.Invalid, "%s must be 1 or 0, not %q", name, clip(s, 50))
}

// oneOf reads a list of words: several parameters, or one with commas.
func oneOf[T ~string](c *call, name string, known ...T) ([]T, error) {
	var out []T
	for _, v := range c.r.URL.Query()[name] {
		for s := range strings.SplitSeq(v, ",") {
			if !slices.Contains(known, T(s)) {
				return nil, farm.Errorf(farm.Invalid, "%s %q is not known; there are %s", name, clip(s, 50), joined(known))
			}
			if !slices.Contains(out, T(s)) {
				out = append(out, T(s))
			}
		}
	}
	return out, nil
}

func joined[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// hash reads the name of a blob in the path.
func (c *call) hash() (blob.Hash, error) { return parseHash(c.r.PathValue("sha256")) }

func parseHash(s string) (blob.Hash, error) {
	h, err := blob.ParseHash(s)
	if err == nil && h.String() != s {
		return h, farm.Errorf(farm.Invalid, "the SHA-256 %q is not in lower case", clip(s, 70))
	}
	return h, err
}

// maxWait is how long a request may ask to be held back.
const maxWait = 60 * time.Second

// wait turns seconds into a time to wait.
func wait(seconds float64) time.Duration {
	return time.Duration(min(max(seconds, 0), maxWait.Seconds()) * float64(time.Second))
}

// finite turns a worker's seconds into what a database can hold.
func finite(seconds float64) float64 {
	if math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return 0
	}
	return min(max(seconds, 0), 1e9)
}
