package sheepit

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

func TestRequestStatuses(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.golden("dead", b.client().ask())
	right := b.client().login("sam")
	b.want(right.ask(), "201")
	c := b.client().login("rick")
	b.want(c.ask(), "205")
	b.build("4.2.1", "windows", "x86_64")
	b.want(c.ask(), "205")
	b.build("4.2.1", "linux", "x86_64")
	b.want(c.ask(), "200")
	b.job("1-9")
	b.check(b.f.SetMaintenance(t.Context(), root, true))
	b.want(c.ask(), "206")
	b.check(b.f.SetMaintenance(t.Context(), root, false))
	b.want(c.ask(), "0")
	roles := []farm.Role{farm.RoleSubmitter}
	b.check(b.f.ChangeUser(t.Context(), root, "rick", farm.UserChange{Roles: &roles}))
	b.want(c.ask(), "201")
}

// TestStatusTables holds each code of the farm to a status.
func TestStatusTables(t *testing.T) {
	t.Parallel()
	for code, want := range map[farm.Code][2]int{
		farm.Gone: {202, 304}, farm.Unauthorized: {202, 304}, farm.Forbidden: {201, 304}, farm.Unavailable: {207, 303}, farm.Full: {207, 303},
		farm.Invalid: {299, 300}, farm.NotFound: {299, 300}, farm.Conflict: {299, 303}, farm.Internal: {299, 303},
	} {
		err := fmt.Errorf("x: %w", farm.Errorf(code, "y"))
		if got := [2]int{requestStatus(err), frameStatus(err)}; got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
	if got := requestStatus(refused(requestMaintenance, "")); got != 206 {
		t.Errorf("a refusal: %d", got)
	}
}

// TestWaysToAsk has all that clients put into a request for work.
func TestWaysToAsk(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	c := b.client().login("rick")
	empty := func() reply { // no body and no length
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+pathRequest+"?computemethod=1&cpu_cores=8", http.NoBody)
		b.check(err)
		req.ContentLength = -1
		res, err := c.http.Do(req)
		b.check(err)
		defer res.Body.Close()
		return reply{res.StatusCode, res.Header, `<jobrequest status="0"`}
	}
	for name, r := range map[string]reply{
		"GET":      c.get(pathRequest + "?computemethod=1&cpu_cores=8"),
		"XML":      c.ask(),
		"no body":  empty(),
		"labelled": c.do(http.MethodPost, pathRequest+"?computemethod=1", "application/x-www-form-urlencoded", strings.NewReader(`<?xml version="1.0" encoding="utf-8" ?><cache><file md5="db26b54689516484633b7d4855fb1567"/></cache>`)),
		"a form":   c.do(http.MethodPost, pathRequest, "application/x-www-form-urlencoded", strings.NewReader("computemethod=1&cpu_cores=8")),
		"latin":    c.do(http.MethodPost, pathRequest, "application/xml", strings.NewReader(`<?xml version="1.0" encoding="iso-8859-1"?><cache/>`)),
	} {
		if got := r.status(); got != "0" {
			t.Errorf("%s: %s %s", name, got, r.body)
		}
	}
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><cache><file md5="&b;"/></cache>`
	for name, body := range map[string]string{"cut short": "<cache><file", "a bomb": bomb, "nonsense": "<<<>>>"} {
		if r := c.do(http.MethodPost, pathRequest, "application/xml", strings.NewReader(body)); r.code != 400 {
			t.Errorf("%s: %d %s", name, r.code, r.body)
		}
	}
	if r := c.do(http.MethodPost, pathRequest, "application/xml", strings.NewReader("<cache>"+strings.Repeat("<file/>", 1<<20))); r.code != 413 {
		t.Errorf("a list of 7 MB: %d", r.code)
	}
	b.want(c.ask(), "0") // the session is alive
}

func TestRepeatedRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-20")
	c := b.client().login("rick")
	frame := func() string {
		t.Helper()
		r := c.ask()
		return r.status() + " " + r.attr("frame") + " " + r.attr("synchronous_upload")
	}
	want := func(w string) {
		t.Helper()
		if got := frame(); got != w {
			t.Errorf("got %q, want %q", got, w)
		}
	}
	want("0 0001 1")
	want("0 0001 1") // sent again by itself
	b.pass(11 * time.Second)
	want("0 0001 1") // a test frame is the only one
	b.want(c.send(1000, "0001", good), "0")
	want("0 0002 0")
	want("0 0002 0")
	b.pass(11 * time.Second)
	want("0 0003 0") // while 0002 is on its way
	b.pass(11 * time.Second)
	want("0 0004 0")
	b.pass(11 * time.Second)
	want("0 0004 0") // three at most
	b.want(c.send(1000, "0002", good), "0")
	b.want(c.send(1000, "0003", good), "0")
	b.want(c.send(1000, "0004", good), "0")
	want("0 0005 0")
	for range maxQuick {
		c.ask()
	}
	b.want(c.ask(), "200") // the same again and again
}

func TestFramesThatNeverComeGoToOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1")
	c := b.client().login("rick")
	for range 4 {
		b.want(c.ask(), "0")
		b.pass(11 * time.Second)
	}
	b.want(c.ask(), "200")
	task, err := b.f.Task(t.Context(), farm.TaskKey{Job: 1000})
	b.check(err)
	if a := task.Attempts[0]; task.State != farm.TaskWaiting || a.Outcome != farm.OutcomeFailed || a.Cause != farm.CauseWorker {
		t.Errorf("the task is %+v", task)
	}
	b.want(b.client().login("rosa").ask(), "0")
}

func TestNothingElseWhileUploading(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-2")
	c := b.client().login("rick")
	c.ask()
	b.want(c.send(1000, "0001", good), "0")
	b.want(c.ask(), "0")
	b.pass(11 * time.Second)
	b.want(c.ask(), "200") // it is being uploaded
	b.pass(2 * time.Minute)
	if r := c.ask(); r.attr("frame") != "0002" {
		t.Errorf("a frame that was forgotten is not given again: %s", r.status())
	}
}

func TestMatching(t *testing.T) {
	t.Parallel()
	gpu := "?computemethod=%s&gpu_type=OPTIX&gpu_model=Card&gpu_ram=8589934592&cpu_cores=8"
	for _, c := range []struct {
		name   string
		change func(*farm.Submission)
		query  string
		want   string
		useGPU string
	}{
		{"cpu on cpu", nil, "?computemethod=1", "0", "0"},
		{"any on both", nil, fmt.Sprintf(gpu, "0"), "0", "1"},
		{"any on gpu", nil, fmt.Sprintf(gpu, "2"), "0", "1"},
		{"cpu job on gpu only", device("CPU"), fmt.Sprintf(gpu, "2"), "200", ""},
		{"cpu job on both", device("CPU"), fmt.Sprintf(gpu, "0"), "0", "0"},
		{"gpu job on cpu only", device("GPU"), fmt.Sprintf(gpu, "1"), "200", ""},
		{"gpu job on both", device("GPU"), fmt.Sprintf(gpu, "0"), "0", "1"},
		{"gpu job without a card", device("GPU"), "?computemethod=0", "200", ""},
		{"eevee on a headless machine", parameter("Engine", "BLENDER_EEVEE"), "?computemethod=1", "200", ""},
		{"cycles on a headless machine", parameter("Engine", "CYCLES"), "?computemethod=1", "0", "0"},
		{"scripts of the scene", parameter("Autoexec", "true"), "?computemethod=1", "200", ""},
		{"a frame below 0", parameter("Frames", "-3-3"), "?computemethod=1", "200", ""},
		{"a picture for each view", func(s *farm.Submission) { s.Spec.Check = &farm.Check{Pictures: 2} }, "?computemethod=1", "200", ""},
		{"another template", func(s *farm.Submission) { s.Spec.Template += "# changed\n" }, "?computemethod=1", "200", ""},
		{"other doors", func(s *farm.Submission) { s.Spec.Doors = []string{"native"} }, "?computemethod=1", "200", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Config{}, farm.Settings{})
			b.build("4.2.1", "linux", "x86_64")
			if c.change == nil {
				c.change = func(*farm.Submission) {}
			}
			b.job("1-9", c.change)
			r := b.client().login("rick").get(pathRequest + c.query)
			b.want(r, c.want)
			if r.attr("use_gpu") != c.useGPU {
				t.Errorf("use_gpu is %q", r.attr("use_gpu"))
			}
		})
	}
}

func parameter(name, value string) func(*farm.Submission) {
	return func(s *farm.Submission) { s.Spec.Parameters[name] = value }
}

func device(d string) func(*farm.Submission) { return parameter("Device", d) }

func TestLimitsOfOwners(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{SessionTimeout: 4 * time.Hour, Lease: 4 * time.Hour}}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9")
	c := b.client().login("rick")
	c.ask()
	b.now.Add(int64(time.Hour))
	b.want(c.upload(pathFrame+"?job=1000&frame=0001&rendertime=600&memoryused=6000000", good), "0")
	other := b.client().login("rosa")
	b.want(other.get(pathRequest+"?computemethod=1&rendertime_max=60"), "200")
	b.want(other.get(pathRequest+"?computemethod=1&ram_max=4000000"), "200")
	b.want(other.get(pathRequest+"?computemethod=1&rendertime_max=-1&ram_max=8000000"), "0")
}

func TestSlowLinksGetSmallScenes(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Settings: Settings{DownloadTime: time.Second}}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	large := b.job("1-9", func(s *farm.Submission) {
		f := b.blob(make([]byte, 200_000))
		f.Name = "large.vdb"
		s.Spec.Files = append(s.Spec.Files, f)
	})
	small := b.job("1")
	c := b.client().login("rick")
	c.do(http.MethodPost, pathSpeed, "application/xml", strings.NewReader(`<speedtest><result target="x" speed="100000" ping="2147483647"/></speedtest>`))
	for _, want := range []*farm.Job{small, large} { // the large one when nothing smaller waits
		r := c.get(pathRequest + "?computemethod=1")
		if r.attr("id") != number(want.ID) {
			t.Fatalf("got job %s, want %d", r.attr("id"), want.ID)
		}
		b.want(c.send(want.ID, "0001", good), "0")
	}
}

func TestDeleteList(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	j := b.job("1")
	c := b.client().login("rick")
	r := c.ask()
	have := []string{r.attr("archive_md5"), strings.Repeat("0", 32)}
	list := fmt.Sprintf(`<cache><file md5="%s"/><file md5="%s"/><file md5="no sum"/></cache>`, have[0], have[1])
	deleted := func() string {
		t.Helper()
		r := c.do(http.MethodPost, pathRequest, "application/xml", strings.NewReader(list))
		var out []string
		for _, m := range have {
			if strings.Contains(r.body, `<file md5="`+m+`" action="delete"/>`) {
				out = append(out, m)
			}
		}
		return strings.Join(out, " ")
	}
	if got := deleted(); got != have[1] {
		t.Errorf("while the job lives: %q", got)
	}
	b.want(c.send(j.ID, "0001", good), "0")
	if got := deleted(); got != have[0]+" "+have[1] {
		t.Errorf("when it is done: %q", got)
	}
}

func TestPinnedAndRetiredBuilds(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	old := b.build("3.6.0", "linux", "x86_64")
	b.job("1-9")
	c := b.client().login("rick")
	first := c.ask()
	newer := b.build("4.2.1", "linux", "x86_64")
	_, err := b.f.RetireBuild(t.Context(), root, old.ID)
	b.check(err)
	b.want(c.send(1000, "0001", good), "0")
	if r := c.ask(); r.attr("frame") != "0002" || rendererMD5(r) != rendererMD5(first) {
		t.Errorf("the job did not stay with its version: %s %s", r.status(), rendererMD5(r))
	}
	b.job("1-9", func(s *farm.Submission) { s.Priority = 90 })
	other := b.client().login("rosa")
	if r := other.ask(); r.attr("id") != "1001" || rendererMD5(r) == rendererMD5(first) {
		t.Errorf("a new job got the retired build: %s", r.attr("id"))
	}
	_ = newer
}

func rendererMD5(r reply) string {
	_, rest, _ := strings.Cut(r.body, `<renderer md5="`)
	return rest[:min(32, len(rest))]
}

