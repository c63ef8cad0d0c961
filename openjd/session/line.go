package session

import (
	"log/slog"
	"time"
)

// Stream says where a line comes from.
type Stream string

// The streams of a session's log. A process has one stream for its standard
// output and error, so that their lines keep their order and what one of them
// declares secret is never shown by the other.
const (
	// StreamOutput is what a process of an action printed.
	StreamOutput Stream = "output"
	// StreamSession is what the session says of its own doings.
	StreamSession Stream = "session"
)

// Line is one line of a session's log. Its text is valid UTF-8, without the line
// end, and holds no redacted value.
type Line struct {
	Time   time.Time
	Stream Stream
	// Level matters for StreamSession; it is Info for output.
	Level slog.Level
	Text  string
	// Continued says that the text goes on from the line before: lines of more
	// than 64 KiB come in pieces.
	Continued bool
	// Background says that the line was printed after its action had ended, by a
	// process that the action left running.
	Background bool
}
