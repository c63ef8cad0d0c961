package native

import (
	"archive/tar"
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/api"
)

// blenderTar is what the official archive of a Blender looks like; it is of no use.
func blenderTar(t testing.TB, version string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	elf = append(elf, 3, 0, 0x3e, 0)
	root := "blender-" + version + "-linux-x64/"
	for name, body := range map[string][]byte{"blender": elf, version[:3] + "/scripts/x.py": []byte("pass")} {
		if err := w.WriteHeader(&tar.Header{Name: root + name, Mode: 0o755, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		w.Write(body)
	}
	w.Close()
	return b.String()
}

func TestLibraryOfBuilds(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	h := b.put(blenderTar(t, "4.2.1"))
	in := api.NewBuild{SHA256: h, Name: "blender-4.2.1-linux-x64.tar"}
	b.problem(403, "forbidden", "sam", post, "/builds", in)
	added := call1[api.Build](b, 200, "olga", post, "/builds", in)
	again := call1[api.Build](b, 200, "olga", post, "/builds", in)
	if diff := cmp.Diff(added, again); diff != "" {
		t.Errorf("the same build again: %s", diff)
	}
	list := call1[api.BuildList](b, 200, "rick", get, "/builds?product=blender", nil)
	if diff := cmp.Diff([]api.Build{added}, list.Builds); diff != "" {
		t.Error(diff)
	}
	if added.Version != "4.2.1" || added.OS != "linux" || added.Arch != "x86_64" || added.Program != "blender" || added.State != "usable" || added.By != "olga" {
		t.Errorf("added %+v", added)
	}
	retired := call1[api.Build](b, 200, "olga", pat, "/builds/1", api.BuildPatch{State: "retired"})
	if retired.State != "retired" {
		t.Errorf("retired %+v", retired)
	}
	b.problem(400, "invalid", "olga", pat, "/builds/1", api.BuildPatch{State: "lost"})
	b.problem(400, "invalid", "olga", post, "/builds", api.NewBuild{SHA256: b.put("no archive"), Name: "x"})
	b.problem(404, "not_found", "olga", post, "/builds", api.NewBuild{SHA256: h[2:] + "00", Name: "x"})
	call1[struct{}](b, 204, "olga", del, "/builds/1", nil)
	b.problem(404, "not_found", "olga", get, "/builds/1", nil)
}
