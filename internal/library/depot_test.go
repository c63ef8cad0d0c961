package library

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/archive"
	"drover.farm/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Inside()
	os.Exit(m.Run())
}

// fakeShelf remembers what was published.
type fakeShelf struct {
	mu    sync.Mutex
	known map[Found]bool
	fail  error
}

func (s *fakeShelf) key(f *Found) Found {
	return Found{Product: f.Product, Version: f.Version, Revision: f.Revision, OS: f.OS, Arch: f.Arch}
}

func (s *fakeShelf) Publish(_ context.Context, _ *os.File, f *Found, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.known[s.key(f)] = true
	return nil
}

func (s *fakeShelf) Known(_ context.Context, f *Found) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[s.key(f)], nil
}

// depotBundle is a depot in a folder of its own.
type depotBundle struct {
	*Depot
	t     *testing.T
	shelf *fakeShelf
}

func newDepot(t *testing.T) *depotBundle {
	t.Helper()
	shelf := &fakeShelf{known: map[Found]bool{}}
	b := &depotBundle{&Depot{Dir: filepath.Join(t.TempDir(), "VRay"), Shelf: shelf, Foreign: true, Log: slog.New(slog.DiscardHandler)}, t, shelf}
	b.open()
	return b
}

func (b *depotBundle) open() {
	b.t.Helper()
	if err := b.Open(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { b.Close() })
}

// file writes content to a file of its own.
func (b *depotBundle) file(content []byte) *os.File {
	b.t.Helper()
	f, err := os.Create(filepath.Join(b.t.TempDir(), "x"))
	if err == nil {
		_, err = f.Write(content)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { f.Close() })
	return f
}

// folders are what lies in the depot.
func (b *depotBundle) folders() (out []string) {
	entries, err := os.ReadDir(b.Dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "uploads" && e.Name() != ".lock" {
			out = append(out, e.Name())
		}
	}
	return out
}

// machine is the ELF machine of this one, and of another.
func machine() (own, other uint16) {
	if runtime.GOARCH == "arm64" {
		return arm64, x86_64
	}
	return x86_64, arm64
}

func standIn(t *testing.T, version string) []byte {
	own, _ := machine()
	return pack(t, "v/bin/vray.bin", elfHead(own), "v/version.txt", version)
}

func TestDeploys(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // the archives here are Linux's
	}
	b := newDepot(t)
	got, err := b.Take(t.Context(), b.file(standIn(t, "6.20.10 e8197af2")), "v.tar")
	if err != nil {
		t.Fatal(err)
	}
	want := &Taken{VRayVersion{6, 20, 10, "e8197af2"}, filepath.Join(b.Dir, "vray-6.20.10-e8197af2")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, p := range []string{"bin/vray", "bin/vray.bin"} {
		if st, err := os.Stat(filepath.Join(got.Dir, p)); err != nil || st.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v %v", p, st, err)
		}
	}
	var exists *Exists
	if _, err := b.Take(t.Context(), b.file(standIn(t, "6.20.010-E8197AF2")), "again.tar"); !errors.As(err, &exists) || exists.Version != want.Version {
		t.Errorf("the same version again: %v", err)
	}
	_, foreign := machine()
	if _, err := b.Take(t.Context(), b.file(pack(t, "bin/vray", elfHead(foreign), "version.txt", "6.20.10 e8197af2")), "v.tar"); err != nil {
		t.Errorf("the same version for another system: %v", err)
	}
	if _, err := b.Take(t.Context(), b.file(packZip(t, "bin/vray.exe", peHead(0x8664), "version.txt", "6.20.10 e8197af2")), "v.zip"); err != nil {
		t.Errorf("the same version for Windows: %v", err)
	}
	if n := len(b.folders()); n != 3 {
		t.Errorf("there are %v", b.folders())
	}
}

func TestWhatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newDepot(t)
	for name, content := range map[string][]byte{
		"no version": pack(t, "bin/vray", elfHead(x86_64)), "a way out": pack(t, "bin/vray", elfHead(x86_64), "version.txt", "6.20.10 e8197af2", "../x", ""),
		"Blender": pack(t, "blender-4.2.1/blender", elfHead(x86_64), "blender-4.2.1/4.2/scripts/x", ""), "text": []byte("text"), "an installer": []byte(elfHead(x86_64)),
	} {
		if _, err := b.Take(t.Context(), b.file(content), "v.tar"); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	b.shelf.fail = errors.New("no room")
	if _, err := b.Take(t.Context(), b.file(standIn(t, "6.20.10 e8197af2")), "v.tar"); !errors.Is(err, b.shelf.fail) {
		t.Errorf("a build that cannot be published: %v", err)
	}
	if left := b.folders(); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := newDepot(t)
	content := standIn(t, "6.20.10 e8197af2")
	var wg sync.WaitGroup
	taken := make(chan error, 10)
	for range 10 {
		f := b.file(content)
		wg.Go(func() { _, err := b.Take(t.Context(), f, "v.tar"); taken <- err })
	}
	wg.Wait()
	fresh := 0
	for range 10 {
		var exists *Exists
		if err := <-taken; err == nil {
			fresh++
		} else if !errors.As(err, &exists) {
			t.Error(err)
		}
	}
	if fresh != 1 {
		t.Errorf("%d of ten uploads were new", fresh)
	}
}

func TestStartCleansUp(t *testing.T) {
	t.Parallel()
	b := newDepot(t)
	if _, err := b.Take(t.Context(), b.file(standIn(t, "6.20.10 e8197af2")), "v.tar"); err != nil {
		t.Fatal(err)
	}
	kept := b.folders()
	if _, err := b.Take(t.Context(), b.file(standIn(t, "6.20.11 e8197af2")), "v.tar"); err != nil {
		t.Fatal(err)
	}
	// Killed between the folder's rename and the publication, while unpacking,
	// and in the middle of an upload.
	for f := range b.shelf.known {
		if f.Version == "6.20.11" {
			delete(b.shelf.known, f)
		}
	}
	for _, p := range []string{".unpacking-7/bin/vray", "uploads/upload-1.buf", "uploads/installer-1/tree/x"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(b.Dir, filepath.Dir(p)), 0o755), os.WriteFile(filepath.Join(b.Dir, p), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(b.Dir, "vray-by-hand"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b.open()
	if diff := cmp.Diff(append(kept, "vray-by-hand"), b.folders()); diff != "" {
		t.Error(diff)
	}
	if left, _ := os.ReadDir(b.uploads()); len(left) != 0 {
		t.Errorf("uploads left: %v", left)
	}
}

func TestInstallers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // the sandbox is Linux's
	}
	b := newDepot(t)
	installer := []byte("#!/bin/sh\nset -e\n[ \"$1\" = -unpackInstall ]\nmkdir -p \"$2/bin\"\nprintf '#!/bin/sh\\n' > \"$2/bin/vray\"\nchmod 755 \"$2/bin/vray\"\necho '7.10.2 abcdef12' > \"$2/version.txt\"\n")
	if _, err := b.Take(t.Context(), b.file(installer), "vray_installer"); err == nil || !strings.Contains(err.Error(), "swarm.allow_executables") {
		t.Errorf("an installer where none is allowed: %v", err)
	}
	b.Installers = &Installers{Time: time.Minute}
	got, err := b.Take(t.Context(), b.file(installer), "vray_installer")
	if err != nil || got.Version.String() != "7.10.2-abcdef12" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := b.Take(t.Context(), b.file([]byte("#!/bin/sh\necho broken >&2; exit 1")), "x"); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("an installer that fails: %v", err)
	}
	if _, err := b.Take(t.Context(), b.file([]byte(peHead(0x8664))), "x.exe"); err == nil || !strings.Contains(err.Error(), "windows") {
		t.Errorf("an installer for Windows: %v", err)
	}
	if left, _ := os.ReadDir(b.uploads()); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestAsksForAVersion(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // the sandbox is Linux's
	}
	b := newDepot(t)
	says := func(text string) *os.File {
		return b.file(pack(t, "v/bin/vray", "#!/bin/sh\n[ \"$1\" = -version ] && echo '"+text+"'\n"))
	}
	if _, err := b.Take(t.Context(), says("V-Ray core version is 6.20.07"), "v.tar"); err == nil {
		t.Error("it was run although that is not allowed")
	}
	b.RunVersion = true
	got, err := b.Take(t.Context(), says("V-Ray core version is 6.20.07"), "v.tar")
	if err != nil || got.Version.String() != "6.20.7" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := b.Take(t.Context(), says("hello"), "v.tar"); err == nil || !strings.Contains(err.Error(), "does not print it") {
		t.Errorf("one that does not say: %v", err)
	}
	if left, _ := os.ReadDir(b.uploads()); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

