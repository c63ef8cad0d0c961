package openjd

import (
	"fmt"
	"math"
	"strings"
)

// Times an action may state, in seconds.
const (
	maxNotify  = 600
	maxTimeout = math.MaxInt32
)

// action reads an Action (section 5). Times are resolved when the job is made, so
// they see only the outer scope.
func (c *checker) action(n *node, at *place, outer, host scope) *actionTemplate {
	o, ok := c.object(n, at, "command", "args", "timeout", "cancelation")
	if !ok {
		return nil
	}
	a := &actionTemplate{mode: CancelTerminate}
	if n := o.need("command"); n != nil {
		if f, ok := c.format(n, at.field("command"), host); ok {
			a.command = f
			if c.sized(n, at.field("command"), f.raw, 1, 0) {
				except := ""
				if f.hasExpr() {
					except = "\n\r\t" // of an expression in several lines
				}
				c.printable(n, at.field("command"), f.raw, except)
			}
		}
	}
	a.args = o.args(host)
	o.times(a, outer)
	return a
}

// args reads arguments. The specification forbids control characters in them, but
// scripts given to an interpreter as an argument have line ends, and every
// implementation takes these.
func (o object) args(host scope) []FormatString {
	n, at := o.get("args"), o.at.field("args")
	if n == nil {
		return nil
	}
	items := o.c.list(n, at, 1, 0)
	args := make([]FormatString, 0, len(items))
	for i, item := range items {
		if f, ok := o.c.formatItem(item, at.item(i), host); ok {
			o.c.printable(item, at.item(i), f.raw, "\n\r\t")
			args = append(args, f)
		}
	}
	return args
}

// times reads timeout and cancelation.
func (o object) times(a *actionTemplate, outer scope) {
	if n := o.get("timeout"); n != nil {
		a.timeout = o.c.seconds(n, o.at.field("timeout"), outer, maxTimeout)
	}
	n, at := o.get("cancelation"), o.at.field("cancelation")
	if n == nil {
		return
	}
	if n.kind != kindMap {
		o.c.object(n, at, "mode", "notifyPeriodInSeconds")
		return
	}
	mode := object{c: o.c, n: n, at: at}.need("mode")
	if mode == nil {
		return
	}
	keys := []string{"mode"}
	if m := o.c.choice(mode, at.field("mode"), string(CancelTerminate), string(CancelNotifyThenTerminate)); m != "" {
		a.mode = CancelMode(m)
	}
	if a.mode == CancelNotifyThenTerminate {
		keys = append(keys, "notifyPeriodInSeconds")
	}
	c, _ := o.c.object(n, at, keys...)
	if n := c.get("notifyPeriodInSeconds"); n != nil && a.mode == CancelNotifyThenTerminate {
		a.notify = o.c.seconds(n, at.field("notifyPeriodInSeconds"), outer, maxNotify)
	}
}

// seconds reads a positive number of seconds; a format string of one with
// FEATURE_BUNDLE_1.
func (c *checker) seconds(n *node, at *place, s scope, most int64) *numberTemplate {
	if n.kind == kindString && !c.bundle1 {
		c.fail(n, at, "is a string and must be an integer", "write a whole number, or name the extension FEATURE_BUNDLE_1")
		return nil
	}
	return c.numberText(n, at, s, func(text string) string { return checkInt(text, 1, most) })
}

// checkInt tells why text is not an integer within the bounds, or is empty.
func checkInt(text string, least, most int64) string {
	i, err := parseInt(text)
	if err != nil {
		return err.Error()
	}
	if i < least || i > most {
		return fmt.Sprintf("%d is not between %d and %d", i, least, most)
	}
	return ""
}

// numberText reads an integer, a number or a format string, and applies check to
// what can be known of it now.
func (c *checker) numberText(n *node, at *place, s scope, check func(string) string) *numberTemplate {
	t := &numberTemplate{at: at}
	switch n.kind {
	case kindInt, kindFloat:
		t.text = FormatString{raw: n.text}
	case kindString:
		f, ok := c.format(n, at, s)
		if !ok {
			return nil
		}
		t.text = f
	default:
		c.fail(n, at, "is "+n.kind.String()+" and must be a number", "write a number")
		return nil
	}
	if t.text.literal() {
		if rule := check(t.text.raw); rule != "" {
			c.fail(n, at, rule, "give a number in the allowed range")
			return nil
		}
	}
	return t
}

// embeddedFiles reads the optional key of that name, without the data, whose
// scope has the names read here; data reads these.
func (o object) embeddedFiles() []EmbeddedFile {
	n, at := o.get("embeddedFiles"), o.at.field("embeddedFiles")
	if n == nil {
		return nil
	}
	items := o.c.list(n, at, 1, 0)
	files := make([]EmbeddedFile, len(items))
	seen := map[string]*place{}
	for i, item := range items {
		files[i] = o.c.embeddedFile(item, at.item(i))
		o.c.unique(seen, item, at.item(i).field("name"), files[i].Name, "the embedded file name")
	}
	return files
}

func (c *checker) embeddedFile(n *node, at *place) (f EmbeddedFile) {
	o, ok := c.object(n, at, "name", "type", "filename", "runnable", "data", "endOfLine")
	if !ok {
		return f
	}
	if n := o.need("name"); n != nil {
		f.Name = c.identifier(n, at.field("name"))
	}
	if n := o.need("type"); n != nil {
		c.choice(n, at.field("type"), "TEXT")
	}
	if n := o.get("filename"); n != nil {
		f.Filename = c.filename(n, at.field("filename"))
	}
	if n := o.get("runnable"); n != nil {
		f.Runnable = c.flag(n, at.field("runnable"))
	}
	if n := o.get("endOfLine"); n != nil {
		if !c.bundle1 {
			c.fail(n, at.field("endOfLine"), "belongs to the extension FEATURE_BUNDLE_1", "add FEATURE_BUNDLE_1 to extensions")
		} else {
			f.EndOfLine = EndOfLine(c.choice(n, at.field("endOfLine"), string(EndOfLineAuto), string(EndOfLineLF), string(EndOfLineCRLF)))
		}
	} else if c.bundle1 {
		f.EndOfLine = EndOfLineAuto
	}
	o.need("data")
	return f
}

// filename reads a plain base name that no operating system takes for more.
func (c *checker) filename(n *node, at *place) string {
	s := c.name(n, at, c.lim.filename)
	if s == "." || s == ".." || strings.ContainsAny(s, `/\`) {
		c.fail(n, at, fmt.Sprintf("%q is not a plain file name", clip(s)), "leave directories out")
		return ""
	}
	return s
}

// data reads the data of files, once the scope has all their names.
func (o object) data(files []EmbeddedFile, host scope) {
	if files == nil {
		return
	}
	at := o.at.field("embeddedFiles")
	for i, item := range o.get("embeddedFiles").items {
		if item.kind != kindMap {
			continue
		}
		n := object{c: o.c, n: item, at: at.item(i)}.get("data")
		if n == nil {
			continue
		}
		if f, ok := o.c.format(n, at.item(i).field("data"), host); ok && o.c.sized(n, at.item(i).field("data"), f.raw, 1, 0) {
			files[i].Data = f
		}
	}
}
