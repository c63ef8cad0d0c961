package cli

import (
	"fmt"
	"io"
	"runtime"
)

type versionCmd struct{ Shown }

func (c *versionCmd) Run(a *App) error {
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		OS      string `json:"os"`
		Arch    string `json:"arch"`
	}{Version, runtime.Version(), runtime.GOOS, runtime.GOARCH}
	return a.show(c.Shown, v, func(w io.Writer) {
		fmt.Fprintf(w, "drover %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
	})
}
