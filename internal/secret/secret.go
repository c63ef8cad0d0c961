// Package secret makes and checks the credentials of accounts: tokens and
// passwords. Its types hide their content from logs and messages; it keeps
// nothing and knows no accounts.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

const (
	tokenPrefix = "drv_"
	tokenBytes  = 32
	hidden      = "[hidden]"
)

// Text is a secret as text: a token or a password. It prints as [hidden]
// wherever it is formatted, logged or written as JSON; Reveal gives the content.
type Text string

// Reveal gives the content, for the one place that needs it.
func (t Text) Reveal() string { return string(t) }

// String hides the content.
func (t Text) String() string { return hidden }

// Format hides the content from every verb of package fmt.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue hides the content from slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the content from JSON, YAML and their like.
func (t Text) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// NewToken makes a token of 256 random bits: "drv_" and 43 characters of
// base64url. The farm keeps only its Hash.
func NewToken() Text {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return Text(tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Hash is the SHA-256 by which the farm knows a token. A token has so much
// chance in it that no slow hash is needed.
func Hash(token Text) [32]byte { return sha256.Sum256([]byte(token)) }

// Looks reports whether s has the form of a token, as opposed to, say, a
// password in its place.
func Looks(s string) bool {
	rest, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	return err == nil && len(b) == tokenBytes
}
