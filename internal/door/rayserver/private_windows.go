package rayserver

import "os"

// private leaves it to the access control of the folder.
func private(*os.File) error { return nil }
