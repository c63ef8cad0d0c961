// Package radiance is what Drover knows of Radiance: where it is, which of its
// options may come from outside, its variable files, its reports and its words,
// how pictures and grids of sensors are split and joined, and how to see that a
// result is whole. Programs are started as they are, never through a shell.
package radiance
