package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Flags are the flags of a table: a struct for kong, with a pointer for each
// setting that stays nil unless the flag is given.
type Flags struct {
	table []*Setting
	value reflect.Value // pointer to a struct with a field for each row
}

// NewFlags makes the flags of the struct that target points to, which holds the
// defaults. Names in without are left out.
func NewFlags(target any, without ...string) (*Flags, error) {
	table, err := Table(target)
	if err != nil {
		return nil, err
	}
	f := &Flags{}
	var fields []reflect.StructField
	for _, s := range table {
		if contains(without, s.Key) {
			continue
		}
		f.table = append(f.table, s)
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)),
			Type: flagType(s),
			Tag:  reflect.StructTag(flagTag(s)),
		})
	}
	f.value = reflect.New(reflect.StructOf(fields))
	return f, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Struct is what kong embeds.
func (f *Flags) Struct() any { return f.value.Interface() }

func flagType(s *Setting) reflect.Type {
	switch {
	case s.value.Kind() == reflect.Bool:
		return reflect.TypeFor[*bool]()
	case strings.HasPrefix(s.Type, "list"):
		return reflect.TypeFor[[]string]()
	}
	return reflect.TypeFor[*string]()
}

func flagTag(s *Setting) string {
	help := s.Help
	if s.Default != "" && s.Default != "0" && s.Default != "false" {
		help += " Default: " + s.Default + "."
	}
	place := map[string]string{"duration": "TIME", "size": "BYTES", "number": "N"}[s.Type]
	if place == "" {
		place = strings.ToUpper(s.Key[strings.LastIndexByte(s.Key, '.')+1:])
	}
	group := "Settings:"
	if section, _, ok := strings.Cut(s.Key, "."); ok {
		group = "Settings of " + section + ":"
	}
	return fmt.Sprintf("name:%q help:%q placeholder:%q group:%q", s.Flag(), strings.ReplaceAll(help, "$", "$$"), place, group)
}

// apply sets s as its flag says, if it was given.
func (f *Flags) apply(s *Setting) error {
	for i, row := range f.table {
		if row.Key != s.Key {
			continue
		}
		switch v := f.value.Elem().Field(i).Interface().(type) {
		case *string:
			if v != nil {
				return s.Set(*v)
			}
		case *bool:
			if v != nil {
				return s.Set(fmt.Sprint(*v))
			}
		case []string:
			if v != nil {
				return s.SetList(v)
			}
		}
	}
	return nil
}
