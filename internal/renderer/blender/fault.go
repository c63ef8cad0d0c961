package blender

import "fmt"

// FaultKind says in what way a file is no scene that can be rendered.
type FaultKind string

// The kinds of a SceneFault.
const (
	NotBlend           FaultKind = "not-a-blend"         // some other kind of file
	Damaged            FaultKind = "damaged"             // truncated or overwritten
	TooOld             FaultKind = "too-old"             // saved before Blender 2.80
	TooNew             FaultKind = "too-new"             // of a format that is not known yet
	UnknownCompression FaultKind = "unknown-compression" // packed in a way that Blender does not read
)

// SceneFault is the error of a file that cannot be read as a scene. Reason says
// what is wrong, Hint what to do.
type SceneFault struct {
	Kind   FaultKind
	Reason string
	Hint   string
	Err    error
}

// Error gives reason and hint.
func (f *SceneFault) Error() string {
	switch f.Kind {
	case NotBlend:
		return fmt.Sprintf("not a .blend: %s; %s", f.Reason, f.Hint)
	case Damaged:
		return fmt.Sprintf("damaged .blend: %s; %s", f.Reason, f.Hint)
	}
	return fmt.Sprintf("%s; %s", f.Reason, f.Hint)
}

// Unwrap returns the cause.
func (f *SceneFault) Unwrap() error { return f.Err }

func fault(kind FaultKind, reason, hint string) *SceneFault {
	return &SceneFault{Kind: kind, Reason: reason, Hint: hint}
}

func damaged(reason string, err error) *SceneFault {
	return &SceneFault{Kind: Damaged, Reason: reason, Hint: "save it again in Blender, or send it again if it was cut on the way", Err: err}
}
