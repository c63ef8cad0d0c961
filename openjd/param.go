package openjd

import "strings"

// ParamType is the type of a job or task parameter.
type ParamType string

// The parameter types. TypeChunkInt exists for task parameters only.
const (
	TypeString   ParamType = "STRING"
	TypePath     ParamType = "PATH"
	TypeInt      ParamType = "INT"
	TypeFloat    ParamType = "FLOAT"
	TypeChunkInt ParamType = "CHUNK[INT]"

	// The types of the extension EXPR, for job parameters. The text form of a list
	// is a JSON list, that of BOOL true or false, that of RANGE_EXPR a range
	// expression.
	TypeBool        ParamType = "BOOL"
	TypeRange       ParamType = "RANGE_EXPR"
	TypeListString  ParamType = "LIST[STRING]"
	TypeListPath    ParamType = "LIST[PATH]"
	TypeListInt     ParamType = "LIST[INT]"
	TypeListFloat   ParamType = "LIST[FLOAT]"
	TypeListBool    ParamType = "LIST[BOOL]"
	TypeListListInt ParamType = "LIST[LIST[INT]]"
)

// Elem is the type of a list's items, empty for other types.
func (t ParamType) Elem() ParamType {
	inner, ok := strings.CutPrefix(string(t), "LIST[")
	if !ok {
		return ""
	}
	return ParamType(strings.TrimSuffix(inner, "]"))
}

// ParameterDefinition defines a job parameter (section 2). Numbers are kept as
// the decimal text of the template.
type ParameterDefinition struct {
	Name        string
	Type        ParamType
	Description string
	// Default counts only when HasDefault; otherwise a value must be given.
	Default    string
	HasDefault bool
	// AllowedValues is empty when any value that meets the other constraints is
	// allowed.
	AllowedValues []string
	// MinLength and MaxLength bound STRING, PATH and RANGE_EXPR values, in
	// characters, and lists, in items; nil when not given.
	MinLength, MaxLength *int
	// Item holds the constraints of a list's items: a definition of the items' type
	// without name; nil when there are none.
	Item *ParameterDefinition
	// MinValue and MaxValue bound INT and FLOAT values; empty when not given.
	MinValue, MaxValue string
	// ObjectType and DataFlow are those of a PATH as the template has them, empty
	// when it has not; see JobParameter for the defaults.
	ObjectType, DataFlow string
	UserInterface        UserInterface
}

// UserInterface holds the hints of a definition for an input form. Control and
// Label have the specification's defaults filled in.
type UserInterface struct {
	// Control is one of LINE_EDIT, MULTILINE_EDIT, DROPDOWN_LIST, CHECK_BOX,
	// CHOOSE_INPUT_FILE, CHOOSE_OUTPUT_FILE, CHOOSE_DIRECTORY, SPIN_BOX, HIDDEN.
	Control string
	// Label defaults to the parameter's name.
	Label string
	// GroupLabel is empty when the parameter is in no group.
	GroupLabel        string
	FileFilters       []FileFilter
	FileFilterDefault *FileFilter
	// SingleStepDelta is a positive decimal number, or empty.
	SingleStepDelta string
	// Decimals is nil when not given.
	Decimals *int
}

// FileFilter is one file type of a file dialog.
type FileFilter struct {
	Label    string
	Patterns []string
}
