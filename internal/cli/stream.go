package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
)

// assignments writes parameters as Name=value, by name.
func assignments(p map[string]string) string {
	parts := make([]string, 0, len(p))
	for _, k := range slices.Sorted(maps.Keys(p)) {
		parts = append(parts, k+"="+p[k])
	}
	return strings.Join(parts, " ")
}

// jsonList writes a JSON list an element at a time, one a line.
type jsonList struct {
	w   *bufio.Writer
	any bool
}

func newJSONList(w io.Writer) *jsonList { return &jsonList{w: bufio.NewWriter(w)} }

func (l *jsonList) add(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if l.any {
		l.w.WriteString(",\n")
	} else {
		l.w.WriteString("[\n")
	}
	l.any = true
	_, err = l.w.Write(data)
	return err
}

func (l *jsonList) end() error {
	if !l.any {
		l.w.WriteString("[")
	}
	l.w.WriteString("\n]\n")
	return l.w.Flush()
}

// tameWriter passes text on without control characters other than line ends
// and tabs, so that a log cannot steer the terminal.
type tameWriter struct{ w io.Writer }

func (t *tameWriter) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for _, b := range p {
		switch {
		case b == '\n' || b == '\t' || b >= 0x20 && b != 0x7f:
			out = append(out, b)
		case b == '\r':
		default:
			out = append(out, '?')
		}
	}
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
