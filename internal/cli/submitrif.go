package cli

import (
	"path/filepath"
	"strings"

	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/submit"
)

// gridFlags say what of a Radiance variable file is computed.
type gridFlags struct {
	Grid   string  `group:"Of scenes:" placeholder:"FILE.pts|FOLDER" help:"Compute the sensors of this measuring field, or of all grids of Honeybee in this folder, instead of the views of a Radiance variable file."`
	Rtrace *string `group:"Of scenes:" placeholder:"OPTIONS" help:"Options of rtrace for --grid, such as \"-I -ab 3 -ad 1024\". By default those of the variable render."`
	Pieces int     `group:"Of scenes:" placeholder:"N" help:"Cut the sensors into so many pieces."`
}

// rif plans the pictures, or a measuring field, of a Radiance variable file.
func (c *submitCmd) rif(a *App) (*ready, error) {
	if len(c.Param)+len(c.Environment) > 0 {
		return nil, usagef("-p and --environment are for OpenJD templates; a variable file has --tiles, --grid and so on")
	}
	flags := c.sceneFlags
	flags.Tiles = ""
	if flags != (sceneFlags{}) {
		return nil, usagef("--frames, --format, --width and the like are for Blender and V-Ray scenes; a variable file says what its pictures are")
	}
	if c.Grid == "" && (c.Rtrace != nil || c.Pieces != 0) {
		return nil, usagef("--rtrace and --pieces go with --grid")
	}
	if c.Grid != "" && c.Tiles != "" {
		return nil, usagef("--tiles is for pictures; sensors are cut with --pieces")
	}
	if c.Pieces < 0 {
		return nil, usagef("--pieces is %d; it is 1 or more", c.Pieces)
	}
	abs, err := filepath.Abs(c.What)
	if err != nil {
		return nil, err
	}
	o := radiance.PlanOptions{JobName: c.Name, Tiles: c.Tiles, Points: c.Grid, Pieces: c.Pieces,
		OutputDir: filepath.Join(filepath.Dir(abs), strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs))+"_farm")}
	if c.Rtrace != nil {
		o.Trace, o.HasTrace = *c.Rtrace, true
	}
	p, err := radiance.NewPlan(a.ctx, c.What, o)
	if err != nil {
		return nil, err
	}
	job, in, err := submit.Radiance(p, "", c.Name)
	if err != nil {
		return nil, err
	}
	return &ready{files: in, Submission: job}, nil
}
