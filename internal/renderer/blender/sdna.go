package blender

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// maxSDNA and maxSDNANames bound the description of structs; Blender's own has
// about 150 KB with 5,000 names.
const (
	maxSDNA      = 2 << 20
	maxSDNANames = 1 << 20
)

// field is one member of a struct.
type field struct {
	typ    string
	offset int
	size   int // of one element
	count  int // elements; 1 unless an array
	ptr    bool
}

// layout is one struct: how long it is and where its members are.
type layout struct {
	name   string
	size   int
	fields map[string]field
}

// sdna describes every struct of a scene as the Blender that saved it had them.
type sdna struct {
	head    header
	structs []*layout // by the index that blocks use
	byName  map[string]*layout
}

// sdnaReader takes apart the body of DNA1; any step past its end sets bad.
type sdnaReader struct {
	b     []byte
	pos   int
	order binary.ByteOrder
	bad   bool
}

func (r *sdnaReader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b)-r.pos {
		r.bad = true
		return nil
	}
	r.pos += n
	return r.b[r.pos-n : r.pos]
}

func (r *sdnaReader) tag(want string) {
	r.pos = min((r.pos+3)&^3, len(r.b))
	if string(r.take(4)) != want {
		r.bad = true
	}
}

func (r *sdnaReader) count() int {
	b := r.take(4)
	if b == nil {
		return 0
	}
	n := int(int32(r.order.Uint32(b)))
	if n < 0 || n > maxSDNANames || n > len(r.b)-r.pos {
		r.bad = true
		return 0
	}
	return n
}

func (r *sdnaReader) short() int {
	b := r.take(2)
	if b == nil {
		return 0
	}
	return int(r.order.Uint16(b))
}

func (r *sdnaReader) names() []string {
	out := make([]string, 0, 64)
	for range r.count() {
		n := bytes.IndexByte(r.b[r.pos:], 0)
		if n < 0 || r.bad {
			r.bad = true
			return nil
		}
		out = append(out, string(r.take(n)))
		r.take(1)
	}
	return out
}

// parseSDNA reads the body of a DNA1 block.
func parseSDNA(b []byte, h header) (*sdna, error) {
	r := &sdnaReader{b: b, order: h.order}
	r.tag("SDNA")
	r.tag("NAME")
	names := r.names()
	r.tag("TYPE")
	types := r.names()
	r.tag("TLEN")
	sizes := make([]int, len(types))
	for i := range sizes {
		sizes[i] = r.short()
	}
	r.tag("STRC")
	s := &sdna{head: h, byName: map[string]*layout{}}
	for range r.count() {
		l := s.parseStruct(r, names, types, sizes)
		if r.bad {
			break
		}
		s.structs = append(s.structs, l)
		s.byName[l.name] = l
	}
	if r.bad {
		return nil, damaged("its description of structs (SDNA) is broken", nil)
	}
	return s, nil
}

func (s *sdna) parseStruct(r *sdnaReader, names, types []string, sizes []int) *layout {
	typ := r.short()
	if typ >= len(types) {
		r.bad = true
		return nil
	}
	l := &layout{name: types[typ], size: sizes[typ], fields: map[string]field{}}
	offset := 0
	for range r.short() {
		ft, fn := r.short(), r.short()
		if r.bad || ft >= len(types) || fn >= len(names) {
			r.bad = true
			return nil
		}
		name, f := s.parseName(names[fn])
		f.typ, f.offset = types[ft], offset
		if f.size = sizes[ft]; f.ptr {
			f.size = s.head.ptr
		}
		if f.count < 0 || f.size*f.count > maxSDNA {
			r.bad = true
			return nil
		}
		offset += f.size * f.count
		l.fields[name] = f
	}
	return l
}

// parseName reads a member as C declares it: "*next", "name[66]", "mat[4][4]",
// "(*func)()".
func (s *sdna) parseName(decl string) (string, field) {
	f := field{count: 1, ptr: strings.HasPrefix(decl, "*") || strings.HasPrefix(decl, "(*")}
	name := strings.TrimLeft(decl, "(*")
	if i := strings.IndexAny(name, ")["); i >= 0 {
		dims := name[i:]
		name = name[:i]
		for {
			_, after, ok := strings.Cut(dims, "[")
			if !ok {
				break
			}
			num, rest, _ := strings.Cut(after, "]")
			n, err := strconv.Atoi(num)
			if err != nil || n < 0 || n > maxSDNA {
				f.count = -1
				break
			}
			f.count = min(f.count*n, maxSDNA)
			dims = rest
		}
	}
	return name, f
}

// at returns the struct that blocks call by index, nil when there is none.
func (s *sdna) at(index int) *layout {
	if index < 0 || index >= len(s.structs) {
		return nil
	}
	return s.structs[index]
}

// find walks a path such as "r.im_format.imtype" and gives the member with its
// offset from the beginning of l.
func (s *sdna) find(l *layout, path string) (field, bool) {
	base := 0
	for {
		name, rest, more := strings.Cut(path, ".")
		f, ok := l.fields[name]
		if !ok {
			return field{}, false
		}
		f.offset += base
		if !more {
			return f, true
		}
		if f.ptr {
			return field{}, false
		}
		base = f.offset
		if l, ok = s.byName[f.typ]; !ok {
			return field{}, false
		}
		path = rest
	}
}
