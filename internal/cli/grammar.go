package cli

import (
	"github.com/alecthomas/kong"

	"drover.farm/internal/renderer/blender"
	"drover.farm/internal/renderer/radiance"
	"drover.farm/internal/renderer/vray"
)

const about = `Drover is a render farm in one program: a server that keeps the queue and the files,
workers that render, and the commands to use them.

See it work, from nothing to rendered frames on this machine:

  drover demo

Set a farm up:

  drover serve --data /srv/drover                            # the farm, on 127.0.0.1:7700
  drover work --token-file /srv/drover/admin.token           # a machine that renders
  drover submit scene.blend --frames 1-48 --wait --out out   # a job

Commands find the farm by --server or DROVER_SERVER, and show who asks by --token-file or
DROVER_TOKEN; without either, by admin.token in the local data folder. Exit codes: 0 success,
1 failure, 2 wrong usage.`

var groups = []kong.Group{
	{Key: "farm", Title: "Run a farm:"},
	{Key: "jobs", Title: "Jobs:"},
	{Key: "manage", Title: "Manage a farm:"},
	{Key: "tools", Title: "Tools:"},
}

// root is the command line. Only the command that is called has the flags of
// its settings made, which keeps the others quick to start.
type root struct {
	Serve     serveCmd     `cmd:"" group:"farm" help:"Run the farm."`
	Work      workCmd      `cmd:"" group:"farm" help:"Render for a farm on this machine."`
	Rayserver rayserverCmd `cmd:"" name:"rayserver" passthrough:"" group:"farm" help:"Run Radiance simulations for other machines, as Rayfront's Rayserver does."`
	Demo      demoCmd      `cmd:"" group:"farm" help:"Render a sample animation, from nothing to a film."`

	Submit submitCmd `cmd:"" group:"jobs" help:"Submit a Blender, V-Ray or Radiance scene, an OpenJD template or a job bundle."`
	Ray    rayCmd    `cmd:"" group:"jobs" help:"Start, look at and steer simulations on a Rayserver."`
	Job    jobCmd    `cmd:"" group:"jobs" help:"List, look at, steer and fetch jobs."`

	Worker      workerCmd      `cmd:"" group:"manage" help:"List and steer workers."`
	Renderer    rendererCmd    `cmd:"" group:"manage" help:"The library of renderers: builds that workers fetch when a task needs them."`
	User        userCmd        `cmd:"" group:"manage" help:"Accounts, their roles, passwords and tokens."`
	Limit       limitCmd       `cmd:"" group:"manage" help:"Farm-wide counters that jobs draw on, such as licences."`
	Environment environmentCmd `cmd:"" group:"manage" help:"OpenJD environments that all jobs run in, or those with a tag."`
	Retention   retentionCmd   `cmd:"" group:"manage" help:"Say for how many days jobs are kept after their end."`
	Maintenance maintenanceCmd `cmd:"" group:"manage" help:"Stop or resume handing out work."`

	Migrate migrateCmd `cmd:"" group:"manage" help:"Move a farm from SQLite and a folder to PostgreSQL and S3, or back."`
	Backup  backupCmd  `cmd:"" group:"manage" help:"Copy a running farm of one machine, with all its files."`

	OpenJD  openjdCmd  `cmd:"" name:"openjd" group:"tools" help:"Check and run OpenJD templates without a farm."`
	Bench   benchCmd   `cmd:"" group:"tools" help:"Measure the farm on this machine."`
	Version versionCmd `cmd:"" group:"tools" help:"Print the version."`

	Blender  blender.Cmd  `cmd:"" hidden:"" help:"What Blender's job template runs within a session."`
	Radiance radiance.Cmd `cmd:"" hidden:"" help:"What Radiance's job templates run within a session; splits and joins folders of grids."`
	VRay     vray.Cmd     `cmd:"" name:"vray" hidden:"" help:"What V-Ray's job template runs within a session."`
}

func newRoot(args []string) (*root, error) {
	r := &root{}
	for _, arg := range args {
		var err error
		switch arg {
		case "serve":
			err = r.Serve.addFlags()
		case "work":
			err = r.Work.addFlags()
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}
