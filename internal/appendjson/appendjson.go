// Package appendjson writes the few JSON documents that a farm makes thousands
// of times a second: byte for byte what encoding/json makes, without its
// reflection. Types that use it have a test that holds them to encoding/json.
package appendjson

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// String appends a string.
func String(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string always encodes
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// Time appends a time.
func Time(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

// Float appends a number. As in encoding/json, one that is not finite is an
// error.
func Float(b []byte, f float64) ([]byte, error) {
	if a := math.Abs(f); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64), nil
	}
	text, err := json.Marshal(f)
	return append(b, text...), err
}
