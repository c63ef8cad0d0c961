package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

// writerEnv, when set, makes the test program the writer of Crash: it says
// where the store is.
const writerEnv = "DROVER_STORETEST_WRITER"

const (
	crashes    = 6  // of one store, one after another
	mostAcks   = 60 // that a writer gives before it is killed
	crashTasks = 3  // in each transaction
	crashJob   = 1000
	patience   = time.Minute
)

// Main runs the tests of a package that calls Crash, or is the writer that
// Crash has started; for TestMain. Open opens the store at where.
func Main(m *testing.M, open func(where string) (farm.Store, error)) int {
	where := os.Getenv(writerEnv)
	if where == "" {
		return m.Run()
	}
	if err := writeOn(where, open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// writeOn writes transactions to the store and says the number of each once it
// is acknowledged, until it is killed.
func writeOn(where string, open func(string) (farm.Store, error)) error {
	ctx := context.Background()
	s, err := open(where)
	if err != nil {
		return err
	}
	defer s.Close()
	epoch, err := acquire(ctx, s)
	if err != nil {
		return err
	}
	at, err := written(ctx, s)
	if err != nil {
		return err
	}
	for {
		b := transaction(at + 1)
		b.Epoch = epoch
		if err := s.Commit(ctx, b); err != nil {
			return err
		}
		at++
		if _, err := fmt.Println(at); err != nil {
			return err
		}
	}
}

// acquire takes a store over from a writer that was killed a moment ago, which
// a database on a network learns after a while.
func acquire(ctx context.Context, s farm.Store) (int64, error) {
	for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		epoch, err := s.Acquire(ctx)
		if farm.CodeOf(err) != farm.Conflict || time.Now().After(end) {
			return epoch, err
		}
	}
}

// transaction is the n-th, counted from 1: rows of many tables, new and changed,
// that all tell its number.
func transaction(n int64) *farm.Batch {
	b := &farm.Batch{
		Values:  map[string]string{"n": strconv.FormatInt(n, 10)},
		Entries: []*farm.Entry{{Account: "ann", Job: crashJob, Earned: farm.Points(n), Updated: epochTime}},
		Events:  []farm.Event{{ID: n, Time: epochTime, Type: "task.done", Job: crashJob}},
	}
	step := farm.Step{Job: crashJob, Name: "Render", Tasks: 1 << 30, State: farm.StepReady, Next: n * crashTasks, Running: crashTasks, Done: (n - 1) * crashTasks}
	worker := []*farm.Worker{{ID: 1, Name: "w", Done: n, Created: epochTime}}
	if n == 1 {
		b.Workers = worker
		b.NewJobs = []*farm.Job{{ID: crashJob, Owner: "ann", State: farm.JobRunning, Created: epochTime, Spec: farm.Spec{Name: "crash"}, Steps: []farm.Step{step}}}
	} else {
		b.Tallies = worker
		b.Steps = []*farm.Step{&step}
	}
	for i := (n - 1) * crashTasks; i < n*crashTasks; i++ {
		if before := i - crashTasks; before >= 0 {
			b.Tasks = append(b.Tasks, task(crashJob, 0, before, farm.TaskDone))
		}
		b.Tasks = append(b.Tasks, task(crashJob, 0, i, farm.TaskRunning))
	}
	return b
}

// written checks that the store holds the first n transactions, each whole, and
// nothing else, and returns n.
func written(ctx context.Context, s farm.Store) (n int64, err error) {
	snap, err := s.Load(ctx)
	if err != nil || len(snap.Jobs) == 0 && snap.Values["n"] == "" {
		return 0, err
	}
	if n, err = strconv.ParseInt(snap.Values["n"], 10, 64); err != nil {
		return 0, err
	}
	if len(snap.Jobs) != 1 || len(snap.Workers) != 1 || len(snap.Entries) != 1 {
		return n, fmt.Errorf("after %d transactions there are %d jobs, %d workers, %d entries", n, len(snap.Jobs), len(snap.Workers), len(snap.Entries))
	}
	rows, err := s.Tasks(ctx, farm.TaskQuery{Job: crashJob, Step: -1})
	if err != nil {
		return n, err
	}
	done := int64(0)
	for i, t := range rows {
		if t.Index != int64(i) || len(t.Attempts) != 2 || len(t.Outputs) != 1 {
			return n, fmt.Errorf("row %d of %d is %+v", i, len(rows), t)
		}
		if t.State == farm.TaskDone {
			done++
		}
	}
	step := snap.Jobs[0].Steps[0]
	for what, of := range map[string][2]int64{
		"tasks": {int64(len(rows)), n * crashTasks}, "done tasks": {done, (n - 1) * crashTasks}, "running tasks": {int64(len(snap.Tasks)), crashTasks},
		"handed out": {step.Next, n * crashTasks}, "done by the step": {step.Done, (n - 1) * crashTasks},
		"done by the worker": {snap.Workers[0].Done, n}, "earned": {int64(snap.Entries[0].Earned), n}, "events": {snap.MaxEvent, n},
	} {
		if of[0] != of[1] {
			return n, fmt.Errorf("after %d transactions %s are %d, not %d", n, what, of[0], of[1])
		}
	}
	return n, nil
}

// Crash has a process of its own write to the store at where and kills it at a
// random moment, again and again: whatever was acknowledged is there, and
// nothing by half. It needs Main in the package's TestMain.
func Crash(t *testing.T, where string, open func(where string) (farm.Store, error)) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	before := int64(0)
	for range crashes {
		acked := kill(t, where, 1+r.Int64N(mostAcks), time.Duration(r.Int64N(int64(5*time.Millisecond))))
		n := inspect(t, where, open)
		if n < before+acked || n > before+acked+1 {
			t.Fatalf("%d transactions were there and %d more acknowledged, now there are %d", before, acked, n)
		}
		before = n
	}
}

// kill starts a writer and kills it a moment after a number of transactions; it
// returns how many were acknowledged.
func kill(t *testing.T, where string, after int64, moment time.Duration) (acked int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), writerEnv+"="+where)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acked++; acked == after {
			time.AfterFunc(moment, func() { cmd.Process.Kill() })
		}
	}
	err = cmd.Wait()
	if !overdue.Stop() || acked < after {
		t.Fatalf("the writer ended after %d transactions, before it was to be killed: %v", acked, err)
	}
	return acked
}

// inspect reads the store as the next writer.
func inspect(t *testing.T, where string, open func(string) (farm.Store, error)) int64 {
	t.Helper()
	s, err := open(where)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := acquire(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	n, err := written(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
