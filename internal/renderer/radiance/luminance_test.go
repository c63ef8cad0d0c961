package radiance

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLuminanceCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "a.hdr"), filepath.Join(dir, "a.png")
	if err := os.WriteFile(in, []byte("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 2\n\x80\x80\x80\x80\x80\x80\x80\x8a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&luminanceCmd{Picture: in, Out: out, Range: "10-1000"}).Run(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(out); err != nil || string(data[1:4]) != "PNG" {
		t.Errorf("%.8q, %v", data, err)
	}
	for _, c := range []luminanceCmd{{Picture: in, Out: out, Range: "9-1"}, {Picture: out, Out: out}, {Picture: dir + "/none", Out: out}} {
		if c.Run() == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
