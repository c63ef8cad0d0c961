package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
)

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// typeName names a setting's type for people.
func typeName(t reflect.Type) (string, error) {
	switch {
	case t == durationType:
		return "duration", nil
	case t == sizeType:
		return "size", nil
	case isText(t):
		return "text", nil
	}
	switch t.Kind() {
	case reflect.String:
		return "text", nil
	case reflect.Bool:
		return "true or false", nil
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number", nil
	case reflect.Slice:
		inner, err := typeName(t.Elem())
		return "list of " + inner, err
	}
	return "", fmt.Errorf("a setting cannot have the type %s", t)
}

// set reads text into v.
func set(v reflect.Value, text string) error {
	text = strings.TrimSpace(text)
	if v.Type() == durationType {
		d, err := parseDuration(text)
		if err == nil {
			v.SetInt(int64(d))
		}
		return err
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(b)
		return nil
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(n)
		return nil
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(x)
		return nil
	}
	return fmt.Errorf("a setting cannot have the type %s", v.Type())
}

// parseDuration reads durations as Go writes them, and days. Times below zero
// make no sense in any setting.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write it as 250ms, 30s, 5m, 2h or 7d", text)
	}
	if d < 0 {
		return 0, fmt.Errorf("the duration %q is below zero", text)
	}
	return d, nil
}

// format writes a value as set reads it; "" for what is empty.
func format(v reflect.Value) string {
	if v.Type() == durationType {
		return formatDuration(time.Duration(v.Int()))
	}
	if v.Kind() == reflect.Slice && !isText(v.Type()) {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = format(v.Index(i))
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v.Interface())
}

func formatDuration(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Size is a number of bytes, written as 512, 64KiB, 10GB or 1.5TiB.
type Size int64

var units = []struct {
	name string
	of   float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"P", 1 << 50}, {"B", 1},
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	t, of := strings.TrimSpace(string(text)), 1.0
	for _, u := range units {
		if len(t) > len(u.name) && strings.EqualFold(t[len(t)-len(u.name):], u.name) {
			t, of = strings.TrimSpace(t[:len(t)-len(u.name)]), u.of
			break
		}
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil || !(n >= 0) || n*of >= 1<<63 {
		return fmt.Errorf("%q is not a size: write it as 512MiB, 10GiB or 2TB", text)
	}
	*s = Size(n * of)
	return nil
}

// MarshalText writes a size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the size in the largest binary unit that it is a whole number
// of.
func (s Size) String() string {
	for i := 4; i >= 0; i-- {
		if of := Size(units[i].of); s >= of && s%of == 0 {
			return strconv.FormatInt(int64(s/of), 10) + units[i].name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
