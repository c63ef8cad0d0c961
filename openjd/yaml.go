package openjd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads one YAML 1.2 document. The library builds the syntax tree; what
// plain scalars mean is decided here by the core schema of YAML 1.2, because the
// library leans to YAML 1.1.
func parseYAML(data []byte) (n *node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, Errors{{Rule: "is not YAML that can be read", Hint: "simplify it"}}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, Errors{{Rule: "is empty", Hint: "give a template"}}
		}
		return nil, yamlError(err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, errAt(int32(more.Line), int32(more.Column), "holds more than one YAML document", "keep one")
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(err)
	}
	y := yamlBuilder{done: map[*yaml.Node]*node{}}
	return y.build(doc.Content[0], 0)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

func yamlError(err error) error {
	text := err.Error()
	e := &Error{Hint: "mend the YAML"}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	e.Rule = "is not YAML: " + strings.TrimPrefix(text, "yaml: ")
	return Errors{e}
}

type yamlBuilder struct {
	builder
	// done holds what anchors stand for; nil while that is being built.
	done map[*yaml.Node]*node
}

func (y *yamlBuilder) build(in *yaml.Node, depth int) (*node, error) {
	line, col := int32(in.Line), int32(in.Column)
	if err := y.add(depth, line, col); err != nil {
		return nil, err
	}
	if in.Kind == yaml.AliasNode {
		n := y.done[in.Alias]
		if n == nil {
			return nil, errAt(line, col, "has an alias inside of what it stands for", "remove it")
		}
		return n, nil
	}
	if in.Anchor != "" {
		y.done[in] = nil
	}
	n := &node{line: line, col: col}
	var err error
	switch in.Kind {
	case yaml.ScalarNode:
		err = n.setScalar(in)
	case yaml.SequenceNode:
		err = y.list(n, in, depth)
	case yaml.MappingNode:
		err = y.object(n, in, depth)
	default:
		err = errAt(line, col, "has YAML of an unknown kind", "use scalars, lists and objects")
	}
	if err != nil {
		return nil, err
	}
	if in.Anchor != "" {
		y.done[in] = n
	}
	return n, nil
}

func (y *yamlBuilder) list(n *node, in *yaml.Node, depth int) error {
	if err := checkTag(in, "!!seq"); err != nil {
		return err
	}
	n.kind = kindList
	n.items = make([]*node, 0, min(len(in.Content), maxValues))
	for _, c := range in.Content {
		item, err := y.build(c, depth+1)
		if err != nil {
			return err
		}
		if err := n.grow(item); err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	return nil
}

func (y *yamlBuilder) object(n *node, in *yaml.Node, depth int) error {
	if err := checkTag(in, "!!map"); err != nil {
		return err
	}
	n.kind = kindMap
	seen := make(map[string]bool, len(in.Content)/2)
	for i := 0; i+1 < len(in.Content); i += 2 {
		key, err := y.build(in.Content[i], depth+1)
		if err != nil {
			return err
		}
		if key.kind != kindString {
			return errAt(key.line, key.col, "has "+key.kind.String()+" as a key", "write the key as a string, in quotes")
		}
		if seen[key.text] {
			return duplicateKey(key.text, key.line, key.col)
		}
		seen[key.text] = true
		item, err := y.build(in.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		if err := n.grow(item); err != nil {
			return err
		}
		n.keys, n.items = append(n.keys, key.text), append(n.items, item)
	}
	return nil
}

func checkTag(in *yaml.Node, want string) error {
	if in.Style&yaml.TaggedStyle == 0 || in.ShortTag() == want {
		return nil
	}
	return errAt(int32(in.Line), int32(in.Column), fmt.Sprintf("has the YAML tag %s", clip(in.ShortTag())), "remove the tag")
}

// setScalar gives n the value of a scalar.
func (n *node) setScalar(in *yaml.Node) error {
	n.kind, n.text = kindString, in.Value
	plain := in.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if in.Style&yaml.TaggedStyle == 0 {
		if plain {
			n.resolvePlain()
		}
		return nil
	}
	want := map[string]kind{"!!null": kindNull, "!!bool": kindBool, "!!int": kindInt, "!!float": kindFloat, "!!str": kindString, "!": kindString}
	k, known := want[in.ShortTag()]
	if !known {
		return checkTag(in, "")
	}
	if k == kindString {
		return nil
	}
	n.resolvePlain()
	if n.kind == kindInt && k == kindFloat {
		n.kind = kindFloat
	}
	if n.kind != k {
		return errAt(n.line, n.col, fmt.Sprintf("tags %q as %s, which it is not", clip(in.Value), in.ShortTag()), "remove the tag")
	}
	return nil
}

var (
	coreInt   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	coreFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	coreOther = regexp.MustCompile(`^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
	coreRadix = regexp.MustCompile(`^0(?:o[0-7]+|x[0-9a-fA-F]+)$`)
)

// resolvePlain turns n, a string, into what the core schema (YAML 1.2.2, section
// 10.3.2) says its text stands for.
func (n *node) resolvePlain() {
	switch n.text {
	case "", "~", "null", "Null", "NULL":
		n.kind, n.text = kindNull, ""
		return
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.kind, n.text = kindBool, strings.ToLower(n.text)
		return
	}
	if len(n.text) > 1024 || !strings.ContainsRune("+-.0123456789", rune(n.text[0])) {
		return
	}
	switch {
	case coreInt.MatchString(n.text), coreRadix.MatchString(n.text):
		n.kind, n.text = kindInt, decimal(n.text)
	case coreFloat.MatchString(n.text), coreOther.MatchString(n.text):
		n.kind = kindFloat
	}
}

// decimal writes an integer of the core schema in base 10, without leading zeros.
func decimal(s string) string {
	base, digits := 10, s
	switch {
	case strings.HasPrefix(s, "0o"):
		base, digits = 8, s[2:]
	case strings.HasPrefix(s, "0x"):
		base, digits = 16, s[2:]
	}
	i, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return s
	}
	return i.String()
}
