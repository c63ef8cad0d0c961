package sheepit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"drover.farm/internal/farm"
	"drover.farm/internal/renderer"
	"drover.farm/internal/renderer/blender"
)

// kind is a type of error that clients report: what it means and against whom
// it counts. byLog kinds count against whomever the log shows to be at fault.
type kind struct {
	says  string
	cause farm.Cause
	byLog bool
}

// typeless is an error without a type: the client could not read an answer.
const typeless = -1

// kinds are the types of errors (protocol.txt, "Error send"; those from 28 on are
// of clients since 2022). docs/doors/sheepit.md has the same table.
var kinds = map[int64]kind{
	typeless: {"the client could not read the farm's answer", farm.CauseNone, false},
	0:        {"no error", farm.CauseNone, false},
	1:        {"the client received a wrong configuration", farm.CauseNone, false},
	2:        {"the client could not log in", farm.CauseNone, false},
	3:        {"the client is too old", farm.CauseNone, false},
	4:        {"the session is disabled", farm.CauseNone, false},
	5:        {"no Blender is available for the machine", farm.CauseWorker, false},
	6:        {"Blender is missing on the machine", farm.CauseWorker, false},
	7:        {"the scene is missing", farm.CauseJob, true},
	8:        {"the render put out no file", farm.CauseJob, true},
	9:        {"a download failed", farm.CauseWorker, false},
	10:       {"a folder could not be made", farm.CauseWorker, false},
	11:       {"the network failed", farm.CauseWorker, false},
	12:       {"Blender crashed", farm.CauseJob, true},
	13:       {"the memory of the graphics card ran out", farm.CauseWorker, false},
	14:       {"the system killed Blender", farm.CauseWorker, false},
	15:       {"Blender misses libraries on the machine", farm.CauseWorker, false},
	16:       {"Blender could not be started", farm.CauseWorker, false},
	17:       {"the operating system is not supported", farm.CauseWorker, false},
	18:       {"the processor is not supported", farm.CauseWorker, false},
	19:       {"the graphics card is not supported", farm.CauseWorker, false},
	20:       {"the machine's owner stopped the render", farm.CauseNone, false},
	21:       {"the memory ran out", farm.CauseWorker, false},
	22:       {"the farm stopped the render", farm.CauseNone, false},
	23:       {"the render took longer than the machine's owner allows", farm.CauseNone, false},
	24:       {"a Python script failed", farm.CauseJob, true},
	25:       {"the frame was not accepted", farm.CauseNone, false},
	26:       {"the picture is too large or of the wrong size", farm.CauseJob, false},
	27:       {"this Blender lacks the render engine", farm.CauseJob, true},
	28:       {"the render engine needs a display, which the machine lacks", farm.CauseWorker, false},
	29:       {"the machine cannot denoise", farm.CauseWorker, false},
	99:       {"an unknown error", farm.CauseWorker, true},
	100:      {"no space is left on the machine's disk", farm.CauseWorker, false},
	101:      {"the answer to the upload could not be read", farm.CauseNone, false},
	102:      {"a path on the machine is not valid", farm.CauseWorker, false},
	103:      {"a folder on the machine cannot be written", farm.CauseWorker, false},
	104:      {"the farm could not be reached", farm.CauseNone, false},
	105:      {"the farm's answer could not be read", farm.CauseNone, false},
}

// typeOf reads the type of an error; what is no number is unknown.
func typeOf(text string) int64 {
	if text == "" {
		return typeless
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 99
	}
	return n
}

// report takes an error with its log: /server/error.php. Clients of 2022 report
// type 0 after each login.
func (d *Door) report(w http.ResponseWriter, r *http.Request, s *session) {
	p := queryOf(r)
	r.Body = io.NopCloser(&patientBody{r.Body, http.NewResponseController(w), d.Idle})
	log, err := readLog(r, p)
	ctx := patient(r)
	if _, kerr := d.keep(ctx, s); kerr == nil && err == nil {
		d.failed(ctx, s, p, log)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxDrain)) // as in drain
	answer(w, status("error", 0))
}

// maxLog is how much of a log is kept: its beginning.
const maxLog = 4 << 20

// readLog reads the log of a report, if it has one. Fields beside it are
// parameters.
func readLog(r *http.Request, p params) ([]byte, error) {
	mr, err := r.MultipartReader()
	if err != nil {
		return nil, nil // a report without a log
	}
	var log []byte
	for range maxParts {
		part, err := mr.NextPart()
		if err == io.EOF {
			return log, nil
		} else if err != nil {
			return nil, err
		}
		if part.FormName() == "file" && log == nil {
			if log, err = io.ReadAll(io.LimitReader(part, maxLog)); err != nil {
				return nil, err
			}
			continue
		}
		text, err := io.ReadAll(io.LimitReader(part, maxField))
		if err != nil {
			return nil, err
		}
		p.Values[part.FormName()] = append(p.Values[part.FormName()], string(text))
	}
	return log, nil
}

