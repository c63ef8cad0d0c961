//go:build unix

package radiance

const exe = ""