func TestPlainClientsGetNoEncryptedJobs(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-9", func(s *farm.Submission) { s.Spec.Password = "open sesame" })
	if r := b.client().login("rick").ask(); r.attr("password") != "open sesame" {
		t.Errorf("the password is %q", r.attr("password"))
	}
	c := b.client()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+pathConfig+"?"+hello("rick", password).Encode(), nil)
	b.check(err)
	req.Header.Set("User-Agent", "Go-http-client/1.1")
	res, err := c.http.Do(req)
	b.check(err)
	b.check(res.Body.Close())
	b.want(c.get(pathRequest+"?computemethod=1"), "200")
}

func TestStats(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{Allowance: 7})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-5")
	b.job("1", func(s *farm.Submission) { s.Spec.Doors = []string{"native"} })
	b.client().login("rosa")
	c := b.client().login("rick")
	c.ask()
	b.now.Add(int64(5 * time.Minute))
	b.want(c.upload(pathFrame+"?job=1000&frame=1&rendertime=240&memoryused=1", good), "0")
	r := c.ask()
	want := `<stats credits_session="4" credits_total="11" frame_remaining="5" waiting_project="2" connected_machine="2" renderable_project="1"/>`
	if !strings.Contains(r.body, want) {
		_, rest, _ := strings.Cut(r.body, "<stats")
		t.Errorf("the stats are <stats%.200s", rest)
	}
}

func TestAnswersUseTheAddressOfTheClient(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	b.job("1-5")
	c := b.client().login("rick")
	r := c.ask()
	u, err := url.QueryUnescape(r.attr("validation_url"))
	if err != nil || u != b.srv.URL+"/server/send_frame.php?job=1000&frame=0001" {
		t.Errorf("the validation url is %q, %v", u, err)
	}
}
