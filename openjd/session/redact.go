package session

import (
	"errors"
	"slices"
	"strings"
	"sync"
)

// mask stands for a redacted value, of whatever length (extension
// REDACTED_ENV_VARS).
const mask = "********"

// The bounds of what a session may ask to hide.
const (
	maxSecrets     = 4096
	maxSecretBytes = 1 << 20
)

var errTooManySecrets = errors.New("more values are to be redacted than a session keeps (4096 values, 1 MiB)")

// redactor removes secret values from text. It is safe for concurrent use.
type redactor struct {
	mu     sync.RWMutex
	values []string
	// lines are hidden only where they are the whole line: short parts of a value
	// of several lines, such as a lone brace.
	lines []string
	bytes int
}

// add hides value from now on. A value of several lines is hidden line by line.
func (r *redactor) add(value string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := strings.FieldsFunc(value, func(c rune) bool { return c == '\n' || c == '\r' })
	for _, p := range parts {
		trimmed := strings.TrimSpace(p)
		for _, v := range []string{p, trimmed} {
			if v == "" {
				continue
			}
			list := &r.values
			if len(parts) > 1 && len(v) < 4 {
				list = &r.lines
			}
			if slices.Contains(*list, v) {
				continue
			}
			if len(r.values)+len(r.lines) >= maxSecrets || r.bytes+len(v) > maxSecretBytes {
				return errTooManySecrets
			}
			*list = append(*list, v)
			r.bytes += len(v)
		}
	}
	return nil
}

// apply returns s with every secret replaced by the mask; overlapping ones share
// one.
func (r *redactor) apply(s string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if slices.Contains(r.lines, strings.TrimSpace(s)) {
		return mask
	}
	type span struct{ from, to int }
	var spans []span
	for _, v := range r.values {
		for at := 0; ; {
			i := strings.Index(s[at:], v)
			if i < 0 {
				break
			}
			spans = append(spans, span{at + i, at + i + len(v)})
			at += i + 1
		}
	}
	if len(spans) == 0 {
		return s
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var b strings.Builder
	done := 0
	for i := 0; i < len(spans); {
		from, to := spans[i].from, spans[i].to
		for i++; i < len(spans) && spans[i].from <= to; i++ {
			to = max(to, spans[i].to)
		}
		b.WriteString(s[done:from])
		b.WriteString(mask)
		done = to
	}
	b.WriteString(s[done:])
	return b.String()
}

// unfinished is the length of the longest end of s with which a secret begins
// that is not yet whole.
func (r *redactor) unfinished(s string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	longest := 0
	for _, v := range r.values {
		longest = max(longest, unfinished(s, v))
	}
	return longest
}

// unfinished is the length of the longest end of s with which v begins but is not
// yet whole.
func unfinished(s, v string) int {
	for n := min(len(v)-1, len(s)); n > 0; n-- {
		if strings.HasSuffix(s, v[:n]) {
			return n
		}
	}
	return 0
}
