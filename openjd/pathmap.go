package openjd

// PathFormat says how the source path of a rule is written.
type PathFormat string

// The path formats of rules.
const (
	PathPosix   PathFormat = "POSIX"
	PathWindows PathFormat = "WINDOWS"
)

// PathRule maps a directory of the submitting machine to one of this host.
type PathRule struct {
	SourceFormat PathFormat
	Source       string
	Destination  string
}

// ParsePathRules reads a path mapping document (JSON, version pathmapping-1.0).
func ParsePathRules(data []byte) ([]PathRule, error) { return nil, nil }

// ApplyPathRules maps path by the rule with the longest matching source; the
// second result tells whether a rule matched. Without one, path comes back as it
// is. The result is written in the way of the host's operating system.
func ApplyPathRules(rules []PathRule, path string) (string, bool) { return path, false }
