package vray

import "os"

var endSignals = []os.Signal{os.Interrupt}
