package openjd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"
	"strings"
)

// parseJSON reads one JSON value. An error of notation is a syntaxError.
func parseJSON(data []byte) (*node, error) {
	b := jsonBuilder{dec: json.NewDecoder(bytes.NewReader(data)), newlines: newlines(data)}
	b.dec.UseNumber()
	n, err := b.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := b.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, b.syntax(errors.New("more text after the document"))
	}
	return n, nil
}

type jsonBuilder struct {
	builder
	dec *json.Decoder
	// newlines holds the offsets of the line ends.
	newlines []int
}

func newlines(data []byte) []int {
	var at []int
	for i, c := range data {
		if c == '\n' {
			at = append(at, i)
		}
	}
	return at
}

// position is that of the end of the token read last.
func (b *jsonBuilder) position() (line, col int32) {
	offset := int(b.dec.InputOffset())
	i := sort.SearchInts(b.newlines, offset)
	if i == 0 {
		return 1, int32(offset + 1)
	}
	return int32(i + 1), int32(offset - b.newlines[i-1])
}

func (b *jsonBuilder) syntax(err error) error {
	line, col := b.position()
	return syntaxError{Errors{{Rule: "is not JSON: " + strings.TrimPrefix(err.Error(), "json: "), Hint: "mend the JSON", Line: int(line), Column: int(col)}}}
}

func (b *jsonBuilder) value(depth int) (*node, error) {
	tok, err := b.dec.Token()
	if err != nil {
		return nil, b.syntax(err)
	}
	line, col := b.position()
	if err := b.add(depth, line, col); err != nil {
		return nil, err
	}
	n := &node{line: line, col: col}
	switch t := tok.(type) {
	case nil:
		n.kind = kindNull
	case bool:
		n.kind, n.text = kindBool, "false"
		if t {
			n.text = "true"
		}
	case string:
		n.kind, n.text = kindString, t
	case json.Number:
		n.setNumber(t.String())
	case json.Delim:
		if t == '[' {
			err = b.list(n, depth)
		} else {
			err = b.object(n, depth)
		}
	}
	return n, err
}

func (n *node) setNumber(s string) {
	n.kind, n.text = kindFloat, s
	if coreInt.MatchString(s) && len(s) <= 1024 {
		n.kind, n.text = kindInt, decimal(s)
	}
}

func (b *jsonBuilder) list(n *node, depth int) error {
	n.kind = kindList
	for b.dec.More() {
		item, err := b.value(depth + 1)
		if err != nil {
			return err
		}
		if err := n.grow(item); err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	return b.end()
}

func (b *jsonBuilder) object(n *node, depth int) error {
	n.kind = kindMap
	seen := map[string]bool{}
	for b.dec.More() {
		tok, err := b.dec.Token()
		if err != nil {
			return b.syntax(err)
		}
		key, _ := tok.(string)
		line, col := b.position()
		if seen[key] {
			return duplicateKey(key, line, col)
		}
		seen[key] = true
		item, err := b.value(depth + 1)
		if err != nil {
			return err
		}
		if err := n.grow(item); err != nil {
			return err
		}
		n.keys, n.items = append(n.keys, key), append(n.items, item)
	}
	return b.end()
}

// end reads the bracket that More saw.
func (b *jsonBuilder) end() error {
	if _, err := b.dec.Token(); err != nil {
		return b.syntax(err)
	}
	return nil
}
