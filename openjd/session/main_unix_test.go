//go:build unix

package session

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain runs the test binary as a helper process when it is asked to.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		helper(os.Args[2], os.Args[3:])
		return
	}
	goleak.VerifyTestMain(m)
}

// helper is what the processes of the tests do.
func helper(what string, args []string) {
	switch what {
	case "flood":
		// n lines of 1000 bytes.
		n, _ := strconv.Atoi(args[0])
		line := []byte(strings.Repeat("x", 999) + "\n")
		for range n {
			os.Stdout.Write(line)
		}
	case "deaf":
		// Ignores the polite signals for good.
		signal.Ignore(os.Interrupt, syscall.SIGTERM)
		fmt.Println("deaf", os.Getpid())
		time.Sleep(time.Hour)
	case "session":
		// Runs a task until it is killed.
		helperSession(args[0])
	case "scrubbed":
		helperScrubbed(args[0])
	case "detach":
		helperDetach(args[0])
	case "sleeper":
		fmt.Println(args[0], os.Getpid())
		time.Sleep(time.Hour)
	default:
		fmt.Println("unknown helper", what)
		os.Exit(2)
	}
}
