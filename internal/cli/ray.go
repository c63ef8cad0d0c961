package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"drover.farm/internal/cli/config"
	door "drover.farm/internal/door/rayserver"
)

// rayCmd is the client of a Rayserver.
type rayCmd struct {
	Submit  raySubmitCmd  `cmd:"" help:"Start the simulation of a view or of a measuring field."`
	Ls      rayLsCmd      `cmd:"" help:"List simulations."`
	Info    rayInfoCmd    `cmd:"" help:"Show a simulation."`
	Log     rayLogCmd     `cmd:"" help:"Print what Radiance said."`
	Watch   rayWatchCmd   `cmd:"" help:"Follow a simulation until it has ended, or all."`
	Suspend raySuspendCmd `cmd:"" help:"Stop a simulation for a while."`
	Resume  rayResumeCmd  `cmd:"" help:"Let a suspended simulation go on."`
	Kill    rayKillCmd    `cmd:"" help:"End a simulation."`
	Restart rayRestartCmd `cmd:"" help:"Run a simulation that has ended again; an unfinished result is taken up."`
}

// rayRemote is the flags by which a command finds a Rayserver.
type rayRemote struct {
	Host    string        `required:"" placeholder:"HOST[:PORT]" help:"The Rayserver. Its port is 9182 by default."`
	KeyFile string        `placeholder:"FILE" help:"File with a line of NAME KEY, mode 0600."`
	TLS     bool          `name:"tls" help:"Connect by TLS."`
	CAFile  string        `name:"ca-file" placeholder:"FILE" help:"Connect by TLS, with the server's certificate checked against these (PEM) besides the system's."`
	Within  time.Duration `default:"30s" placeholder:"TIME" help:"How long an answer may take. Default: 30s."`
}

// dial connects to the server.
func (r *rayRemote) dial(a *App) (*door.Client, error) {
	o := door.DialOptions{Address: r.Host, Within: r.Within}
	if _, _, err := net.SplitHostPort(r.Host); err != nil {
		o.Address = net.JoinHostPort(strings.Trim(r.Host, "[]"), strconv.Itoa(config.RayPort))
	}
	if r.KeyFile != "" {
		key, err := door.ReadKey(r.KeyFile)
		if err != nil {
			return nil, usageError{err}
		}
		o.Key = key
	}
	if r.TLS || r.CAFile != "" {
		host, _, _ := net.SplitHostPort(o.Address)
		o.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	if r.CAFile != "" {
		pem, err := os.ReadFile(r.CAFile)
		if err != nil {
			return nil, usagef("read the certificates: %v", err)
		}
		if o.TLS.RootCAs, err = x509.SystemCertPool(); err != nil {
			o.TLS.RootCAs = x509.NewCertPool()
		}
		if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("there is no certificate in %s", r.CAFile)
		}
	}
	return door.Dial(a.ctx, o)
}

// ask sends one request.
func (r *rayRemote) ask(a *App, q door.Request) (*door.Answer, error) {
	c, err := r.dial(a)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Do(q)
}

type raySubmitCmd struct {
	Shown
	rayRemote
	Location  string `required:"" placeholder:"NAME" help:"Location of the hosts file that the project lies in."`
	Project   string `required:"" placeholder:"PATH" help:"The project's folder within the location."`
	Variation string `required:"" placeholder:"NAME" help:"Variation of the project: NAME.rif."`
	View      string `placeholder:"NAME" help:"View to render: of the variation, or views/NAME.vf."`
	Field     string `placeholder:"NAME" help:"Measuring field to compute: numeric/NAME.pts."`
	Options   string `placeholder:"OPTIONS" help:"Further options of rpict or rtrace, such as \"-ab 3 -ad 1024\"."`
	Mkillum   bool   `help:"Compute the variation's illum sources first."`
	Replace   bool   `help:"End a running simulation of the same view or field first."`
	Wait      bool   `help:"Wait until it has ended; exit 1 unless it is finished."`
}

func (c *raySubmitCmd) Run(a *App) error {
	if (c.View == "") == (c.Field == "") {
		return usagef("name a view (--view) or a measuring field (--field)")
	}
	s, err := c.dial(a)
	if err != nil {
		return err
	}
	defer s.Close()
	got, err := s.Do(door.Request{
		Verb: "submit", Location: c.Location, Project: c.Project, Variation: c.Variation, View: c.View, Field: c.Field,
		Options: strings.Fields(c.Options), Mkillum: c.Mkillum, Replace: c.Replace,
	})
	if err != nil {
		return err
	}
	if !c.Wait {
		return a.show(c.Shown, got.Job, rayText(got.Job))
	}
	last := *got.Job
	err = s.Watch(got.Job.ID, func(j door.Job) bool { last = j; return j.Live() })
	if err == nil {
		err = a.show(c.Shown, last, rayText(&last))
	}
	if err == nil && last.State != "finished" {
		err = errSilent
	}
	return err
}

