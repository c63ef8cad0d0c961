package frame

import (
	"bytes"
	"io"
)

// HeadLen is how many bytes of a file Looks needs.
const HeadLen = tgaHeaderLen

// Looks tells the format that a file seems to have by its first HeadLen bytes,
// for who wants to refuse what is no picture before keeping it. It proves nothing
// else.
func Looks(head []byte) (Format, bool) {
	f, err := sniff(&source{r: io.NewSectionReader(bytes.NewReader(head), 0, int64(len(head))), size: int64(len(head))}, "")
	return f, err == nil
}
