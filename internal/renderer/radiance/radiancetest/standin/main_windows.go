// Standin plays Radiance's programs for tests; it needs the locks of unix.
package main

func main() { panic("the stand-in runs on unix alone") }
