package frame

import (
	"bytes"
	"errors"
	"io"
)

var magics = []struct {
	format Format
	magic  string
}{
	{PNG, "\x89PNG\r\n\x1a\n"},
	{JPEG, "\xff\xd8\xff"},
	{TIFF, "II*\x00"},
	{TIFF, "MM\x00*"},
	{TIFF, "II+\x00"},
	{TIFF, "MM\x00+"},
	{OpenEXR, "\x76\x2f\x31\x01"},
	{HDR, "#?"},
	{BMP, "BM"},
}

// sniff returns the format of the file by its first bytes. Targa has no magic
// number: it is what has a Targa header and is nothing else.
func sniff(src *source, want Format) (Format, error) {
	head := make([]byte, tgaHeaderLen)
	n, err := io.ReadFull(src.section(0, int64(len(head))), head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	head = head[:n]
	if n == 0 {
		return "", &Fault{Kind: Truncated, Format: want, Message: "the file is empty"}
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.format, nil
		}
		if m.format == want && bytes.HasPrefix([]byte(m.magic), head) {
			return "", truncated(want, "it has only %d bytes", n)
		}
	}
	if h, ok := parseTGAHeader(head); ok && h.plausible() {
		return TARGA, nil
	}
	if want == TARGA && n < tgaHeaderLen {
		return "", truncated(want, "it has only %d bytes", n)
	}
	return "", &Fault{Kind: NotAPicture, Message: "the file is not a picture in a format that Drover reads (PNG, JPEG, BMP, TIFF, TARGA, OPEN_EXR, HDR)"}
}