// importBundle is an import folder whose clock the test turns.
type importBundle struct {
	*Importer
	t     *testing.T
	depot *depotBundle
	now   time.Time
}

func newImporter(t *testing.T) *importBundle {
	t.Helper()
	b := &importBundle{t: t, depot: newDepot(t), now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	b.again()
	return b
}

// again opens the folder as a new process does.
func (b *importBundle) again() {
	b.t.Helper()
	b.Importer = &Importer{Depot: b.depot.Depot, Dir: filepath.Join(b.depot.Dir, "import"), State: filepath.Join(b.depot.Dir, "imports.json"), Tries: 3,
		Clock: func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler)}
	if err := b.Importer.Open(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *importBundle) put(name string, content []byte) {
	b.t.Helper()
	p := filepath.Join(b.Dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, content, 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

// after looks at the folder once that much time has passed.
func (b *importBundle) after(d time.Duration) {
	b.t.Helper()
	b.now = b.now.Add(d)
	if err := b.Scan(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// states are the files that are no builds, by name.
func (b *importBundle) states() map[string]FileState {
	out := map[string]FileState{}
	for _, f := range b.Files() {
		out[f.Name] = f.State
	}
	return out
}

func TestImportsWhatIsStable(t *testing.T) {
	t.Parallel()
	b := newImporter(t)
	whole := standIn(t, "6.20.10 e8197af2")
	b.put("Linux_x86/v.tar", whole[:len(whole)/2])
	b.put("half.tar.part", whole)
	b.after(0)
	b.after(9 * time.Second)
	b.put("Linux_x86/v.tar", whole)
	b.after(5 * time.Second)
	b.after(5 * time.Second)
	if len(b.shelf()) != 0 {
		t.Error("a file was imported that had just changed")
	}
	b.after(5 * time.Second)
	if len(b.shelf()) != 1 || len(b.states()) != 0 {
		t.Errorf("imported %v, others %v", b.shelf(), b.states())
	}
	if _, err := os.Stat(filepath.Join(b.Dir, "Linux_x86/v.tar")); err != nil {
		t.Errorf("somebody's own file was removed: %v", err)
	}
	b.again()
	b.after(time.Hour)
	b.after(time.Hour)
	if n := len(b.shelf()); n != 1 {
		t.Errorf("after a restart: %d builds", n)
	}
}

func (b *importBundle) shelf() map[Found]bool { return b.depot.shelf.known }

func TestAFailingFileIsSetAside(t *testing.T) {
	t.Parallel()
	b := newImporter(t)
	b.put("bad.tar", pack(t, "bin/vray", elfHead(x86_64)))
	b.after(0)
	for i, d := range []time.Duration{10, 29, 1, 59, 1, 3600} {
		b.after(d * time.Second)
		want := []int{1, 1, 2, 2, 3, 3}[i]
		if f := b.Files()[0]; f.Tries != want || (f.State == FileAside) != (want == 3) || !strings.Contains(f.Reason, "version.txt") {
			t.Errorf("look %d: %+v, want %d tries", i, f, want)
		}
	}
	b.again()
	b.after(time.Hour)
	if f := b.Files()[0]; f.State != FileAside || f.Tries != 3 {
		t.Errorf("after a restart: %+v", f)
	}
	b.put("bad.tar", standIn(t, "6.20.10 e8197af2"))
	b.after(0)
	b.after(10 * time.Second)
	if len(b.states()) != 0 {
		t.Errorf("a file that was mended: %v", b.states())
	}
	os.Remove(filepath.Join(b.Dir, "bad.tar"))
	b.after(time.Second)
}

func TestAForeignFileIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	b := newImporter(t)
	b.depot.Foreign = false
	b.put("win.zip", packZip(t, "bin/vray.exe", peHead(0x8664), "version.txt", "6.20.10 e8197af2"))
	b.after(0)
	b.after(time.Minute)
	if diff := cmp.Diff(map[string]FileState{"win.zip": FileForeign}, b.states()); diff != "" {
		t.Error(diff)
	}
	b.now = b.now.Add(time.Hour)
	found, err := b.list()
	if err != nil || len(b.due(found)) != 0 {
		t.Errorf("it is due again, or %v", err)
	}
}

func TestQueuedUploadsGoOnceImported(t *testing.T) {
	t.Parallel()
	b := newImporter(t)
	queue := func(name string) string {
		f, err := b.depot.Temp()
		if err == nil {
			_, err = f.Write(standIn(t, "6.20.10 e8197af2"))
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		as, err := b.Queue(f.Name(), name)
		if err != nil {
			t.Fatal(err)
		}
		return as
	}
	first, second := queue("../../v.tar"), queue("../../v.tar")
	if filepath.Dir(first) != b.Dir || first == second {
		t.Errorf("queued as %s and %s", first, second)
	}
	b.after(0)
	if left, _ := os.ReadDir(b.Dir); len(left) != 0 || len(b.shelf()) != 1 {
		t.Errorf("left over %v, builds %v", left, b.shelf())
	}
}

func TestPlainName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"v.tar": "v.tar", "../x": "_x", "": "upload", "...": "upload", "a/b\\c:d": "a_b_c_d", "\xff\n": "__", strings.Repeat("x", 400): strings.Repeat("x", 150)} {
		if got := plainName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestUnpackOfARoot(t *testing.T) {
	t.Parallel()
	b := newDepot(t)
	f := b.file(pack(t, "a/v/x", "1", "a/other", "2"))
	st, _ := f.Stat()
	if err := archive.Unpack(t.Context(), f, st.Size(), b.Dir, "out", archive.Options{Root: "a/v"}); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(filepath.Join(b.Dir, "out"))
	if len(entries) != 1 || entries[0].Name() != "x" {
		t.Errorf("unpacked %v", entries)
	}
}

func TestPeerOffersWhatItHas(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	offered := make(chan string, 2)
	tries := 0
	s := &PeerShelf{Dir: d.Dir, Log: d.Log, Pause: time.Millisecond, Refused: func(error) bool { return false }, Changed: func() {}, Offer: func(_ context.Context, file, name string) error {
		if tries++; tries == 1 {
			return errors.New("the farm is away")
		}
		_, err := os.Stat(file)
		offered <- name
		return err
	}}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	d.Depot.Shelf = s
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	if _, err := d.Take(t.Context(), d.file(standIn(t, "6.20.10 e8197af2")), "v.tar"); err != nil {
		t.Fatal(err)
	}
	if got := <-offered; got != "v.tar" {
		t.Errorf("offered %s", got)
	}
	var exists *Exists
	if _, err := d.Take(t.Context(), d.file(standIn(t, "6.20.10 e8197af2")), "v.tar"); !errors.As(err, &exists) {
		t.Errorf("again: %v", err)
	}
	cancel()
	wg.Wait()
	if err := d.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := d.Deployed(); err != nil || len(found) != 1 {
		t.Errorf("deployed %v, %v", found, err)
	}
}
