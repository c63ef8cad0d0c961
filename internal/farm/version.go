package farm

import (
	"cmp"
	"strconv"
	"strings"
)

// compareVersions compares dotted versions: fields of digits as numbers, others
// as text, and a missing field as less than any.
func compareVersions(a, b string) int {
	as, bs := strings.FieldsFunc(a, notWord), strings.FieldsFunc(b, notWord)
	for i := range min(len(as), len(bs)) {
		an, aerr := strconv.Atoi(as[i])
		bn, berr := strconv.Atoi(bs[i])
		var c int
		if aerr == nil && berr == nil {
			c = cmp.Compare(an, bn)
		} else {
			c = strings.Compare(as[i], bs[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func notWord(r rune) bool { return r == '.' || r == '-' || r == ' ' || r == '_' }
