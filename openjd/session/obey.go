package session

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// piece handles a line of output, or a part of a long one: obeys it if it is a
// directive, and logs it. It answers how much of it is to be held back because a
// secret may begin there.
func (a *action) piece(p piece) (keep int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := string(p.text)
	var note string
	if !p.continued {
		a.hideLine = false
		note = a.directive(text, p.more)
	}
	if a.hideLine {
		return 0
	}
	// What follows openjd_redacted_env: is secret to the end of the line.
	a.hideLine = strings.Contains(strings.ToLower(text), redactedEnvToken)
	if p.more && !a.hideLine {
		keep = max(a.s.redactor.unfinished(text), unfinished(strings.ToLower(text), redactedEnvToken))
		text = text[:len(text)-keep]
	}
	if text != "" || !p.more {
		a.s.events.line(Line{
			Time:       time.Now(),
			Stream:     StreamOutput,
			Text:       a.s.clean(text),
			Continued:  p.continued,
			Background: a.ended,
		})
	}
	if note != "" {
		a.s.say(slog.LevelWarn, "%s", note)
	}
	return keep
}

// directive obeys a line if it is a directive and says what is wrong with it.
func (a *action) directive(text string, more bool) (note string) {
	d, err := parseDirective(text)
	for _, secret := range d.secrets {
		if addErr := a.s.redactor.add(secret); addErr != nil {
			a.abort(addErr)
		}
	}
	if d.kind == directiveNone || a.ended {
		return ""
	}
	if err == nil && more && d.kind.setsEnvironment() {
		err = fmt.Errorf("a line that sets a variable is longer than %d bytes", maxLine)
	}
	if err == nil {
		err = a.obey(d)
	}
	if err == nil {
		return ""
	}
	// A wrong environment would go unnoticed; the rest only tells people things.
	if d.kind.setsEnvironment() && a.grow != nil {
		a.abort(err)
	}
	return "The line before was not obeyed: " + err.Error()
}

// obey carries out a directive.
func (a *action) obey(d directive) error {
	switch d.kind {
	case directiveProgress:
		if f := a.cb.Progress; f != nil {
			a.s.events.call(func() { f(d.progress) })
		}
	case directiveStatus:
		if f := a.cb.Status; f != nil {
			text := a.s.clean(d.value)
			a.s.events.call(func() { f(text) })
		}
	case directiveFail:
		a.failMsg = a.s.clean(d.value)
	case directiveLogLevel:
		a.s.mu.Lock()
		defer a.s.mu.Unlock()
		a.s.level = d.level
	default:
		if a.grow == nil {
			return errors.New("only the onEnter action of an environment sets variables")
		}
		a.s.mu.Lock()
		defer a.s.mu.Unlock()
		return a.grow.obey(d)
	}
	return nil
}
