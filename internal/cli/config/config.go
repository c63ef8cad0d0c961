// Package config holds the settings of `drover serve` and `drover work`: one
// table each, made from the tags of a struct, from which come the flags, the
// environment variables, the keys of the YAML file, the help texts and
// docs/configuration.md.
//
// A setting a.b_c is `a: {b_c: …}` in the file, DROVER_A_B_C in the
// environment and --a-b-c on the command line; the later ones win.
package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Setting is one row of a table.
type Setting struct {
	Key     string // a.b_c
	Type    string // text, number, duration, size, yes or no, list
	Default string // as it would be written; "" for none
	Help    string

	value reflect.Value
}

// Flag is the name of the setting on the command line, without dashes.
func (s *Setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key) }

// Env is the name of the setting's environment variable.
func (s *Setting) Env() string {
	return "DROVER_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Set reads text as the setting's value. A list is replaced as a whole; its
// parts stand between commas.
func (s *Setting) Set(text string) error {
	if s.value.Kind() == reflect.Slice && !isText(s.value.Type()) {
		return s.SetList(splitList(text))
	}
	return set(s.value, text)
}

// SetList sets a list; a setting that is none takes exactly one part.
func (s *Setting) SetList(parts []string) error {
	if s.value.Kind() != reflect.Slice || isText(s.value.Type()) {
		if len(parts) != 1 {
			return fmt.Errorf("it takes one value, not %d", len(parts))
		}
		return set(s.value, parts[0])
	}
	list := reflect.MakeSlice(s.value.Type(), len(parts), len(parts))
	for i, p := range parts {
		if err := set(list.Index(i), p); err != nil {
			return err
		}
	}
	s.value.Set(list)
	return nil
}

func splitList(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// Text is the value in force, as it would be written.
func (s *Setting) Text() string { return format(s.value) }

// Table lists the settings of the struct that target points to, in its order.
// The values it holds are the defaults. Fields without a yaml tag are no
// settings. It fails when a field has a type that no setting can have or no
// help.
func Table(target any) ([]*Setting, error) {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("settings are a pointer to a struct, not %T", target)
	}
	return rows(v.Elem(), "")
}

func rows(v reflect.Value, prefix string) ([]*Setting, error) {
	var out []*Setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		key = prefix + key
		if f.Type.Kind() == reflect.Struct && !isText(f.Type) {
			inner, err := rows(v.Field(i), key+".")
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
			continue
		}
		kind, err := typeName(f.Type)
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", key, err)
		}
		help := f.Tag.Get("help")
		if help == "" {
			return nil, fmt.Errorf("setting %s has no help", key)
		}
		out = append(out, &Setting{Key: key, Type: kind, Default: format(v.Field(i)), Help: help, value: v.Field(i)})
	}
	return out, nil
}
