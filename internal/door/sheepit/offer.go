package sheepit

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"drover.farm/internal/farm"
)

// offer is a frame as a session is given it.
type offer struct {
	lease    *farm.Lease
	frame    int64
	sync     bool
	gpu      bool
	project  *farm.Pack
	renderer *farm.Pack
	layout   *layout
	script   string
	outlook  *farm.Outlook
}

// offer gathers what the answer for a lease needs: it waits for the archives.
func (a *ask) offer(l *farm.Lease) (*offer, error) {
	d := a.d
	o := &offer{lease: l, outlook: a.outlook, sync: a.s.mem.know(l).sync, layout: newLayout(&l.Job.Spec)}
	var err error
	if o.frame, err = frameOf(l); err != nil {
		return nil, err
	}
	if o.renderer, err = d.packer.renderer(a.ctx, a.outlook.Worker, l.Task.Job); err != nil {
		return nil, err
	}
	if o.project, err = d.packer.project(a.ctx, l.Job); err != nil {
		return nil, err
	}
	o.gpu = len(a.machine.GPUs) > 0 && l.Job.Spec.Parameters["Device"] != "CPU"
	o.script, err = script(&l.Job.Spec, o.layout, o.frame, a.p.integer("cpu_cores"))
	return o, err
}

// commandLine starts Blender: the scene's own scripts do not run, and settings
// that hold for the frame come from the script. Clients cut it at spaces. Its
// expression gives the lines that clients of 2016 put before the script, and
// those of 2017 after it, the preferences of Blender 2.7 to write to; without
// them the script would end before it began.
const commandLine = ".e --factory-startup --disable-autoexec -noaudio " +
	"--python-expr p=type('Old',(),{})();p.system=p.filepaths=p;__import__('bpy').types.Context.user_preferences=p " +
	"-b .c -o .o -f .f -x 1"

// document is the answer that every generation of clients can read: it has what
// either document asks for.
func (o *offer) document(r *http.Request) *element {
	look, job := o.outlook, o.lease.Job
	e := el("jobrequest", "status", "0").add(
		el("frames", "remaining", small(look.Frames)),
		el("stats", "credits_session", small(look.Worker.Earned.Whole()), "credits_total", small(look.Balance.Whole()),
			"frame_remaining", small(look.Frames), "waiting_project", small(int64(look.Jobs)),
			"connected_machine", small(int64(look.Machines)), "renderable_project", small(int64(look.Renderable))),
	)
	id, frame := number(o.lease.Task.Job), frameText(o.frame)
	// It must be absolute, encoded as forms are, and have a query already: clients
	// append parameters with "&".
	validation := url.QueryEscape(base(r) + pathFrame + "?job=" + id + "&frame=" + frame)
	j := el("job", "id", id, "use_gpu", bit(o.gpu), "archive_md5", o.project.MD5, "revision", "0", "path", o.layout.scene, "frame", frame,
		"synchronous_upload", bit(o.sync), "validation_url", validation, "extras", "", "name", cmp.Or(job.Spec.Name, id), "password", job.Spec.Password)
	chunks := el("chunks")
	for i, sum := range o.project.Parts {
		chunks.add(el("chunk", "id", chunkID(o.lease.Task.Job, i, sum), "md5", sum))
	}
	text := el("script")
	text.text = o.script
	return e.add(j.add(el("renderer", "md5", o.renderer.MD5, "commandline", commandLine, "update_method", "remainingtime"), text, chunks))
}

// small is a number that fits the 32 bits that clients have for it.
func small(n int64) string {
	return strconv.FormatInt(min(max(n, math.MinInt32), math.MaxInt32), 10)
}

// chunkID names a piece of a job's archive. Clients keep pieces under it, so it
// is another one for other content.
func chunkID(job int64, i int, md5 string) string { return fmt.Sprintf("%d-%d-%s", job, i, md5) }
