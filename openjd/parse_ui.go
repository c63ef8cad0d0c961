package openjd

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// controlsOf lists the controls of each type.
var controlsOf = map[ParamType][]string{
	TypeString: {"LINE_EDIT", "MULTILINE_EDIT", "DROPDOWN_LIST", "CHECK_BOX", "HIDDEN"},
	TypePath:   {"CHOOSE_INPUT_FILE", "CHOOSE_OUTPUT_FILE", "CHOOSE_DIRECTORY", "DROPDOWN_LIST", "HIDDEN"},
	TypeInt:    {"SPIN_BOX", "DROPDOWN_LIST", "HIDDEN"},
	TypeFloat:  {"SPIN_BOX", "DROPDOWN_LIST", "HIDDEN"},
	TypeBool:   {"CHECK_BOX", "HIDDEN"},
	TypeRange:  {"LINE_EDIT", "HIDDEN"},

	TypeListString: {"LINE_EDIT_LIST", "HIDDEN"}, TypeListPath: {"CHOOSE_INPUT_FILE_LIST", "CHOOSE_OUTPUT_FILE_LIST", "CHOOSE_DIRECTORY_LIST", "HIDDEN"},
	TypeListInt: {"SPIN_BOX_LIST", "HIDDEN"}, TypeListFloat: {"SPIN_BOX_LIST", "HIDDEN"}, TypeListBool: {"CHECK_BOX_LIST", "HIDDEN"},
	TypeListListInt: {"HIDDEN"},
}

var interfaceKeys = map[ParamType][]string{
	TypePath:  {"fileFilters", "fileFilterDefault"},
	TypeInt:   {"singleStepDelta"},
	TypeFloat: {"singleStepDelta", "decimals"},

	TypeListPath: {"fileFilters", "fileFilterDefault"}, TypeListInt: {"singleStepDelta"}, TypeListFloat: {"singleStepDelta", "decimals"},
}

// userInterface reads the hints and fills in their defaults.
func (o object) userInterface(d *ParameterDefinition) {
	ui := &d.UserInterface
	ui.Label, ui.Control = d.Name, d.defaultControl()
	n, at := o.get("userInterface"), o.at.field("userInterface")
	if n == nil {
		return
	}
	u, ok := o.c.object(n, at, append([]string{"control", "label", "groupLabel"}, interfaceKeys[d.Type]...)...)
	if !ok {
		return
	}
	if n := u.get("control"); n != nil {
		if s := o.c.choice(n, at.field("control"), controlsOf[d.Type]...); s != "" {
			ui.Control = s
			u.controlFits(d, n)
		}
	}
	if n := u.get("label"); n != nil {
		ui.Label = o.c.name(n, at.field("label"), 64)
	}
	if n := u.get("groupLabel"); n != nil {
		ui.GroupLabel = o.c.name(n, at.field("groupLabel"), 64)
	}
	u.spinBox(d)
	u.fileFilters(d)
}

func (d *ParameterDefinition) defaultControl() string {
	if d.Type == TypeListListInt {
		return "HIDDEN"
	}
	if elem := d.Type.Elem(); elem != "" {
		item := ParameterDefinition{Type: elem, ObjectType: d.ObjectType, DataFlow: d.DataFlow}
		return item.defaultControl() + "_LIST"
	}
	switch {
	case len(d.AllowedValues) > 0:
		return "DROPDOWN_LIST"
	case d.Type == TypeBool:
		return "CHECK_BOX"
	case d.Type == TypeRange:
		return "LINE_EDIT"
	case d.Type == TypeString:
		return "LINE_EDIT"
	case d.Type != TypePath:
		return "SPIN_BOX"
	case d.ObjectType != "FILE":
		return "CHOOSE_DIRECTORY"
	case d.DataFlow == "OUT":
		return "CHOOSE_OUTPUT_FILE"
	}
	return "CHOOSE_INPUT_FILE"
}

// controlFits checks a control against the allowed values.
func (u object) controlFits(d *ParameterDefinition, n *node) {
	at, control := u.at.field("control"), d.UserInterface.Control
	limited := len(d.AllowedValues) > 0
	switch control {
	case "HIDDEN":
	case "DROPDOWN_LIST", "CHECK_BOX":
		if d.Type == TypeBool {
			return
		}
		if !limited {
			u.c.fail(n, at, control+" needs allowedValues", "add allowedValues or choose another control")
		} else if control == "CHECK_BOX" && !isTogglePair(d.AllowedValues) {
			u.c.fail(n, at, "CHECK_BOX needs two allowed values, one for true and one for false",
				"use true and false, yes and no, on and off, or 1 and 0")
		}
	default:
		if limited {
			u.c.fail(n, at, control+" cannot be used with allowedValues", "use DROPDOWN_LIST, or remove allowedValues")
		}
	}
}

