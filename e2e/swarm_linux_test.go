package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"drover.farm/e2e/harness"
)

// standIn builds the program that stands in for V-Ray.
func standIn(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vray")
	cmd := exec.Command("go", "build", "-o", path, "drover.farm/internal/renderer/vray/standin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the stand-in for V-Ray: %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vrayTar is a build of V-Ray as an administrator has it, with so many further
// small files.
func vrayTar(t *testing.T, version string, more int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(name string, body []byte) {
		if err := w.WriteHeader(&tar.Header{Name: "vray/" + name, Mode: 0o755, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		w.Write(body)
	}
	add("version.txt", []byte(version+"\n"))
	add("bin/vray.bin", standIn(t))
	for i := range more {
		add(fmt.Sprintf("lib/%d/%d", i/1000, i), []byte("plug-in"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// vrayZip is a build of V-Ray for Windows.
func vrayZip(t *testing.T) []byte {
	t.Helper()
	head := make([]byte, 256)
	copy(head, "MZ")
	head[0x3c] = 0x80
	copy(head[0x80:], "PE\x00\x00\x64\x86")
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, body := range map[string][]byte{"bin/vray.exe": head, "version.txt": []byte("6.20.10 e8197af2")} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var doorOpen = regexp.MustCompile(`"msg":"door open","door":"swarm","listen":"([^"]+)"`)

// swarmDoor waits until the door is open and returns its address.
func swarmDoor(t *testing.T, log func() string) string {
	t.Helper()
	addr := ""
	harness.Until(t, "the door for V-Ray is open", harness.Patience, func() bool {
		if all := doorOpen.FindAllStringSubmatch(log(), -1); len(all) > 0 {
			addr = all[len(all)-1][1]
		}
		return addr != ""
	})
	return addr
}

// answer is what an upload was answered.
type answer map[string]struct {
	DeployedInDirectory, QueuedAs, Message, TmpFile string
	UploadedFileSize, TakenSeconds                  int64
	UploadedVrayVersion                             struct {
		RevHash string `json:"_revHash"`
		Ver     struct {
			Major   int `json:"_major"`
			Minor   int `json:"_minor"`
			Release int `json:"_release"`
		} `json:"_ver"`
	}
}

// send uploads as curl does: -Fqueued=QUEUED -F file=@vray-lin-df715d3c8ff9.tar.
func send(addr string, queued bool, content []byte) (answer, error) {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	w.WriteField("queued", strconv.FormatBool(queued))
	f, err := w.CreateFormFile("file", "vray-lin-df715d3c8ff9.tar")
	if err != nil {
		return nil, err
	}
	f.Write(content)
	w.Close()
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/api/vray/upload", &buf)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Expect", "100-continue")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil || len(a) != 1 {
		return nil, fmt.Errorf("%d %s: %v", res.StatusCode, text, err)
	}
	return a, nil
}

// rapid uploads and wants the build to be deployed.
func rapid(t *testing.T, addr string, content []byte) string {
	t.Helper()
	a, err := send(addr, false, content)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := a["RapidUR"]
	if !ok {
		t.Fatalf("the upload was answered %+v", a)
	}
	if _, err := os.Stat(r.TmpFile); err == nil {
		t.Errorf("the temporary file %s is still there", r.TmpFile)
	}
	if out, err := exec.Command(filepath.Join(r.DeployedInDirectory, "bin", "vray"), "-version").CombinedOutput(); err != nil || !strings.Contains(string(out), "V-Ray core version is 6.20.10") {
		t.Errorf("bin/vray in %s: %v %s", r.DeployedInDirectory, err, out)
	}
	return r.DeployedInDirectory
}

// builds are what `drover renderer ls` shows of V-Ray.
func builds(t *testing.T, f *harness.Farm) (out []struct {
	ID                         int64
	Product, Version, OS, Arch string
	State, Reason, Name, Hash  string
	Workers                    []int64
}) {
	t.Helper()
	f.Drover("renderer", "ls", "--product", "vray", "--json").OK(t).JSON(t, &out)
	return out
}

// TestAWorkerRendersWithABuildItNeverSaw uploads a V-Ray, and a job that is
// submitted right afterwards is rendered by a worker that had none: it fetches the
// build, whole frames and tiles alike, with files from two folders.
func TestAWorkerRendersWithABuildItNeverSaw(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t, "--swarm-listen", "127.0.0.1:0")
	addr := swarmDoor(t, f.Log)
	f.StartWorker()
	f.WaitWorkers(1, harness.Patience)
	f.Drover("limit", "set", "amount.licence.vray", "1").OK(t)
	dir, textures := t.TempDir(), t.TempDir()
	scene := filepath.Join(dir, "shot.vrscene")
	for path, text := range map[string]string{
		scene: "#include \"set/room.vrscene\"\nSettingsOutput o {\n img_width=64;\n img_height=48;\n anim_start=1;\n anim_end=3;\n}\nBitmapBuffer b {\n file=\"" + textures + "/wood.png\";\n}\n",
		filepath.Join(dir, "set", "room.vrscene"): "// nothing\n", filepath.Join(textures, "wood.png"): "no picture",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	deployed := rapid(t, addr, vrayTar(t, "6.20.10 e8197af2", 0))
	if want := filepath.Join(f.Data, "VRay", "vray-6.20.10-e8197af2"); deployed != want {
		t.Errorf("deployed in %s, want %s", deployed, want)
	}
	for _, tiles := range [][]string{nil, {"--tiles", "2x2"}} {
		j := f.Submit(append([]string{scene, "--output-name", "shot_####"}, tiles...)...)
		if j = f.WaitJob(j.ID, long); j.State != "done" {
			t.Fatalf("the job is %s: %s\n%s", j.State, j.Reason, f.Drover("job", "log", fmt.Sprint(j.ID), "0").Out)
		}
		got := files(t, fetched(t, f, j.ID))
		for frame := 1; frame <= 3; frame++ {
			if name := fmt.Sprintf("shot_%04d.png", frame); got[name] == "" {
				t.Errorf("%s is missing among %d files", name, len(got))
			}
		}
		if j.Build != "6.20.10" {
			t.Errorf("rendered with %q", j.Build)
		}
	}
	bs := builds(t, f)
	if len(bs) != 1 || len(bs[0].Workers) != 1 || bs[0].State != "usable" || bs[0].Hash != "e8197af2" {
		t.Errorf("the library: %+v", bs)
	}
	if r := f.Drover("renderer", "show", fmt.Sprint(bs[0].ID), "--json").OK(t); !strings.Contains(r.Out, `"sha256"`) {
		t.Errorf("renderer show: %s", r.Out)
	}
}

// TestTenUploadsAtOnce sends one build ten times at once: one is deployed, for
// nine it exists.
func TestTenUploadsAtOnce(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t, "--swarm-listen", "127.0.0.1:0")
	addr := swarmDoor(t, f.Log)
	content := vrayTar(t, "6.20.10 e8197af2", 100)
	var mu sync.Mutex
	tags := map[string]int{}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			a, err := send(addr, false, content)
			mu.Lock()
			defer mu.Unlock()
			for tag, v := range a {
				tags[tag]++
				if tag == "ExistingUR" && (v.Message != "V-Ray version already exists" || v.UploadedVrayVersion.RevHash != "e8197af2" || v.UploadedVrayVersion.Ver.Minor != 20) {
					t.Errorf("%+v", v)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tags["RapidUR"] != 1 || tags["ExistingUR"] != 9 {
		t.Errorf("the ten answers: %v", tags)
	}
	if left, err := os.ReadDir(filepath.Join(f.Data, "VRay", "uploads")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// TestAKillWhileUnpackingLeavesNothing kills the farm in the middle of unpacking a
// build; at the next start nothing of it is left, and the same upload succeeds.
func TestAKillWhileUnpackingLeavesNothing(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t, "--swarm-listen", "127.0.0.1:0")
	content := vrayTar(t, "6.20.10 e8197af2", 30_000)
	addr := swarmDoor(t, f.Log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(addr, false, content) // it is cut off
	}()
	vray := filepath.Join(f.Data, "VRay")
	harness.Until(t, "the build is being unpacked", harness.Patience, func() bool {
		found, _ := filepath.Glob(filepath.Join(vray, ".unpacking-*", "lib", "*"))
		return len(found) > 0
	})
	f.Kill()
	<-done
	f.Start()
	if bs := builds(t, f); len(bs) != 0 {
		t.Errorf("the library: %+v", bs)
	}
	for _, p := range []string{".unpacking-*", "vray-*", "uploads/*"} {
		if left, _ := filepath.Glob(filepath.Join(vray, p)); len(left) != 0 {
			t.Errorf("left over: %v", left)
		}
	}
	rapid(t, swarmDoor(t, f.Log), content)
}

// TestAPeerDeploysAndOffers opens the door on a worker: a build is deployed there,
// reported and offered to the farm. A queued build for another system is never
// tried twice, and costs no time of the processor for a minute.
func TestAPeerDeploysAndOffers(t *testing.T) {
	t.Parallel()
	f := harness.StartFarm(t, "--swarm-import-dir", filepath.Join(t.TempDir(), "shared"))
	w := f.StartWorker("--swarm-listen", "127.0.0.1:0", "--swarm-period", "200ms")
	addr := swarmDoor(t, w.Log)
	a, err := send(addr, true, vrayZip(t))
	if err != nil || a["QueuedUR"].QueuedAs != filepath.Join(w.Data, "VRay", "import", "vray-lin-df715d3c8ff9.tar") {
		t.Fatalf("queued: %+v, %v", a, err)
	}
	harness.Until(t, "the build for Windows is recognised", harness.Patience, func() bool { return strings.Contains(w.Log(), "is for another system") })
	before := processorTime(t, w.PID())
	<-time.After(time.Minute)
	if used := processorTime(t, w.PID()) - before; used > 3*time.Second {
		t.Errorf("a build for another system cost %v of the processor in a minute", used)
	}
	if n := strings.Count(w.Log(), "is for another system"); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
	if deployed := rapid(t, addr, vrayTar(t, "6.20.10 e8197af2", 0)); filepath.Dir(deployed) != filepath.Join(w.Data, "VRay") {
		t.Errorf("deployed in %s", deployed)
	}
	harness.Until(t, "the farm has the build, and the worker reports it", harness.Patience, func() bool {
		bs := builds(t, f)
		return len(bs) == 2 && bs[0].State == "usable" && bs[1].State == "installed" && bs[1].Version == "6.20.10"
	})
}

// processorTime is what a process has used so far.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// TestFilesSetAsideAreShown puts a build into the import folder of a farm, beside a
// file that is none, which is set aside with its reason.
func TestFilesSetAsideAreShown(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	f := harness.StartFarm(t, "--swarm-import-dir", shared, "--swarm-period", "200ms", "--swarm-tries", "2", "--swarm-pause", "300ms")
	for name, content := range map[string][]byte{"Linux_x86/vray.tar": vrayTar(t, "6.20.10 e8197af2", 0), "Windows_x86/vray.zip": vrayZip(t), "broken.tar": []byte("this is no archive")} {
		path := filepath.Join(shared, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	harness.Until(t, "two are imported and one is set aside", harness.Patience, func() bool {
		states := map[string]int{}
		for _, b := range builds(t, f) {
			states[b.State]++
			if b.State == "aside" && (b.Name != "broken.tar" || !strings.Contains(b.Reason, "neither a zip nor a tar")) {
				t.Fatalf("%+v", b)
			}
		}
		return states["usable"] == 2 && states["aside"] == 1
	})
	for _, dir := range []string{"vray-6.20.10-e8197af2/bin/vray", "vray-6.20.10-e8197af2-windows-x86_64/bin/vray.exe"} {
		if _, err := os.Stat(filepath.Join(f.Data, "VRay", dir)); err != nil {
			t.Error(err)
		}
	}
}
