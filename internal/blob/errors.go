package blob

import (
	"errors"
	"fmt"
)

// The errors by which stores say what happened; test for them with errors.Is.
var (
	// ErrNotFound means that there is no such blob or upload.
	ErrNotFound = errors.New("not found")
	// ErrMismatch means that the content is not that of the hash it was
	// announced with. Nothing was kept.
	ErrMismatch = errors.New("content does not match the announced SHA-256")
	// ErrFull means that the disk, the bucket or the quota has no room.
	ErrFull = errors.New("no space left for files")
	// ErrBusy means that another request is writing the same upload.
	ErrBusy = errors.New("another request is writing this upload")
	// ErrOffset means that an append does not begin where the upload ends;
	// errors.As with *OffsetError has the right offset.
	ErrOffset = errors.New("wrong offset")
	// ErrTooLarge means more bytes than were announced or are allowed.
	ErrTooLarge = errors.New("too large")
	// ErrIncomplete means fewer bytes than were announced.
	ErrIncomplete = errors.New("incomplete")
	// ErrCorrupt means that a stored blob no longer has its content.
	ErrCorrupt = errors.New("stored file is damaged")
	// ErrInvalid means an argument that no store could accept.
	ErrInvalid = errors.New("invalid argument")
	// ErrTooMany means a limit on a number of things, such as open uploads.
	ErrTooMany = errors.New("too many")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("store is closed")
)

// OffsetError is an ErrOffset that says where the upload ends.
type OffsetError struct {
	// Got is the offset of the request, Want the end of the upload.
	Got, Want int64
}

// Error says both offsets.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("wrong offset: the upload continues at %d, not at %d", e.Want, e.Got)
}

// Is makes errors.Is(err, ErrOffset) hold.
func (e *OffsetError) Is(target error) bool { return target == ErrOffset }

// AsFull makes what the system says of a full disk an ErrFull that wraps it;
// any other error, and nil, it gives back as it is.
func AsFull(err error) error {
	if systemFull(err) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
