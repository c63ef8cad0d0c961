package frame

import (
	"errors"
	"fmt"
	"io"
)

// Kind is what is wrong with a picture. Its text is stable and may be stored.
type Kind string

// The kinds of faults.
const (
	// NotAPicture: the file is in none of the formats that are read.
	NotAPicture Kind = "not-a-picture"
	// Truncated: bytes that belong to the picture are missing.
	Truncated Kind = "truncated"
	// Damaged: the bytes contradict themselves or a checksum.
	Damaged Kind = "damaged"
	// WrongFormat: a picture, but not of the format that was asked for.
	WrongFormat Kind = "wrong-format"
	// WrongSize: a picture, but not of the size that was asked for.
	WrongSize Kind = "wrong-size"
	// Black: a whole picture that shows nothing.
	Black Kind = "black"
	// TooLarge: beyond the limits of this package.
	TooLarge Kind = "too-large"
	// Unsupported: in a variant of its format that is not read.
	Unsupported Kind = "unsupported"
)

// Fault says what is wrong with a picture.
type Fault struct {
	Kind Kind
	// Format is the format that was recognised, "" for none.
	Format Format
	// Message is a sentence for people, without the file's name.
	Message string
}

// Error returns the sentence for people.
func (f *Fault) Error() string { return f.Message }

// KindOf returns the kind of the Fault in err's tree, "" if there is none.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return ""
}

func damaged(f Format, format string, args ...any) error {
	return &Fault{Kind: Damaged, Format: f, Message: fmt.Sprintf("the %s picture is damaged: ", f) + fmt.Sprintf(format, args...)}
}

func truncated(f Format, format string, args ...any) error {
	return &Fault{Kind: Truncated, Format: f, Message: fmt.Sprintf("the %s picture is cut short: ", f) + fmt.Sprintf(format, args...)}
}

func unsupported(f Format, format string, args ...any) error {
	return &Fault{Kind: Unsupported, Format: f, Message: fmt.Sprintf("the %s picture cannot be checked: ", f) + fmt.Sprintf(format, args...)}
}

// broken turns an error of reading or unpacking what into a fault: an early end
// is a truncated picture, anything else a damaged one. A fault stays itself.
func broken(f Format, err error, format string, args ...any) error {
	var fault *Fault
	if errors.As(err, &fault) {
		return fault
	}
	what := fmt.Sprintf(format, args...)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return truncated(f, "it ends in %s", what)
	}
	return damaged(f, "%s: %v", what, err)
}
