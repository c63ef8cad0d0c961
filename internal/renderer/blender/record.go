package blender

import (
	"bytes"
	"math"
	"strings"
	"unicode/utf8"
)

// record is one struct read from a scene. Members that the scene's Blender did
// not have, or that lie past the end of the data, read as zero.
type record struct {
	dna    *sdna
	layout *layout
	data   []byte
}

// records splits the body of a block that holds structs of one kind.
func (s *sdna) records(l *layout, body []byte) []record {
	if l == nil || l.size == 0 {
		return nil
	}
	var out []record
	for len(body) >= l.size {
		out = append(out, record{s, l, body[:l.size]})
		body = body[l.size:]
	}
	return out
}

func (r record) bytes(path string) ([]byte, field) {
	if r.layout == nil {
		return nil, field{}
	}
	f, ok := r.dna.find(r.layout, path)
	if !ok || f.offset+f.size*f.count > len(r.data) {
		return nil, field{}
	}
	return r.data[f.offset : f.offset+f.size*f.count], f
}

func (r record) has(path string) bool {
	b, _ := r.bytes(path)
	return b != nil
}

// int reads a whole number of 1, 2, 4 or 8 bytes, with its sign.
func (r record) int(path string) int64 {
	b, f := r.bytes(path)
	if len(b) < f.size || f.ptr {
		return 0
	}
	o := r.dna.head.order
	unsigned := strings.HasPrefix(f.typ, "u")
	switch f.size {
	case 1:
		if f.typ == "int8_t" {
			return int64(int8(b[0]))
		}
		return int64(b[0]) // char holds small codes, some above 127
	case 2:
		if unsigned {
			return int64(o.Uint16(b))
		}
		return int64(int16(o.Uint16(b)))
	case 4:
		if unsigned {
			return int64(o.Uint32(b))
		}
		return int64(int32(o.Uint32(b)))
	case 8:
		return int64(o.Uint64(b))
	}
	return 0
}

// float reads a 4-byte number.
func (r record) float(path string) float32 {
	b, f := r.bytes(path)
	if len(b) < 4 || f.size != 4 {
		return 0
	}
	return math.Float32frombits(r.dna.head.order.Uint32(b))
}

// ptr reads an address; 0 means none.
func (r record) ptr(path string) uint64 {
	b, f := r.bytes(path)
	switch {
	case !f.ptr || len(b) < f.size:
		return 0
	case f.size == 8:
		return r.dna.head.order.Uint64(b)
	}
	return uint64(r.dna.head.order.Uint32(b))
}

// text reads characters up to the first zero, made valid UTF-8.
func (r record) text(paths ...string) string {
	for _, path := range paths {
		if b, f := r.bytes(path); b != nil && !f.ptr && f.size == 1 {
			return cString(b)
		}
	}
	return ""
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// idName is the name of a data-block without the two letters of its kind.
func (r record) idName() string {
	name := r.text("id.name", "name")
	if len(name) < 2 {
		return ""
	}
	return name[2:]
}
