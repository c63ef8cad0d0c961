package library

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/archive"
)

// elfHead, peHead and machoHead are the first bytes of executables.
func elfHead(machine uint16) string {
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	b[16] = 2
	binary.LittleEndian.PutUint16(b[18:], machine)
	return string(b)
}

func peHead(machine uint16) string {
	b := make([]byte, 256)
	copy(b, "MZ")
	b[0x3c] = 0x80
	copy(b[0x80:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[0x84:], machine)
	return string(b)
}

func machoHead(cpu uint32) string {
	b := binary.LittleEndian.AppendUint32(nil, 0xfeedfacf)
	return string(binary.LittleEndian.AppendUint32(b, cpu)) + strings.Repeat("\x00", 24)
}

const (
	x86_64 = 0x3e
	arm64  = 0xb7
)

// pack makes a tar of names and contents, in their order.
func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o755, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, files[i+1])
	}
	w.Close()
	return b.Bytes()
}

func packZip(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, files[i+1])
	}
	w.Close()
	return b.Bytes()
}

func TestRecognise(t *testing.T) {
	t.Parallel()
	sh := "#!/bin/sh\n"
	for _, c := range []struct {
		name  string
		files []byte
		file  string
		d     Description
		want  Found
	}{
		{name: "official Blender for Linux", files: pack(t, "blender-4.2.1-linux-x64/blender", elfHead(x86_64), "blender-4.2.1-linux-x64/4.2/scripts/a.py", "", "blender-4.2.1-linux-x64/4.2/python/bin/python3.11", elfHead(x86_64)),
			want: Found{"blender", "4.2.1", "", "linux", "x86_64", "blender-4.2.1-linux-x64", "blender"}},
		{name: "Blender for Windows", files: packZip(t, "blender-4.2.1-windows-x64/blender.exe", peHead(0x8664), "blender-4.2.1-windows-x64/4.2/datafiles/a", ""),
			want: Found{"blender", "4.2.1", "", "windows", "x86_64", "blender-4.2.1-windows-x64", "blender.exe"}},
		{name: "Blender for macOS", files: packZip(t, "Blender.app/Contents/MacOS/Blender", machoHead(0x0100000c), "Blender.app/Contents/Resources/4.2/scripts/a.py", "",
			"Blender.app/Contents/Info.plist", "<key>CFBundleShortVersionString</key>\n<string>4.2.3</string>"),
			want: Found{"blender", "4.2.3", "", "macos", "arm64", "", "Blender.app/Contents/MacOS/Blender"}},
		{name: "a daily Blender, its folder renamed", files: pack(t, "b/blender", elfHead(arm64), "b/5.0/scripts/a.py", ""), file: "blender-5.0.0-alpha+main.396f546c9d82-linux.aarch64-release.tar.xz",
			want: Found{"blender", "5.0.0", "396f546c9d82", "linux", "arm64", "b", "blender"}},
		{name: "a Blender that is named by hand", files: pack(t, "blender", elfHead(x86_64), "4.2/scripts/a.py", ""), d: Description{Version: "4.2.2"},
			want: Found{"blender", "4.2.2", "", "linux", "x86_64", "", "blender"}},
		{name: "V-Ray by its manifest", files: pack(t, "vray/bin/vray", sh, "vray/bin/vray.bin", elfHead(x86_64), "vray/version.txt", "6.20.10 E8197AF2\r\n"),
			want: Found{"vray", "6.20.10", "e8197af2", "linux", "x86_64", "vray", "bin/vray"}},
		{name: "V-Ray by its folder", files: packZip(t, "vray-7.10.00-abcdef12/bin/vray.exe", peHead(0xaa64)),
			want: Found{"vray", "7.10.0", "abcdef12", "windows", "arm64", "vray-7.10.00-abcdef12", "bin/vray.exe"}},
		{name: "V-Ray by its product name", files: pack(t, "bin/vray.bin", elfHead(x86_64)), file: "vraystd_adv_62022_rhel8_clang-gcc-11.2.tar",
			want: Found{"vray", "6.20.22", "", "linux", "x86_64", "", "bin/vray.bin"}},
		{name: "Radiance", files: pack(t, "radiance-5.4.a-Linux/usr/local/radiance/bin/rpict", elfHead(x86_64), "radiance-5.4.a-Linux/usr/local/radiance/bin/rtrace", elfHead(x86_64), "radiance-5.4.a-Linux/usr/local/radiance/lib/rayinit.cal", "{}"),
			want: Found{"radiance", "5.4.a", "", "linux", "x86_64", "radiance-5.4.a-Linux/usr/local/radiance", "bin/rpict"}},
		{name: "Radiance by its file", files: pack(t, "bin/rpict", elfHead(x86_64), "lib/rayinit.cal", "{}", "lib/VERSION", "RADIANCE 6.0a lastmod\n"),
			want: Found{"radiance", "6.0a", "", "linux", "x86_64", "", "bin/rpict"}},
		{name: "a manifest of its own", files: pack(t, "x/drover-renderer.json", `{"product":"Toon","version":"2.1","program":"go/toon"}`, "x/go/toon", elfHead(x86_64)),
			want: Found{"toon", "2.1", "", "linux", "x86_64", "x", "go/toon"}},
		{name: "any program that is described", files: pack(t, "Nuke15/Nuke15.1", elfHead(x86_64), "Nuke15/lib/a.so", elfHead(x86_64)),
			d:    Description{Product: "nuke", Version: "15.1v2", Program: "Nuke15/Nuke15.1"},
			want: Found{"nuke", "15.1v2", "", "linux", "x86_64", "Nuke15", "Nuke15.1"}},
		{name: "a script", files: pack(t, "toon", sh), d: Description{Product: "toon", Version: "1", Program: "./toon", OS: "linux"},
			want: Found{"toon", "1", "", "linux", "any", "", "toon"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Recognise(t.Context(), bytes.NewReader(c.files), int64(len(c.files)), c.file, c.d, archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRecogniseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files []byte
		file  string
		d     Description
		says  string
	}{
		{"no archive", []byte("text"), "x", Description{}, "neither a zip nor a tar"},
		{"nothing that is known", pack(t, "a", "b"), "x", Description{}, "no renderer that Drover knows"},
		{"another than was said", pack(t, "bin/vray", elfHead(x86_64), "version.txt", "6.20.10 e8197af2"), "x", Description{Product: "blender"}, "not recognised as blender"},
		{"a V-Ray without a version", pack(t, "bin/vray", elfHead(x86_64)), "vray-lin-df715d3c8ff9.tar", Description{}, `no version.txt`},
		{"a V-Ray whose version is none", pack(t, "bin/vray", elfHead(x86_64), "version.txt", "six"), "v.tar", Description{}, `6.20.10 e8197af2`},
		{"a Blender without a release", pack(t, "blender", elfHead(x86_64), "4.2/scripts/a.py", ""), "x", Description{}, "such as 4.2.1"},
		{"a library instead of a program", pack(t, "bin/vray", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 60)), "x", Description{}, "no renderer that Drover knows"},
		{"a described program that is not there", pack(t, "a", elfHead(x86_64)), "x", Description{Product: "p", Version: "1", Program: "b"}, `no executable "b"`},
		{"a description without a version", pack(t, "a", elfHead(x86_64)), "x", Description{Product: "p", Program: "a"}, "lacks its version"},
		{"a broken manifest", pack(t, ManifestName, "{"), "x", Description{}, ManifestName},
		{"a way out", pack(t, "../bin/vray", elfHead(x86_64)), "x", Description{}, "../bin/vray"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Recognise(t.Context(), bytes.NewReader(c.files), int64(len(c.files)), c.file, c.d, archive.Limits{})
			if err == nil || !strings.Contains(err.Error(), c.says) || got != nil && got.Version != "" {
				t.Errorf("%+v, error %v; want one with %q", got, err, c.says)
			}
		})
	}
}

func TestVRayVersions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]VRayVersion{
		"6.20.10 e8197af2": {6, 20, 10, "e8197af2"}, "6.20.10-E8197AF2": {6, 20, 10, "e8197af2"}, "\ufeff6.20.10\te8197af2\n": {6, 20, 10, "e8197af2"},
		"7.10.00\nabcdef0123": {7, 10, 0, "abcdef0123"}, "V-Ray 6.20.10": {6, 20, 10, ""},
	} {
		if got, ok := ParseVRayVersion(text); !ok || got != want {
			t.Errorf("%q: %+v %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "6.20", "6.20.x", "e8197af2", "6.20.10e8197af2", "x6.20.10 e8197af2"} {
		if got, ok := ParseVRayVersion(text); ok {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
	for _, name := range []string{"vray-6.20.10-e8197af2", "vray-6.20.10-e8197af2.tar.xz", "VRay_6.20.10-E8197AF2-linux.zip"} {
		if got, ok := nameVersion(name); !ok || got.String() != "6.20.10-e8197af2" {
			t.Errorf("%q: %+v %v", name, got, ok)
		}
	}
	for name, want := range map[string]string{"vraystd_adv_62022_rhel8_clang-gcc-11.2": "6.20.22", "vraystd_adv_71000_rhel8_arm64": "7.10.0", "vray_adv_52003_x64.zip": "5.20.3"} {
		if got, ok := nameVersion(name); !ok || got.String() != want {
			t.Errorf("%q: %+v %v", name, got, ok)
		}
	}
}

func TestSystems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head string
		want system
	}{
		"Linux": {elfHead(x86_64), system{"linux", "x86_64"}}, "Linux on ARM": {elfHead(arm64), system{"linux", "arm64"}}, "Linux on RISC-V": {elfHead(243), system{"linux", "riscv"}},
		"Windows": {peHead(0x8664), system{"windows", "x86_64"}}, "Windows on ARM": {peHead(0xaa64), system{"windows", "arm64"}}, "old Windows": {peHead(0x14c), system{"windows", "x86"}},
		"macOS": {machoHead(0x01000007), system{"macos", "x86_64"}}, "macOS on ARM": {machoHead(0x0100000c), system{"macos", "arm64"}},
		"universal": {"\xca\xfe\xba\xbe\x00\x00\x00\x02", system{"macos", "any"}}, "a Java class": {"\xca\xfe\xba\xbe\x00\x00\x00\x34", system{}},
		"a script": {"#!/bin/sh", script}, "text": {"hello, this is text", system{}}, "nothing": {"", system{}}, "DOS": {"MZ" + strings.Repeat("x", 100), system{}},
	} {
		if got := systemOf([]byte(c.head)); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func FuzzRecognise(f *testing.F) {
	f.Add(pack(f, "vray/bin/vray", elfHead(x86_64), "vray/version.txt", "6.20.10 e8197af2"), "vray.tar")
	f.Add(packZip(f, "blender-4.2.1/blender.exe", peHead(0x8664), "blender-4.2.1/4.2/scripts/a", ""), "b.zip")
	f.Add(pack(f, ManifestName, `{"product":"p","version":"1","program":"a"}`, "a", machoHead(7)), "")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		got, err := Recognise(t.Context(), bytes.NewReader(data), int64(len(data)), name, Description{}, archive.Limits{Bytes: 1 << 20})
		if err == nil && (got.Product == "" || got.Version == "" || got.OS == "" || got.Program == "") {
			t.Errorf("%+v", got)
		}
	})
}
