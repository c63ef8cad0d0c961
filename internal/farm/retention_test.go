package farm_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover.farm/internal/farm"
)

// TestOldJobsGo: jobs that ended longer ago than jobs are kept are removed, and
// nothing else is.
func TestOldJobsGo(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		ctx, day := b.t.Context(), 24*time.Hour
		w := b.worker("w")
		old := b.submit(ann, template("1"))
		b.complete(b.mustClaim(w))
		live := b.submit(ann, template("1"))
		here := func(want ...int64) {
			b.t.Helper()
			synctest.Wait()
			var got []int64
			list, err := b.f.Jobs(ctx, farm.JobQuery{})
			b.check(err)
			for _, j := range list {
				got = append(got, j.ID)
			}
			if len(got) != len(want) {
				b.t.Fatalf("the farm has the jobs %v, want %v", got, want)
			}
			for i := range want {
				if got[i] != want[i] {
					b.t.Fatalf("the farm has the jobs %v, want %v", got, want)
				}
			}
		}
		time.Sleep(40 * day) // on the test's own clock
		here(live.ID, old.ID)
		canceled := b.submit(bob, template("1"))
		b.check(errOf(b.f.Cancel(ctx, farm.JobChange{By: bob, Job: canceled.ID})))

		for _, c := range []struct {
			by   farm.Principal
			days int
			want farm.Code
		}{{ann, 30, farm.Forbidden}, {admin, -1, farm.Invalid}, {admin, 1_000_000, farm.Invalid}} {
			if err := b.f.SetRetention(ctx, c.by, c.days); farm.CodeOf(err) != c.want {
				b.t.Errorf("%d days by %s: %v, want %s", c.days, c.by.Login, err, c.want)
			}
		}
		b.check(b.f.SetRetention(ctx, admin, 30))
		here(canceled.ID, live.ID) // at once
		if got := b.f.Retention(); got != 30 {
			b.t.Errorf("kept for %d days", got)
		}
		time.Sleep(29 * day)
		here(canceled.ID, live.ID)
		time.Sleep(day + 2*time.Hour)
		here(live.ID) // with the hour

		b.check(b.f.SetRetention(ctx, admin, 0))
		b.check(errOf(b.f.Cancel(ctx, farm.JobChange{By: ann, Job: live.ID})))
		time.Sleep(100 * day)
		here(live.ID)
		deeds, _, err := b.f.Audit(ctx, admin, "", 10)
		b.check(err)
		var said []string
		for _, d := range deeds {
			said = append(said, d.By+": "+d.Text)
		}
		text := strings.Join(said, "\n")
		for _, want := range []string{"admin: had ended jobs kept for 30 days", ": removed 1 jobs that had ended more than 30 days ago", "admin: had ended jobs kept until somebody removes them"} {
			if !strings.Contains(text, want) {
				b.t.Errorf("the audit list lacks %q:\n%s", want, text)
			}
		}
	})
}
