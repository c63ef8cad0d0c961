// Drover is a render farm in one program.
package main

import (
	"os"

	"drover.farm/internal/cli"
)

func main() { os.Exit(cli.Main()) }
