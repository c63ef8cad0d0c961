package server

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestConstantFindsWhatIsOnlyRead(t *testing.T) {
	t.Parallel()
	const file = "/usr/bin/drover"
	for line, want := range map[string]bool{
		"00400000-0140f000 r-xp 00000000 fe:00 402 /usr/bin/drover":                true,
		"013ff000-024fa000 r--p 00fff000 fe:00 402                /usr/bin/drover": true,
		"024fa000-025e0000 rw-p 020fa000 fe:00 402                /usr/bin/drover": false, // written since, so not the file's
		"00400000-0140f000 r-xp 00000000 fe:00 402 /usr/lib/libc.so.6":             false,
		"c000000000-c000400000 rw-p 00000000 00:00 0 ":                             false,
		"":          false,
		"zz-1 r--p": false,
		"2000-1000 r--p 0 fe:00 402 /usr/bin/drover": false,
	} {
		if _, _, ok := constant(line, file); ok != want {
			t.Errorf("%q: %v", line, ok)
		}
	}
	if from, to, _ := constant("00400000-0140f000 r-xp 00000000 fe:00 402 "+file, file); from != 0x400000 || to != 0x140f000 {
		t.Errorf("from %x to %x", from, to)
	}
}

// TestAProgramThatWasTrimmedRunsOn counts the resident pages of the program's
// code before and after, and that what was unmapped still runs.
func TestAProgramThatWasTrimmedRunsOn(t *testing.T) {
	before := residentCode(t)
	trimProgram()
	after := residentCode(t)
	if after >= before {
		t.Errorf("%d KiB of code are resident, %d before", after, before)
	}
}

// residentCode is how much of the program's file is resident, in KiB.
func residentCode(t *testing.T) (kib int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if n, _ := fmt.Sscanf(line, "RssFile: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatal("no RssFile")
	return 0
}
