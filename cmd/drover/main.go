// Drover is a render farm in one program.
package main

import (
	"os"

	"drover.farm/internal/cli"
	"drover.farm/internal/sandbox"
)

func main() {
	sandbox.Inside()
	os.Exit(cli.Main())
}