func isTogglePair(values []string) bool {
	if len(values) != 2 {
		return false
	}
	a, b := strings.ToLower(values[0]), strings.ToLower(values[1])
	for _, pair := range [][2]string{{"true", "false"}, {"yes", "no"}, {"on", "off"}, {"1", "0"}} {
		if a == pair[0] && b == pair[1] || a == pair[1] && b == pair[0] {
			return true
		}
	}
	return false
}

// spinBox reads the hints of a spin box.
func (u object) spinBox(d *ParameterDefinition) {
	ui := &d.UserInterface
	if n := u.get("singleStepDelta"); n != nil {
		at := u.at.field("singleStepDelta")
		switch {
		case n.kind == kindString || (d.Type == TypeInt || d.Type == TypeListInt) && n.kind != kindInt:
			u.c.fail(n, at, "is "+n.kind.String()+" and must be a positive number of the parameter's type", "write a number")
		default:
			s, ok := u.c.floatNode(n, at)
			if f, _ := parseFloat(s); ok && f <= 0 {
				u.c.fail(n, at, s+" is not positive", "give a number above 0")
			}
			ui.SingleStepDelta = s
		}
		u.spinOnly(d, n, at)
	}
	if n := u.get("decimals"); n != nil {
		at := u.at.field("decimals")
		if i, ok := u.c.wholeNode(n, at, 0); ok {
			ui.Decimals = &i
		}
		u.spinOnly(d, n, at)
	}
}

func (u object) spinOnly(d *ParameterDefinition, n *node, at *place) {
	if strings.TrimSuffix(d.UserInterface.Control, "_LIST") != "SPIN_BOX" {
		u.c.fail(n, at, "can only be used with the control SPIN_BOX", "remove it or change the control")
	}
}

const maxFileFilters = 20

func (u object) fileFilters(d *ParameterDefinition) {
	filters, single := u.get("fileFilters"), u.get("fileFilterDefault")
	ui := &d.UserInterface
	if filters != nil {
		at := u.at.field("fileFilters")
		for i, n := range u.c.list(filters, at, 1, maxFileFilters) {
			ui.FileFilters = append(ui.FileFilters, u.c.fileFilter(n, at.item(i)))
		}
		u.filesOnly(d, filters, at)
	}
	if single != nil {
		at := u.at.field("fileFilterDefault")
		f := u.c.fileFilter(single, at)
		ui.FileFilterDefault = &f
		u.filesOnly(d, single, at)
	}
}

func (u object) filesOnly(d *ParameterDefinition, n *node, at *place) {
	if c := strings.TrimSuffix(d.UserInterface.Control, "_LIST"); c != "CHOOSE_INPUT_FILE" && c != "CHOOSE_OUTPUT_FILE" {
		u.c.fail(n, at, "can only be used with the controls CHOOSE_INPUT_FILE and CHOOSE_OUTPUT_FILE", "remove it or change the control")
	}
}

func (c *checker) fileFilter(n *node, at *place) (f FileFilter) {
	o, ok := c.object(n, at, "label", "patterns")
	if !ok {
		return f
	}
	if n := o.need("label"); n != nil {
		f.Label = c.name(n, at.field("label"), 64)
	}
	n = o.need("patterns")
	if n == nil {
		return f
	}
	at = at.field("patterns")
	for i, item := range c.list(n, at, 1, maxFileFilters) {
		s, ok := c.text(item, at.item(i))
		if !ok {
			continue
		}
		if !isFilePattern(s) {
			c.fail(item, at.item(i), fmt.Sprintf("%q is not a file pattern", clip(s)), `use "*", "*.*" or "*." with an extension, of at most 20 characters`)
		}
		f.Patterns = append(f.Patterns, s)
	}
	return f
}

// isFilePattern checks section 2.8.
func isFilePattern(s string) bool {
	if s == "*" || s == "*.*" {
		return true
	}
	ext, ok := strings.CutPrefix(s, "*.")
	return ok && ext != "" && utf8.RuneCountInString(s) <= 20 && !strings.ContainsFunc(ext, func(r rune) bool {
		return unicode.Is(unicode.Cc, r) || slices.Contains([]rune(`\/*?[]#%&{}<>$!'":@`+"`|="), r)
	})
}
