package sheepit

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// element is a piece of an answer. Attributes come in pairs of name and value.
type element struct {
	name  string
	attrs []string
	text  string
	kids  []*element
}

func el(name string, attrs ...string) *element { return &element{name: name, attrs: attrs} }

func (e *element) add(kids ...*element) *element {
	e.kids = append(e.kids, kids...)
	return e
}

// status is the element of which most answers consist.
func status(name string, code int) *element { return el(name, "status", strconv.Itoa(code)) }

func number[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

var (
	attrEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\r", "&#13;", "\t", "&#9;")
	textEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
)

// legal drops what XML 1.0 (section 2.2) has no characters for.
func legal(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0xfffe, r == 0xffff:
			return -1
		}
		return r
	}, s)
}

func (e *element) write(b *strings.Builder, depth int) {
	indent := strings.Repeat("  ", depth)
	b.WriteString(indent + "<" + e.name)
	for i := 0; i+1 < len(e.attrs); i += 2 {
		b.WriteString(" " + e.attrs[i] + `="` + attrEscaper.Replace(legal(e.attrs[i+1])) + `"`)
	}
	switch {
	case len(e.kids) > 0:
		b.WriteString(">\n")
		for _, k := range e.kids {
			k.write(b, depth+1)
		}
		b.WriteString(indent + "</" + e.name + ">\n")
	case e.text != "":
		b.WriteString(">" + textEscaper.Replace(legal(e.text)) + "</" + e.name + ">\n")
	default:
		b.WriteString("/>\n")
	}
}

// answer writes a document. It must begin with the declaration, and be text/xml:
// clients since 2020 take nothing else.
func answer(w http.ResponseWriter, e *element) { answerStatus(w, http.StatusOK, e) }

func answerStatus(w http.ResponseWriter, code int, e *element) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8" ?>` + "\n")
	e.write(&b, 0)
	h := w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(code)
	_, _ = w.Write([]byte(b.String())) // a client that has gone is no fault of ours
}