// failed ends the lease that an error is about. One that is over stays as it is:
// clients of 2022 report an error after a frame that was accepted at the second
// try.
func (d *Door) failed(ctx context.Context, s *session, p params, log []byte) {
	n := typeOf(p.Get("type"))
	if n == 0 {
		return
	}
	k, known := kinds[n]
	if !known {
		k = kinds[99]
	}
	t := d.reported(ctx, s, p, n)
	if t == nil || !t.running && !t.stopped {
		d.Log.Info("a client reported an error", "worker", s.worker, "type", n, "says", k.says)
		return
	}
	f := d.judge(s, t.task.Job, n, k, log)
	res := farm.Result{By: s.by, Worker: s.worker, Lease: t.lease, Task: t.task, Seconds: p.real("render_time", "rendertime"), Memory: p.kib("memoryused")}
	if log = withoutSecrets(log); len(log) > 0 {
		if info, err := d.Blobs.Put(ctx, bytes.NewReader(log), nil); err == nil {
			res.Log = info.SHA256.String()
		} else {
			d.Log.Warn("the log of an error could not be kept", "worker", s.worker, "err", err)
		}
	}
	if _, err := d.Farm.Fail(ctx, res, f); err != nil {
		d.Log.Warn("an error could not be kept", "worker", s.worker, "err", err)
	}
}

// secretREs find in a client's log what it logged in with: clients of 2016 write
// down their login's address, others what they were started with.
var secretREs = []*regexp.Regexp{
	regexp.MustCompile(`(?i)((?:password|publickey)["']?\s*[:=]\s*)(?:"[^"\n]*|'[^'\n]*|[^&"',;)<>\n]*)`),
	regexp.MustCompile(`(?i)(-password\s+)\S+`),
	regexp.MustCompile(`(drv_)[A-Za-z0-9_-]{43}`),
}

func withoutSecrets(log []byte) []byte {
	for _, re := range secretREs {
		log = re.ReplaceAll(log, []byte("${1}…"))
	}
	return log
}

// reported finds the frame that an error is about. One without a type or job is
// about the frame that was last given, whose answer the client could not read.
func (d *Door) reported(ctx context.Context, s *session, p params, n int64) *attempt {
	if p.Get("job") != "" {
		t, err := d.find(ctx, s, p.integer("job"), p.integer("frame"))
		if err != nil {
			return nil
		}
		return t
	}
	if n != typeless {
		return nil
	}
	held, err := d.Farm.Held(ctx, s.by, s.worker)
	if err != nil || len(held) == 0 {
		return nil
	}
	l := held[len(held)-1]
	return &attempt{lease: l.ID, task: l.Task, running: true, spec: &l.Job.Spec}
}

// judge says against whom an error counts.
func (d *Door) judge(s *session, job, n int64, k kind, log []byte) farm.Failure {
	f := farm.Failure{Cause: k.cause, Text: fmt.Sprintf("%s (SheepIt error %d)", k.says, n)}
	if n == typeless {
		f.Text = k.says
	}
	switch n {
	case 12, 20, 22, 23: // the client has deleted the scene by now
		s.mem.abort(job)
	case 7:
		if s.mem.cleared(job) {
			f.Cause, f.Text = farm.CauseNone, "the client had deleted the scene when its render was stopped; the next try fetches it again"
			return f
		}
	}
	if !k.byLog {
		return f
	}
	if text, party, ok := strings.Cut(ourError(log), "\x00"); ok {
		f.Text, f.Cause = text, farm.Cause(party)
	} else if b := blender.Diagnose(string(log)); b != nil {
		f.Text, f.Cause = b.Message, farm.CauseJob
		if b.Party == renderer.WorkerFault {
			f.Cause = farm.CauseWorker
		}
	}
	return f
}

// ourError is the error that frame.py or rend.sh wrote into the log, and whose
// fault it is, with a NUL between them; "" for none.
func ourError(log []byte) string {
	for party, mark := range map[string]string{"job": "drover: error of the job: ", "worker": "drover: error of the machine: "} {
		if _, rest, ok := bytes.Cut(log, []byte(mark)); ok {
			line, _, _ := bytes.Cut(rest, []byte("\n"))
			return strings.ToValidUTF8(string(line[:min(len(line), 1000)]), "?") + "\x00" + party
		}
	}
	return ""
}
