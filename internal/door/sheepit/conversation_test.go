package sheepit

import (
	"archive/zip"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"drover.farm/internal/farm"
)

// TestConversation2022 is a whole session as clients since 2022 lead it.
func TestConversation2022(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, farm.Settings{})
	b.build("4.2.1", "linux", "x86_64")
	j := b.job("7-9")
	c := b.client()
	v := hello("rick", password)
	b.golden("config", c.do(http.MethodPost, pathConfig, "application/x-www-form-urlencoded", strings.NewReader(v.Encode())))
	b.golden("error-after-login", c.do(http.MethodPost, pathError+"?type=0", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"farm_1.txt\"\r\n\r\nlog\r\n--x--\r\n")))
	r := c.ask()
	b.golden("job", r)
	if r.attr("frame") != "0007" || r.attr("synchronous_upload") != "1" || r.attr("path") != "shots/one.blend" {
		t.Errorf("the job is %s", attrRE.FindString(r.body))
	}
	for _, kind := range []string{"binary", "job"} {
		a := c.get(pathArchive + "?type=" + kind + "&job=" + r.attr("id"))
		if a.code != 200 || a.header.Get("Content-Type") != "application/zip" {
			t.Fatalf("%s: %d %s", kind, a.code, a.header.Get("Content-Type"))
		}
		if _, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body))); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	b.golden("heartbeat", c.get(pathAlive+"?paused=false&frame=0007&job=1000&rendertime=30&remainingtime=90"))
	if w, err := b.f.Farmhand(t.Context(), 1); err != nil || len(w.Leases) != 1 || w.Leases[0].Progress != 25 || w.Leases[0].Message != "1m30s left" {
		t.Errorf("the progress is %+v, %v", w, err)
	}
	target, err := url.QueryUnescape(r.attr("validation_url"))
	b.check(err)
	target = strings.TrimPrefix(target, b.srv.URL)
	b.golden("validated", c.upload(target+"&rendertime=12&memoryused=131250", good))
	b.golden("logout", c.get("/account.php?mode=logout&worker=1"))
	b.want(c.ask(), "202")

	task, err := b.f.Task(t.Context(), farm.TaskKey{Job: j.ID})
	b.check(err)
	if task.State != farm.TaskDone || len(task.Outputs) != 1 || task.Outputs[0].Name != "f_0007.png" || task.Outputs[0].Root != 1 {
		t.Errorf("the task is %+v", task)
	}
	if a := task.Attempts[0]; a.Seconds != 12 || a.Memory != 131250<<10 || a.Build != "blender 4.2.1" {
		t.Errorf("the attempt is %+v", a)
	}
	if stored := b.content(task.Outputs[0].SHA256); !bytes.Equal(stored, good) {
		t.Error("the stored frame is not what was sent")
	}
}
