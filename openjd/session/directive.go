package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
)

// directiveKind tells the lines apart by which a process talks to its session
// (How-Jobs-Are-Run, Stdout/Stderr Messages).
type directiveKind int

const (
	directiveNone directiveKind = iota
	directiveProgress
	directiveStatus
	directiveFail
	directiveEnv
	directiveRedactedEnv
	directiveUnsetEnv
	directiveLogLevel
)

const redactedEnvToken = "openjd_redacted_env"

var directiveNames = map[string]directiveKind{
	"openjd_progress":                 directiveProgress,
	"openjd_status":                   directiveStatus,
	"openjd_fail":                     directiveFail,
	"openjd_env":                      directiveEnv,
	redactedEnvToken:                  directiveRedactedEnv,
	"openjd_unset_env":                directiveUnsetEnv,
	"openjd_session_runtime_loglevel": directiveLogLevel,
}

// setsEnvironment tells the kinds whose misspelling fails the action, because
// what follows would run in the wrong environment.
func (k directiveKind) setsEnvironment() bool {
	return k == directiveEnv || k == directiveRedactedEnv || k == directiveUnsetEnv
}

// directive is one such line, read.
type directive struct {
	kind directiveKind
	// name and value of an environment variable; value is also the message of
	// status and fail.
	name, value string
	progress    float64
	level       slog.Level
	// secrets are to be hidden from now on, also when the line is malformed.
	secrets []string
}

// parseDirective reads a line of output. Kind is directiveNone for a line that is
// no directive. An error says what is wrong with one that is, without its value.
func parseDirective(line string) (directive, error) {
	head, rest, found := strings.Cut(line, ":")
	kind := directiveNames[head]
	if kind == directiveNone || !found || !strings.HasPrefix(rest, " ") {
		return nearDirective(line)
	}
	rest = rest[1:]
	d := directive{kind: kind, value: rest}
	var err error
	switch kind {
	case directiveProgress:
		d.progress, err = strconv.ParseFloat(strings.TrimSpace(rest), 64)
		if err != nil || math.IsNaN(d.progress) || d.progress < 0 || d.progress > 100 {
			err = errors.New("openjd_progress needs a number from 0 to 100")
		}
	case directiveLogLevel:
		d.level, err = parseLevel(rest)
	case directiveUnsetEnv:
		d.name = strings.TrimSpace(rest)
		if !isEnvName(d.name) {
			err = errors.New("openjd_unset_env needs the name of an environment variable: letters, digits and _, not beginning with a digit")
		}
	case directiveEnv, directiveRedactedEnv:
		err = d.parseAssignment(head, rest)
	}
	return d, err
}

// parseAssignment reads NAME=value, or the same as a JSON string, which may hold
// line ends.
func (d *directive) parseAssignment(head, text string) error {
	text = strings.TrimLeft(text, " \t")
	secret := text
	if _, after, ok := strings.Cut(text, "="); ok {
		secret = after
	}
	quoted := strings.HasPrefix(text, `"`)
	if quoted {
		var s string
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			d.hide(secret)
			return fmt.Errorf("%s begins with a quote but is not a JSON string", head)
		}
		text = s
		// As it stands in the line, still escaped and with its quote.
		d.hide(secret, strings.TrimSuffix(secret, `"`))
	}
	name, value, ok := strings.Cut(text, "=")
	if ok {
		d.hide(value)
	} else {
		d.hide(text)
	}
	switch {
	case !ok:
		return fmt.Errorf("%s needs NAME=VALUE: there is no =", head)
	case !isEnvName(name):
		return fmt.Errorf("%s needs NAME=VALUE with a name of letters, digits and _ that does not begin with a digit", head)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("%s: the value holds a NUL character, which no environment can", head)
	}
	d.name, d.value = name, value
	return nil
}

// hide takes up secrets where the kind has them.
func (d *directive) hide(values ...string) {
	if d.kind != directiveRedactedEnv {
		return
	}
	for _, v := range values {
		if v != "" {
			d.secrets = append(d.secrets, v)
		}
	}
}

// nearDirective catches directives about the environment that miss their form by
// spaces or case: silence would let the job run on without its variables.
func nearDirective(line string) (directive, error) {
	trimmed := strings.TrimLeft(line, " \t")
	end := strings.IndexFunc(trimmed, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if end < 0 {
		end = len(trimmed)
	}
	head := strings.ToLower(trimmed[:end])
	kind := directiveNames[head]
	if !kind.setsEnvironment() {
		return directive{}, nil
	}
	after := strings.TrimLeft(trimmed[end:], " \t")
	if after == trimmed[end:] && after != "" && after[0] != ':' {
		return directive{}, nil
	}
	d := directive{kind: kind}
	after = strings.TrimLeft(strings.TrimPrefix(after, ":"), " \t")
	if _, value, ok := strings.Cut(after, "="); ok {
		after = value
	}
	d.hide(after)
	return d, fmt.Errorf("a line of %s must begin with %q, in lower case, without spaces before it and with one after the colon", head, head+": ")
}

// redactedForm hides what follows openjd_redacted_env: in a line, wherever it
// stands: a shell that traces its commands prints it before it is obeyed.
func redactedForm(line string) string {
	at := strings.Index(strings.ToLower(line), redactedEnvToken)
	if at < 0 {
		return line
	}
	end := at + len(redactedEnvToken)
	rest := line[end:]
	body := strings.TrimLeft(rest, ": \t")
	if body == "" || body == rest {
		return line
	}
	kept := line[:end] + rest[:len(rest)-len(body)]
	if name, _, ok := strings.Cut(body, "="); ok && isEnvName(name) {
		kept += name + "="
	}
	return kept + mask
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "DEBUG":
		return slog.LevelDebug, nil
	case "INFO":
		return slog.LevelInfo, nil
	case "WARNING":
		return slog.LevelWarn, nil
	case "ERROR":
		return slog.LevelError, nil
	}
	return 0, errors.New("openjd_session_runtime_loglevel needs DEBUG, INFO, WARNING or ERROR")
}

// isEnvName reports whether s names an environment variable (section 4.4.1).
func isEnvName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
