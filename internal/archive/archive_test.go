package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"drover.farm/internal/archive"
)

// tree reads a folder: content by name, links as "-> target".
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if d.Type()&fs.ModeSymlink != 0 {
			l, err := os.Readlink(p)
			out[filepath.ToSlash(rel)] = "-> " + l
			return err
		}
		b, err := os.ReadFile(p)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unpack(t *testing.T, data []byte, o archive.Options) (string, error) {
	t.Helper()
	parent := t.TempDir()
	err := archive.Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), parent, "out", o)
	left, _ := os.ReadDir(parent)
	if err != nil && len(left) != 0 {
		t.Errorf("a refused archive left %v", left)
	}
	if err == nil && (len(left) != 1 || left[0].Name() != "out") {
		t.Errorf("unpacking left %v", left)
	}
	return filepath.Join(parent, "out"), err
}

type item struct {
	name, body, link string
	kind             byte
	mode             int64
}

func makeTar(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Typeflag: i.kind, Linkname: i.link, Mode: i.mode, Size: int64(len(i.body)), Format: tar.FormatGNU}
		if i.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, i.body)
	}
	w.Close()
	return b.Bytes()
}

func makeZip(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, i := range items {
		h := &zip.FileHeader{Name: i.name, Method: zip.Deflate}
		mode := fs.FileMode(i.mode)
		if mode == 0 {
			mode = 0o644
		}
		h.SetMode(mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, i.body)
	}
	w.Close()
	return b.Bytes()
}

var good = []item{
	{name: "./", kind: tar.TypeDir}, {name: "./b/", kind: tar.TypeDir}, {name: "b/rend", body: "#!", mode: 0o755}, {name: "b/lib/c.so.1", body: "so"},
	{name: "b/lib/c.so", kind: tar.TypeSymlink, link: "c.so.1"}, {name: "b/rend2", kind: tar.TypeLink, link: "b/rend"}, {name: "b/up", kind: tar.TypeSymlink, link: "../b/lib"},
}

