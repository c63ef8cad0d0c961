package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/printer"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds the YAML file in bytes.
const maxFile = 1 << 20

// Load gives the settings that target points to their values: those of the YAML
// file at path, unless it does not exist, then those of the environment, then
// those of flags, which Flags made. All faults come in one error.
func Load(target any, path string, env func(string) (string, bool), flags *Flags) error {
	table, err := Table(target)
	if err != nil {
		return err
	}
	data, err := readFile(path)
	if err != nil {
		return err
	}
	if err := loadYAML(table, path, data); err != nil {
		return err
	}
	var faults []error
	for _, s := range table {
		if text, ok := env(s.Env()); ok && text != "" {
			if err := s.Set(text); err != nil {
				faults = append(faults, fmt.Errorf("environment variable %s: %w", s.Env(), err))
			}
		}
		if flags == nil {
			continue
		}
		if err := flags.apply(s); err != nil {
			faults = append(faults, fmt.Errorf("--%s: %w", s.Flag(), err))
		}
	}
	return errors.Join(faults...)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("the configuration %s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// loadYAML sets what the document says. Keys that are no settings are faults.
func loadYAML(table []*Setting, path string, data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return fmt.Errorf("the configuration %s is not YAML: %w", path, err)
	}
	l := loader{path: path, settings: map[string]*Setting{}, sections: map[string]bool{}, seen: map[string]bool{}}
	for _, s := range table {
		l.settings[s.Key] = s
		for i, r := range s.Key {
			if r == '.' {
				l.sections[s.Key[:i]] = true
			}
		}
	}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			return l.fault(doc.Body, "a second document; there may be one")
		}
		l.mapping("", doc.Body)
	}
	return errors.Join(l.faults...)
}

type loader struct {
	path     string
	settings map[string]*Setting
	sections map[string]bool
	seen     map[string]bool
	faults   []error
}

// fault is an error with the place and an excerpt of the document.
func (l *loader) fault(n ast.Node, format string, args ...any) error {
	return l.faultAt(n.GetToken(), format, args...)
}

func (l *loader) faultAt(t *token.Token, format string, args ...any) error {
	var p printer.Printer
	excerpt := strings.TrimRight(p.PrintErrorToken(t, false), "\n")
	return fmt.Errorf("%s:%d:%d: %s\n%s", l.path, t.Position.Line, t.Position.Column, fmt.Sprintf(format, args...), excerpt)
}

func (l *loader) add(n ast.Node, format string, args ...any) {
	l.faults = append(l.faults, l.fault(n, format, args...))
}

func (l *loader) mapping(prefix string, n ast.Node) {
	switch n := n.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		for _, v := range n.Values {
			l.pair(prefix, v)
		}
	case *ast.MappingValueNode:
		l.pair(prefix, n)
	default:
		if prefix == "" {
			l.add(n, "the configuration is a list of settings, such as \"listen: 127.0.0.1:7700\"")
			return
		}
		l.add(n, "%s holds settings of its own, such as \"%s: {…}\"", strings.TrimSuffix(prefix, "."), strings.TrimSuffix(prefix, "."))
	}
}

func (l *loader) pair(prefix string, v *ast.MappingValueNode) {
	key := prefix + v.Key.String()
	switch s := l.settings[key]; {
	case l.seen[key]:
		l.add(v.Key, "%s is there twice", key)
	case s != nil:
		l.seen[key] = true
		l.value(s, v.Value)
	case l.sections[key]:
		l.seen[key] = true
		l.mapping(key+".", v.Value)
	default:
		hint := ""
		if near := nearest(key, l.settings); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		l.add(v.Key, "there is no setting %s%s", key, hint)
	}
}

func (l *loader) value(s *Setting, n ast.Node) {
	var err error
	switch n := n.(type) {
	case *ast.NullNode:
		return
	case *ast.SequenceNode:
		var parts []string
		for _, item := range n.Values {
			text, ok := scalar(item)
			if !ok {
				l.add(item, "%s: a part of the list is no plain value", s.Key)
				return
			}
			parts = append(parts, text)
		}
		err = s.SetList(parts)
	default:
		text, ok := scalar(n)
		if !ok {
			l.add(n, "%s takes a %s", s.Key, s.Type)
			return
		}
		err = s.Set(text)
	}
	if err != nil {
		l.add(n, "%s: %v", s.Key, err)
	}
}

// scalar is the text of a plain value.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// nearest is the setting whose key differs least from key, if by little.
func nearest(key string, settings map[string]*Setting) string {
	best, least := "", 4
	for k := range settings {
		if d := distance(key, k); d < least || d == least && k < best {
			best, least = k, d
		}
	}
	return best
}

// distance counts the single changes that make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := prev
			if a[i] != b[j] {
				next = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
