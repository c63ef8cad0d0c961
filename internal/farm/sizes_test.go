package farm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
	"drover.farm/internal/store/mem"
)

// slowBlobs are files of 3 bytes that each take a while to be looked up, as on a
// disk that must write.
type slowBlobs struct {
	mu    sync.Mutex
	asked map[string]int
	fail  error
}

func (s *slowBlobs) Size(_ context.Context, hash string) (int64, error) {
	time.Sleep(10 * time.Millisecond) // on the test's own clock
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[hash]++
	if strings.HasPrefix(hash, "ff") {
		return 0, farm.Errorf(farm.NotFound, "there is no such file")
	}
	return 3, s.fail
}

func hashOf(n int) string { return fmt.Sprintf("%064x", n) }

func withBlobs(t *testing.T, fn func(b *bundle, blobs *slowBlobs)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		blobs := &slowBlobs{asked: make(map[string]int)}
		f, err := farm.Open(context.Background(), farm.Config{Store: mem.New(), Blobs: blobs})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
		b := &bundle{t: t, f: f}
		b.check(f.AddUser(t.Context(), admin, farm.User{Login: "ann", Roles: ann.Roles}))
		fn(b, blobs)
	})
}

func inputs(n int, hash func(int) string) func(*farm.Submission) {
	return func(s *farm.Submission) {
		s.Spec.Roots = []farm.Root{{Path: "/a", Format: "POSIX"}}
		for i := range n {
			s.Spec.Files = append(s.Spec.Files, farm.File{Name: fmt.Sprint("f", i), SHA256: hash(i), Size: 3})
		}
	}
}

// TestFilesAreLookedUpManyAtOnceAndEachContentOnce: one after the other, the
// 10,000 files of a job took half a minute.
func TestFilesAreLookedUpManyAtOnceAndEachContentOnce(t *testing.T) {
	withBlobs(t, func(b *bundle, blobs *slowBlobs) {
		start := time.Now()
		b.submit(ann, template("1"), inputs(160, hashOf))
		if took := time.Since(start); took > 200*time.Millisecond {
			b.t.Errorf("160 look-ups of 10 ms took %v", took)
		}
		b.submit(ann, template("1"), inputs(1000, func(i int) string { return hashOf(1000 + i%2) }))
		for hash, n := range blobs.asked {
			if n != 1 {
				b.t.Errorf("%s was looked up %d times", hash, n)
			}
		}
		w := b.worker("w")
		l := b.mustClaim(w)
		r := farm.Result{By: ann, Worker: w.ID, Lease: l.ID, Task: l.Task}
		for i := range 32 {
			r.Outputs = append(r.Outputs, farm.File{Name: fmt.Sprint(i, ".txt"), SHA256: hashOf(2000 + i)})
		}
		start = time.Now()
		v, err := b.f.Complete(b.t.Context(), r)
		b.check(err)
		if took := time.Since(start); !v.Accepted || took > 100*time.Millisecond {
			b.t.Errorf("32 outputs took %v: %+v", took, v)
		}
		task, err := b.f.Task(b.t.Context(), l.Task)
		b.check(err)
		for i, o := range task.Outputs {
			if o.Name != fmt.Sprint(i, ".txt") || o.Size != 3 || o.SHA256 != hashOf(2000+i) {
				b.t.Errorf("output %d is %+v", i, o)
			}
		}
	})
}

func TestOfFilesThatAreNotThereTheFirstIsNamed(t *testing.T) {
	withBlobs(t, func(b *bundle, blobs *slowBlobs) {
		submit := func(change func(*farm.Submission)) error {
			s := farm.Submission{By: ann, Priority: 50, Spec: farm.Spec{Template: template("1")}}
			change(&s)
			_, err := b.f.Submit(b.t.Context(), s)
			return err
		}
		gone := "ff" + strings.Repeat("0", 62)
		for range 10 {
			err := submit(inputs(100, func(i int) string { return []string{hashOf(i), gone}[min(i/50, 1)] }))
			if farm.CodeOf(err) != farm.Invalid || !strings.Contains(err.Error(), `"f50" was not uploaded`) {
				b.t.Fatal(err)
			}
		}
		if err := submit(inputs(1, func(int) string { return gone })); farm.CodeOf(err) != farm.Invalid {
			b.t.Error(err)
		}
		blobs.fail = errors.New("the disk is broken")
		if err := submit(inputs(100, hashOf)); err == nil || !strings.Contains(err.Error(), "the disk is broken") {
			b.t.Error(err)
		}
	})
}

// TestWhatNoWorkerCouldDoIsRefused: an accepted job can be rendered.
func TestWhatNoWorkerCouldDoIsRefused(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		many := make([]string, 1000)
		for i := range many {
			many[i] = fmt.Sprint("t", i)
		}
		named := func(names ...string) func(*farm.Submission) {
			return func(s *farm.Submission) {
				inputs(len(names), hashOf)(s)
				for i := range names {
					s.Spec.Files[i].Name = names[i]
				}
			}
		}
		for want, change := range map[string]func(*farm.Submission){
			`"a" is a file of the job and cannot be the folder of "a/b/c"`: named("a/b/c", "ab", "a"),
			"1000 tags":           func(s *farm.Submission) { s.Spec.Tags = many },
			"1000 doors":          func(s *farm.Submission) { s.Spec.Doors = many },
			"the door is empty":   func(s *farm.Submission) { s.Spec.Doors = []string{""} },
			"1000 environment":    func(s *farm.Submission) { s.Spec.Environments = many },
			"-1 x 0 pixels":       func(s *farm.Submission) { s.Spec.Check = &farm.Check{Width: -1} },
			"0 x 999999999 pixel": func(s *farm.Submission) { s.Spec.Check = &farm.Check{Height: 999999999} },
			"-4 pictures":         func(s *farm.Submission) { s.Spec.Check = &farm.Check{Pictures: -4} },
		} {
			s := farm.Submission{By: ann, Priority: 50, Spec: farm.Spec{Template: template("1")}}
			change(&s)
			if _, err := b.f.Submit(b.t.Context(), s); farm.CodeOf(err) != farm.Invalid || !strings.Contains(err.Error(), want) {
				b.t.Errorf("want %q, got %v", want, err)
			}
		}
		b.submit(ann, template("1"), named("a/b/c", "ab", "a.b", "a/b.c"))
		w := b.worker("w")
		if _, err := b.f.ChangeWorker(b.t.Context(), admin, w.ID, farm.WorkerChange{Tags: &many}); farm.CodeOf(err) != farm.Invalid {
			b.t.Errorf("a thousand tags of a worker: %v", err)
		}
	})
}
