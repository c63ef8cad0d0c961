package sheepit

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"drover.farm/internal/farm"
)

// fail reports an error with a log.
func (c *client) fail(query, log string) reply {
	c.b.t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	p, err := w.CreateFormFile("file", "farm_1.txt")
	c.b.check(err)
	_, err = p.Write([]byte(log))
	c.b.check(err)
	c.b.check(w.Close())
	return c.do("POST", pathError+query, w.FormDataContentType(), &buf)
}

func TestErrorsCountAgainstWhomTheyShould(t *testing.T) {
	t.Parallel()
	of := func(n int64, k kind) (typ, log string, cause farm.Cause) {
		if n == typeless {
			return "", "log", farm.CauseNone
		}
		return number(n), "log", k.cause
	}
	b := setup(t, Config{}, farm.Settings{Tries: 1000, WorkerTries: 1000, AsideFaults: 1000, AsideJobs: 1000, AvoidAfter: 1000})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1")
	c := b.client().login("rick")
	n := 0
	check := func(name, query, log string, cause farm.Cause, text string) {
		t.Helper()
		b.want(c.ask(), "0")
		n++
		b.want(c.fail(query, log), "0")
		task, err := b.f.Task(t.Context(), farm.TaskKey{Job: 1000})
		b.check(err)
		a := task.Attempts[len(task.Attempts)-1]
		if len(task.Attempts) != n || a.Outcome != farm.OutcomeFailed || a.Cause != cause || !strings.Contains(a.Error, text) || a.Log == "" || string(b.content(a.Log)) != log {
			t.Errorf("%s: %d attempts, %+v", name, len(task.Attempts), a)
		}
	}
	for i, k := range kinds {
		if i == 0 || i == 7 {
			continue
		}
		typ, log, cause := of(i, k)
		query := "?type=" + typ
		if i != typeless {
			query += "&job=1000&frame=0001&render_time=-1&memoryused=5"
		}
		check(query, query, log, cause, k.says)
	}
	rest := "&job=1000&frame=0001"
	check("unknown type", "?type=77"+rest, "log", farm.CauseWorker, "unknown")
	check("no number", "?type=x"+rest, "log", farm.CauseWorker, "unknown")
	check("by the log", "?type=8"+rest, "28-11 (debug) CUDA error: Out of memory in cuMemAlloc", farm.CauseWorker, "Out of memory")
	check("by the log", "?type=99"+rest, "Error: Cannot render, no camera", farm.CauseJob, "camera")
	check("our script", "?type=8"+rest, "x\n28-11 (debug) drover: error of the job: the file has no camera 'A'\ny", farm.CauseJob, "no camera 'A'")
	check("our launcher", "?type=8"+rest, "drover: error of the machine: Blender could not be unpacked", farm.CauseWorker, "could not be unpacked")
	check("killed", "?type=20"+rest, "log", farm.CauseNone, "owner stopped")
	check("the scene that it deleted then", "?type=7"+rest, "log", farm.CauseNone, "had deleted the scene")
	check("another missing scene", "?type=7"+rest, "log", farm.CauseJob, "scene is missing")

	b.want(c.ask(), "0")
	b.want(c.fail("?type=0", "config"), "0")
	b.want(c.fail("?type=8&job=1000&frame=7", "log"), "0")
	b.want(c.fail("?type=8&job=nonsense&frame=7", "log"), "0")
	b.want(b.client().fail("?type=8&job=1000&frame=1", "log"), "0")
	b.want(c.send(1000, "0001", good), "0")
	b.want(c.fail("?type=25"+rest, "log"), "0") // of 2022, after a second try
	task, err := b.f.Task(t.Context(), farm.TaskKey{Job: 1000})
	b.check(err)
	if task.State != farm.TaskDone {
		t.Errorf("a late error undid a frame: %+v", task)
	}
}

// TestReportedLogsHoldNoSecrets though clients write down what they send.
func TestReportedLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1")
	c := b.client()
	key := keyRE.FindString(c.post(hello("rick", password)).body)
	b.want(c.ask(), "0")
	lines := "Server::HTTPRequest url(http://farm/server/config.php?login=rick&password=" + url.QueryEscape(password) + "&cpu_family=6)\n" +
		"Configuration{login='rick', password='" + password + "', ui=text}\n" +
		"    password: \"" + password + "\",\n" +
		"<config status=\"0\" publickey=\"" + key + "\">\nCookie: PHPSESSID=" + key + "; Path=/\nUsing password=" + password + "\n"
	b.want(c.fail("?type=12&job=1000&frame=0001", lines+"segmentation fault"), "0")
	task, err := b.f.Task(t.Context(), farm.TaskKey{Job: 1000})
	b.check(err)
	got := string(b.content(task.Attempts[0].Log))
	for _, s := range []string{password, url.QueryEscape(password), key, "correct", "horse"} {
		if strings.Contains(got, s) {
			t.Errorf("the log holds %q:\n%s", s, got)
		}
	}
	for _, s := range []string{"login=rick", "cpu_family=6", "ui=text", "segmentation fault"} {
		if !strings.Contains(got, s) {
			t.Errorf("the log lacks %q:\n%s", s, got)
		}
	}
}

// TestErrorsAreDocumented holds the table of the documentation to the code's.
func TestErrorsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/doors/sheepit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "| type | means | counts against |")
	table, _, _ := strings.Cut(rest, "\n\n")
	seen := make(map[int64]bool)
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(line, "|")
		types := regexp.MustCompile(`\d+`).FindAllString(cells[1], -1)
		if strings.Contains(cells[1], "empty") {
			types = append(types, "-1")
		}
		for _, s := range types {
			var n int64
			fmt.Sscan(s, &n)
			seen[n] = true
			k := kinds[n]
			want := map[farm.Cause]string{farm.CauseNone: "nobody", farm.CauseJob: "job", farm.CauseWorker: "worker"}[k.cause]
			if k.byLog && n != 7 {
				want = "by the log; else " + want
			}
			if !strings.HasPrefix(strings.TrimSpace(cells[3]), want) {
				t.Errorf("type %d counts against %q, the documentation says%s", n, want, cells[3])
			}
		}
	}
	for n := range kinds {
		if !seen[n] {
			t.Errorf("type %d is not documented", n)
		}
	}
}
