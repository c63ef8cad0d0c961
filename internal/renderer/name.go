package renderer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPattern leaves room for the number, a view's suffix and the extension
// within the 255 bytes that file systems allow a name.
const maxPattern = 180

// CheckPattern says whether a pattern for names of pictures is usable: a single
// file name, in any alphabet, whose last run of # stands for the frame number.
func CheckPattern(pattern string) error {
	switch {
	case pattern == "":
		return fmt.Errorf("the output name is empty: use a name such as frame_####")
	case len(pattern) > maxPattern:
		return fmt.Errorf("the output name is %d bytes long; at most %d are allowed", len(pattern), maxPattern)
	case !utf8.ValidString(pattern):
		return fmt.Errorf("the output name %q is not valid UTF-8", pattern)
	case strings.ContainsAny(pattern, `/\:*?"<>|`):
		return fmt.Errorf(`the output name %q has one of / \ : * ? " < > |, which not every system allows in a file name; the folder is given apart from the name`, pattern)
	case strings.ContainsFunc(pattern, func(r rune) bool { return unicode.IsControl(r) }):
		return fmt.Errorf("the output name %q has a control character", pattern)
	case pattern[0] == '.' || strings.HasSuffix(pattern, ".") || strings.TrimSpace(pattern) != pattern:
		return fmt.Errorf("the output name %q begins or ends with a dot or a space", pattern)
	}
	return nil
}

// FrameName puts a frame number in the place of the last run of # in pattern,
// padded with zeros to the width of the run. A pattern without # gets the
// number, four wide, at its end. Negative numbers have the sign before the
// padding, which does not count.
func FrameName(pattern string, frame int64) string {
	end := strings.LastIndexByte(pattern, '#') + 1
	if end == 0 {
		pattern += "####"
		end = len(pattern)
	}
	start := end
	for start > 0 && pattern[start-1] == '#' {
		start--
	}
	sign := ""
	if frame < 0 {
		sign, frame = "-", -frame
	}
	return fmt.Sprintf("%s%s%0*d%s", pattern[:start], sign, end-start, frame, pattern[end:])
}
