package openjd

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxNumber bounds the text of a number.
const maxNumber = 1024

// parseInt reads an integer in base 10.
func parseInt(s string) (int64, error) {
	s = strings.TrimSpace(s)
	i, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && len(s) <= maxNumber:
		return 0, fmt.Errorf("%s is outside of the 64-bit integers", clip(s))
	case err != nil:
		return 0, fmt.Errorf("%q is not an integer in base 10", clip(s))
	}
	return i, nil
}

// parseFloat reads a finite decimal number. Its text is worth keeping: the number
// may have more digits than a float64.
func parseFloat(s string) (float64, error) {
	s = strings.TrimSpace(s)
	// strconv also reads hexadecimal numbers, infinities and such, with other letters.
	decimal := len(s) <= maxNumber && strings.Trim(s, "+-.0123456789eE") == ""
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case !decimal, err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is not a finite number in base 10", clip(s))
	case math.IsInf(f, 0):
		return 0, fmt.Errorf("%s is too large for a number", clip(s))
	}
	return f, nil
}

// canonicalFloat drops the zeros that a decimal number does not need, without loss
// of digits: 02.50 becomes 2.5, and 1.0 stays.
func canonicalFloat(s string) string {
	s = strings.TrimSpace(s)
	sign := ""
	if s[0] == '-' || s[0] == '+' {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	exponent := ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		s, exponent = s[:i], s[i:]
	}
	whole, fraction, point := strings.Cut(s, ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if point {
		if fraction = strings.TrimRight(fraction, "0"); fraction == "" {
			fraction = "0"
		}
		whole += "."
	}
	return sign + whole + fraction + exponent
}

// intNode reads an integer, or a string of one, from a document.
func (c *checker) intNode(n *node, at *place) (int64, bool) {
	if n.kind != kindInt && n.kind != kindString {
		c.fail(n, at, "is "+n.kind.String()+" and must be an integer", "write a whole number")
		return 0, false
	}
	i, err := parseInt(n.text)
	if err != nil {
		c.fail(n, at, err.Error(), "write a whole number from -9223372036854775808 to 9223372036854775807")
		return 0, false
	}
	return i, true
}

// floatNode reads a number, or a string of one; the text is the document's.
func (c *checker) floatNode(n *node, at *place) (string, bool) {
	if n.kind != kindInt && n.kind != kindFloat && n.kind != kindString {
		c.fail(n, at, "is "+n.kind.String()+" and must be a number", "write a number in base 10")
		return "", false
	}
	if _, err := parseFloat(n.text); err != nil {
		c.fail(n, at, err.Error(), "write a number such as 1.5")
		return "", false
	}
	return strings.TrimSpace(n.text), true
}

// wholeNode reads an integer that may not come as a string, from least up.
func (c *checker) wholeNode(n *node, at *place, least int64) (int, bool) {
	if n.kind != kindInt {
		c.fail(n, at, "is "+n.kind.String()+" and must be an integer", "write a whole number")
		return 0, false
	}
	i, err := parseInt(n.text)
	if err != nil || i < least || i > math.MaxInt32 {
		c.fail(n, at, fmt.Sprintf("%s is out of range", clip(n.text)), fmt.Sprintf("give a whole number from %d to %d", least, math.MaxInt32))
		return 0, false
	}
	return int(i), true
}
