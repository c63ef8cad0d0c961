package openjd

// What a valid template holds: the shapes of job.go with every format string
// unresolved.

type envTemplate struct {
	// expr tells that its template has the extension EXPR.
	expr              bool
	name, description string
	variables         []Variable
	// script is nil for an environment of variables alone.
	script *envScript
}

type envScript struct {
	lets            []letBinding
	onEnter, onExit *actionTemplate
	files           []EmbeddedFile
}

type stepTemplate struct {
	expr              bool
	lets              []letBinding
	name, description string
	dependsOn         []string
	environments      []envTemplate
	host              *hostTemplate
	space             *spaceTemplate
	script            *stepScript
}

type stepScript struct {
	lets  []letBinding
	onRun *actionTemplate
	files []EmbeddedFile
}

type actionTemplate struct {
	command FormatString
	args    []FormatString
	// timeout and notify are nil when not given.
	timeout, notify *numberTemplate
	mode            CancelMode
}

// numberTemplate is a number, or a format string that becomes one when the job is
// made; at is where to say that it did not.
type numberTemplate struct {
	text FormatString
	at   *place
}

type hostTemplate struct {
	amounts    []amountTemplate
	attributes []attributeTemplate
	at         *place
}

type amountTemplate struct {
	name     FormatString
	min, max *numberTemplate
	at       *place
}

type attributeTemplate struct {
	name         FormatString
	anyOf, allOf []FormatString
	at           *place
}

type spaceTemplate struct {
	params []taskParamTemplate
	// combination is nil for the product of all.
	combination *combination
	at          *place
}

type taskParamTemplate struct {
	name string
	typ  ParamType
	// expr is the range expression, used when values is nil.
	expr   FormatString
	values []FormatString
	// chunks is set for CHUNK[INT].
	chunks *chunksTemplate
	at     *place
}

type chunksTemplate struct {
	count, target *numberTemplate
	constraint    RangeConstraint
}
