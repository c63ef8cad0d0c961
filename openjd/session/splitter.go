package session

import "unicode/utf8"

// maxLine bounds the bytes of one output line; a longer one comes in pieces.
const maxLine = 64 << 10

// piece is a line of output, or a part of one that is longer than maxLine.
type piece struct {
	text []byte
	// continued says that the line began in an earlier piece, more that it goes
	// on in a later one.
	continued, more bool
}

// splitter cuts a stream into lines in bounded memory. A line ends with \n, \r\n,
// or a lone \r, by which programs rewrite a progress line; an empty line that ends
// with a lone \r is none.
type splitter struct {
	max int
	buf []byte
	// emit gets each piece, which is valid until it returns, and answers how many
	// of its last bytes the next piece of the same line shall repeat.
	emit func(piece) (keep int)

	continued bool
	afterCR   bool
	// emptyCR says that the \r before ended nothing, so that \r\n is still a line.
	emptyCR bool
}

// Write never fails.
func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		c := p[0]
		if s.afterCR {
			s.afterCR = false
			if c == '\n' {
				if s.emptyCR {
					s.line()
				}
				p = p[1:]
				continue
			}
		}
		switch c {
		case '\n':
			s.line()
			p = p[1:]
		case '\r':
			s.afterCR, s.emptyCR = true, len(s.buf) == 0 && !s.continued
			if !s.emptyCR {
				s.line()
			}
			p = p[1:]
		default:
			p = s.fill(p)
		}
	}
	return n, nil
}

// fill takes bytes up to the next line end, or as many as a piece holds.
func (s *splitter) fill(p []byte) []byte {
	end := 0
	for end < len(p) && p[end] != '\n' && p[end] != '\r' {
		end++
	}
	room := s.max - len(s.buf)
	if end <= room {
		s.buf = append(s.buf, p[:end]...)
		return p[end:]
	}
	s.buf = append(s.buf, p[:room]...)
	s.cut()
	return p[room:]
}

// cut emits a full buffer as a piece, whole characters only.
func (s *splitter) cut() {
	end := len(s.buf)
	for back := 1; back < utf8.UTFMax && back < end; back++ {
		if utf8.RuneStart(s.buf[end-back]) {
			if !utf8.FullRune(s.buf[end-back:]) {
				end -= back
			}
			break
		}
	}
	if s.piece(end) == end {
		// Nothing went, and nothing more would fit: what is held back is lost.
		s.buf = append(s.buf[:0], s.buf[end:]...)
	}
}

// piece emits the first end bytes with more to come.
func (s *splitter) piece(end int) (kept int) {
	kept = min(max(s.emit(piece{text: s.buf[:end], continued: s.continued, more: true}), 0), end)
	s.buf = append(s.buf[:0], s.buf[end-kept:]...)
	s.continued = true
	return kept
}

func (s *splitter) line() {
	s.emit(piece{text: s.buf, continued: s.continued})
	s.buf, s.continued = s.buf[:0], false
}

// flush emits what stands unfinished, as far as emit lets it go.
func (s *splitter) flush() {
	if len(s.buf) > 0 {
		s.piece(len(s.buf))
	}
}

// close emits what stands unfinished as a last line.
func (s *splitter) close() {
	if len(s.buf) > 0 {
		s.line()
	}
}
