package blender

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// earlier are the SHA-256 of templates that earlier releases shipped and whose
// jobs may still be there: a job keeps the template that it was submitted with.
// Whoever changes blender.yaml after a release adds the released one's.
var earlier = []string{}

// Shipped reports whether a job's template is one that Drover ships for Blender,
// now or before, so that its parameters mean what blender.yaml says.
func Shipped(template string) bool {
	if template == Template {
		return true
	}
	sum := sha256.Sum256([]byte(template))
	return slices.Contains(earlier, hex.EncodeToString(sum[:]))
}