func rayText(j *door.Job) func(io.Writer) {
	return func(w io.Writer) {
		started := when(&j.Started, time.Now())
		pairs(w, "Job", j.ID, "State", j.State, "Stage", j.Stage, "Done", fmt.Sprintf("%.1f %%", j.Percent), "Message", j.Message,
			"Location", j.Location, "Project", j.Project, "Variation", j.Variation, "View", j.View, "Field", j.Field, "Type", j.Type,
			"Options", strings.Join(j.Options, " "), "User", j.User, "Host", j.Host, "Platform", j.Platform, "PID", pidText(j.PID), "Subprocess PID", pidText(j.SubPID),
			"Farm job", pidText(int(j.FarmJob)), "Started", started, "Updated", when(&j.Updated, time.Now()), "Command", j.Command)
	}
}

func pidText(pid int) string {
	if pid == 0 {
		return ""
	}
	return strconv.Itoa(pid)
}

type rayLsCmd struct {
	Shown
	rayRemote
	Location string `placeholder:"NAME" help:"Only of a project in this location."`
	Project  string `placeholder:"PATH" help:"Only of this project."`
}

func (c *rayLsCmd) Run(a *App) error {
	got, err := c.ask(a, door.Request{Verb: "list", Location: c.Location, Project: c.Project})
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(got.Jobs), func(w io.Writer) {
		var rows [][]string
		for _, j := range got.Jobs {
			rows = append(rows, []string{j.ID, j.State, fmt.Sprintf("%.1f", j.Percent), j.Type, j.Project, j.User, j.Message})
		}
		table(w, "JOB STATE % TYPE PROJECT USER MESSAGE", rows)
	})
}

// rayOne is a command on one simulation.
type rayOne struct {
	Shown
	rayRemote
	Job string `arg:"" help:"The simulation's id."`
}

func (c *rayOne) do(a *App, verb string) error {
	got, err := c.ask(a, door.Request{Verb: verb, Job: c.Job})
	if err != nil {
		return err
	}
	return a.show(c.Shown, got.Job, rayText(got.Job))
}

type (
	rayInfoCmd    struct{ rayOne }
	raySuspendCmd struct{ rayOne }
	rayResumeCmd  struct{ rayOne }
	rayKillCmd    struct{ rayOne }
	rayRestartCmd struct{ rayOne }
)

func (c *rayInfoCmd) Run(a *App) error    { return c.do(a, "info") }
func (c *raySuspendCmd) Run(a *App) error { return c.do(a, "suspend") }
func (c *rayResumeCmd) Run(a *App) error  { return c.do(a, "resume") }
func (c *rayKillCmd) Run(a *App) error    { return c.do(a, "kill") }
func (c *rayRestartCmd) Run(a *App) error { return c.do(a, "restart") }

type rayLogCmd struct {
	rayRemote
	Job string `arg:"" help:"The simulation's id."`
}

func (c *rayLogCmd) Run(a *App) error {
	s, err := c.dial(a)
	if err != nil {
		return err
	}
	defer s.Close()
	for offset := int64(0); ; {
		got, err := s.Do(door.Request{Verb: "log", Job: c.Job, Offset: offset})
		if err != nil {
			return err
		}
		fmt.Fprint(a.Out, cleanLines(got.Text))
		if strings.HasSuffix(got.Text, "\n") {
			fmt.Fprintln(a.Out)
		}
		if offset = got.Offset; !got.More {
			return nil
		}
	}
}

type rayWatchCmd struct {
	Shown
	rayRemote
	Job string `arg:"" optional:"" help:"The simulation's id. By default all are followed."`
}

func (c *rayWatchCmd) Run(a *App) error {
	s, err := c.dial(a)
	if err != nil {
		return err
	}
	defer s.Close()
	state := ""
	err = s.Watch(c.Job, func(j door.Job) bool {
		state = j.State
		if c.JSON {
			err = printJSON(a.Out, j)
		} else {
			_, err = fmt.Fprintf(a.Out, "%s %s %s %.1f%% %s\n", clean(j.ID), j.State, j.Stage, j.Percent, clean(j.Message))
		}
		return err == nil && (c.Job == "" || j.Live())
	})
	if err == nil && c.Job != "" && state != "finished" {
		err = errSilent
	}
	if a.ctx.Err() != nil && c.Job == "" {
		return nil
	}
	return errors.Join(err)
}
