package radiance

import "os"

var endSignals = []os.Signal{os.Interrupt}