func TestUnpackTars(t *testing.T) {
	t.Parallel()
	plain := makeTar(t, good...)
	var gz, zs bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write(plain)
	w.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write(plain)
	z.Close()
	want := map[string]string{"b/rend": "#!", "b/rend2": "#!", "b/lib/c.so.1": "so", "b/lib/c.so": "-> c.so.1", "b/up": "-> ../b/lib"}
	for name, data := range map[string][]byte{"tar": plain, "gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := unpack(t, data, archive.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, tree(t, dir)); d != "" {
				t.Error(d)
			}
			if st, _ := os.Stat(filepath.Join(dir, "b/rend")); st.Mode().Perm() != 0o755 {
				t.Errorf("the program has mode %v", st.Mode())
			}
			if _, err := unpack(t, data[:len(data)/2], archive.Options{}); err == nil {
				t.Error("half an archive was unpacked")
			}
			lasting, err := unpack(t, data, archive.Options{Lasting: true})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, tree(t, lasting)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A tar with one file "a.txt" of "hello\n", packed by the usual programs.
var packed = map[string]string{
	"bzip2": "QlpoOTFBWSZTWXaEIE0AAHN7hMkQAERAAX+AAAhiRJ5AAACACCAAdQ1T1NqHpDQZlGhtQSSE9QAAGgT+axoIQPIBIwHHyaRaySCC6gRnDiNCHYANgA07z0ZhBjKMJokCC0q/nooFCxrY3J7PsiSD8XckU4UJB2hCBNA=",
	"xz":    "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/AG5dADCLiofEDvKXpPh1PcWp7dmabcqj81qh56rpJfCvDsTST6cDaS3f55J5vqevrR651FHIGUcO12vJA1EO2feMdG2Z85CmnWGkWdO7reeuFe/snIYTeQw8nPnXDb4bjm/EBM+cE1lwURiqajNRvAAAAAAAYMFZ+nYU2TUAAYoBgFAAAFhS+8CxxGf7AgAAAAAEWVo=",
}

func TestUnpackBzip2AndXZ(t *testing.T) {
	t.Parallel()
	for name, text := range packed {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := unpack(t, data, archive.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(map[string]string{"a.txt": "hello\n"}, tree(t, dir)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestHostileEntriesAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d/", 70) + "x"
	for name, c := range map[string]struct {
		items []item
		why   string
	}{
		"parent":            {[]item{{name: "../evil"}}, `part ".."`},
		"inner parent":      {[]item{{name: "a/../../evil"}}, `part ".."`},
		"absolute":          {[]item{{name: "/etc/passwd"}}, "absolute"},
		"dot absolute":      {[]item{{name: ".//etc"}}, "absolute"},
		"drive":             {[]item{{name: "C:/evil"}}, "drive"},
		"backslash":         {[]item{{name: `a\..\..\evil`}}, "backslash"},
		"control":           {[]item{{name: "a\nb"}}, "control"},
		"not utf-8":         {[]item{{name: "a\xff"}}, "UTF-8"},
		"deep":              {[]item{{name: long}}, "folders"},
		"long name":         {[]item{{name: strings.Repeat("x", 256)}}, "255"},
		"long path":         {[]item{{name: strings.Repeat("xxxxxxxxx/", 20) + strings.Repeat("y/"+strings.Repeat("z", 200)+"/", 5) + "f"}}, "path of"},
		"twice":             {[]item{{name: "a"}, {name: "a"}}, "twice"},
		"file then folder":  {[]item{{name: "a"}, {name: "a/b"}}, "no folder"},
		"folder then file":  {[]item{{name: "a/b"}, {name: "a"}}, "twice"},
		"link up":           {[]item{{name: "a", kind: tar.TypeSymlink, link: "../x"}}, "outside"},
		"link absolute":     {[]item{{name: "a", kind: tar.TypeSymlink, link: "/etc"}}, "relative"},
		"link empty":        {[]item{{name: "a", kind: tar.TypeSymlink}}, "relative"},
		"through a link":    {[]item{{name: "b/", kind: tar.TypeDir}, {name: "a", kind: tar.TypeSymlink, link: "b"}, {name: "a/x"}}, "no folder"},
		"link over link":    {[]item{{name: "s/l", kind: tar.TypeSymlink, link: ".."}, {name: "s/m", kind: tar.TypeSymlink, link: "l/../s"}}, "leads outside"},
		"circle":            {[]item{{name: "a", kind: tar.TypeSymlink, link: "b"}, {name: "b", kind: tar.TypeSymlink, link: "a"}}, "circle"},
		"hard link out":     {[]item{{name: "a", kind: tar.TypeLink, link: "../x"}}, "not allowed"},
		"hard link ahead":   {[]item{{name: "a", kind: tar.TypeLink, link: "b"}, {name: "b"}}, "no file before"},
		"hard link to link": {[]item{{name: "l", kind: tar.TypeSymlink, link: "x"}, {name: "a", kind: tar.TypeLink, link: "l"}}, "no file before"},
		"device":            {[]item{{name: "a", kind: tar.TypeChar}}, "device"},
		"pipe":              {[]item{{name: "a", kind: tar.TypeFifo}}, "device"},
		"setuid":            {[]item{{name: "a", mode: 0o4755}}, "set-user-id"},
		"empty part":        {[]item{{name: "a//b"}}, `part ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unpack(t, makeTar(t, c.items...), archive.Options{})
			var r *archive.Refusal
			if !errors.As(err, &r) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("answered with %v, want a refusal with %q", err, c.why)
			}
		})
	}
}

func TestHostileZipsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		items []item
		why   string
	}{
		"parent":   {[]item{{name: "../evil"}}, `part ".."`},
		"absolute": {[]item{{name: "/evil"}}, "absolute"},
		"link":     {[]item{{name: "a", body: "../../x", mode: int64(fs.ModeSymlink | 0o777)}}, "outside"},
		"pipe":     {[]item{{name: "a", mode: int64(fs.ModeNamedPipe | 0o644)}}, "device"},
		"setuid":   {[]item{{name: "a", mode: int64(fs.ModeSetuid | 0o755)}}, "set-user-id"},
		"twice":    {[]item{{name: "a"}, {name: "a"}}, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := unpack(t, makeZip(t, c.items...), archive.Options{})
			var r *archive.Refusal
			if !errors.As(err, &r) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("answered with %v, want a refusal with %q", err, c.why)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	many := make([]item, 11)
	for i := range many {
		many[i] = item{name: string(rune('a' + i)), body: "0123456789"}
	}
	bomb := bytes.Repeat([]byte{0}, 100<<20)
	for name, c := range map[string]struct {
		data   []byte
		limits archive.Limits
		why    string
	}{
		"entries": {makeTar(t, many...), archive.Limits{Entries: 10}, "10 entries"},
		"bytes":   {makeTar(t, many...), archive.Limits{Bytes: 100}, "100 bytes"},
		"ratio":   {makeZip(t, item{name: "bomb", body: string(bomb)}), archive.Limits{}, "bomb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := unpack(t, c.data, archive.Options{Limits: c.limits}); err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("answered with %v, want %q", err, c.why)
			}
		})
	}
	if _, err := unpack(t, makeTar(t, many...), archive.Options{Limits: archive.Limits{Entries: 11, Bytes: 110}}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func writeZip(t testing.TB, password string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := archive.NewZipWriter(&b, password)
	if err := w.Folder("tex"); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name, body string
		plain      bool
	}{{"scene.blend", strings.Repeat("BLENDER", 20000), false}, {"tex/a.png", strings.Repeat("\x89PNG", 9000), true}, {"empty", "", false}} {
		fw, err := w.File(f.name, f.plain, f.name == "empty")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(fw, f.body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZipRoundTrip(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "pass word ü"} {
		data := writeZip(t, password)
		if !bytes.Equal(data, writeZip(t, password)) {
			t.Error("the same files give another zip")
		}
		if bytes.Contains(data, []byte("\x89PNG\x89PNG")) != (password == "") {
			t.Errorf("with password %q the content is readable or not, wrongly", password)
		}
		dir, err := unpack(t, data, archive.Options{Password: password})
		if err != nil {
			t.Fatal(err)
		}
		got := tree(t, dir)
		if got["scene.blend"] != strings.Repeat("BLENDER", 20000) || got["tex/a.png"] != strings.Repeat("\x89PNG", 9000) || len(got) != 3 {
			t.Error("the content differs")
		}
	}
	if _, err := unpack(t, writeZip(t, "right"), archive.Options{Password: "wrong"}); err == nil {
		t.Error("a wrong password opened the zip")
	}
}

// Made by Info-ZIP's `zip -P secret`: one file "a.txt" of "hello\n".
const infoZip = "UEsDBAoACQAAAAAAISggMDo2EgAAAAYAAAAFAAAAYS50eHRNJRJJojmRGdWDRUNR0HG3AItQSwcIIDA6NhIAAAAGAAAAUEsBAh4DCgAJAAAAAAAhKCAwOjYSAAAABgAAAAUAAAAAAAAAAQAAAKSBAAAAAGEudHh0UEsFBgAAAAABAAEAMwAAAEUAAAAAAA=="

func TestReadsInfoZip(t *testing.T) {
	t.Parallel()
	data, err := base64.StdEncoding.DecodeString(infoZip)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := unpack(t, data, archive.Options{Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"a.txt": "hello\n"}, tree(t, dir)); d != "" {
		t.Error(d)
	}
	if _, err := unpack(t, data, archive.Options{Password: "secreT"}); err == nil {
		t.Error("a wrong password opened the zip")
	}
}

// aesZip is a zip with one stored entry, encrypted as WinZip does (AE-2).
func aesZip(t testing.TB, password, body string, strength byte) []byte {
	t.Helper()
	keyLen := 8 + 8*int(strength)
	salt := bytes.Repeat([]byte{7}, keyLen/2)
	keys, err := pbkdf2.Key(sha1.New, password, salt, 1000, 2*keyLen+2)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := aes.NewCipher(keys[:keyLen])
	enc := []byte(body)
	for i := 0; i < len(enc); i += 16 {
		var ctr, pad [16]byte
		binary.LittleEndian.PutUint64(ctr[:], uint64(i/16+1))
		block.Encrypt(pad[:], ctr[:])
		for k := i; k < min(i+16, len(enc)); k++ {
			enc[k] ^= pad[k-i]
		}
	}
	mac := hmac.New(sha1.New, keys[keyLen:2*keyLen])
	mac.Write(enc)
	raw := slices.Concat(salt, keys[2*keyLen:], enc, mac.Sum(nil)[:10])
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "a.txt", Method: 99, Flags: 1, UncompressedSize64: uint64(len(body)), CompressedSize64: uint64(len(raw)),
		Extra: []byte{0x01, 0x99, 7, 0, 2, 0, 'A', 'E', strength, 0, 0}}
	f, err := w.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(raw)
	w.Close()
	return b.Bytes()
}

func TestReadsAES(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("some text, ", 500)
	for strength := byte(1); strength <= 3; strength++ {
		data := aesZip(t, "secret", body, strength)
		dir, err := unpack(t, data, archive.Options{Password: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		if tree(t, dir)["a.txt"] != body {
			t.Error("the content differs")
		}
		if _, err := unpack(t, data, archive.Options{Password: "other"}); !errors.Is(err, archive.ErrPassword) {
			t.Errorf("another password: %v", err)
		}
		data[200] ^= 1
		if _, err := unpack(t, data, archive.Options{Password: "secret"}); err == nil {
			t.Error("changed content was accepted")
		}
	}
}

func TestUnpackNeedsAFreePlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := makeTar(t, item{name: "a"})
	for i, want := range []error{nil, fs.ErrExist} {
		if err := archive.Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), dir, "x", archive.Options{}); !errors.Is(err, want) {
			t.Errorf("time %d: %v, want %v", i, err, want)
		}
	}
	if err := archive.Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), dir, "../x", archive.Options{}); err == nil {
		t.Error("a name that leads away was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := archive.Unpack(ctx, bytes.NewReader(data), int64(len(data)), dir, "y", archive.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []string{".unpacking-1/a/b", "kept"} {
		if err := os.MkdirAll(filepath.Join(dir, n), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 1 || left[0].Name() != "kept" {
		t.Errorf("left are %v", left)
	}
}

func TestRepackKeepsTheTree(t *testing.T) {
	t.Parallel()
	data := makeTar(t, good...)
	var b bytes.Buffer
	if err := archive.Repack(t.Context(), bytes.NewReader(data), int64(len(data)), &b, archive.Options{}); err != nil {
		t.Fatal(err)
	}
	first, err := unpack(t, data, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := unpack(t, b.Bytes(), archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(tree(t, first), tree(t, second)); d != "" {
		t.Error(d)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(makeTar(f, good...), "")
	f.Add(makeZip(f, item{name: "a", body: "x"}), "")
	f.Add(writeZip(f, "p"), "p")
	f.Add(aesZip(f, "p", "body", 3), "p")
	f.Add(makeTar(f, item{name: "a", kind: tar.TypeSymlink, link: "../x"}), "")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		parent := t.TempDir()
		outside := filepath.Join(parent, "outside")
		if err := os.WriteFile(outside, []byte("safe"), 0o600); err != nil {
			t.Fatal(err)
		}
		in := filepath.Join(parent, "in")
		if err := os.Mkdir(in, 0o755); err != nil {
			t.Fatal(err)
		}
		err := archive.Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), in, "out",
			archive.Options{Password: password, Limits: archive.Limits{Bytes: 1 << 20, Entries: 100}})
		top, _ := os.ReadDir(parent)
		left, _ := os.ReadDir(in)
		if b, _ := os.ReadFile(outside); string(b) != "safe" || len(top) != 2 {
			t.Fatal("something outside of the folder changed")
		}
		if (err == nil) != (len(left) == 1) {
			t.Fatalf("error %v, left %v", err, left)
		}
		if err != nil {
			return
		}
		filepath.WalkDir(filepath.Join(in, "out"), func(p string, d fs.DirEntry, err error) error {
			if d != nil && d.Type()&fs.ModeSymlink != 0 {
				if real, err := filepath.EvalSymlinks(p); err == nil && !strings.HasPrefix(real, filepath.Join(in, "out")) {
					t.Fatalf("%s leads to %s", p, real)
				}
			}
			return nil
		})
	})
}
