package farm_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"drover.farm/internal/farm"
)

func blender(version string) farm.Build {
	return farm.Build{Product: "blender", Version: version, OS: "linux", Arch: "x86_64", SHA256: strings.Repeat("ab", 32), Size: 7,
		Layout: farm.Layout{Root: "blender-" + version, Program: "blender"}}
}

func TestBuildsLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		first, fresh, err := b.f.PublishBuild(t.Context(), admin, blender("4.2.1"))
		b.check(err)
		_, _, err = b.f.PublishBuild(t.Context(), admin, blender("4.10.0"))
		b.check(err)
		again, twice, err := b.f.PublishBuild(t.Context(), admin, blender("4.2.1"))
		b.check(err)
		if again.ID != first.ID || !fresh || twice {
			t.Errorf("the same build again is number %d, new %t, want %d and not new (first %t)", again.ID, twice, first.ID, fresh)
		}
		other := blender("4.2.1")
		other.SHA256 = strings.Repeat("cd", 32)
		if _, _, err := b.f.PublishBuild(t.Context(), admin, other); farm.CodeOf(err) != farm.Conflict {
			t.Errorf("another archive of the same build: %v, want a conflict", err)
		}
		b.restart()
		list, err := b.f.BuildList(t.Context(), "blender")
		b.check(err)
		if len(list) != 2 || list[0].Version != "4.10.0" || list[1].State != farm.BuildUsable {
			t.Errorf("builds %+v", list)
		}
		b.check(errOf(b.f.RetireBuild(t.Context(), admin, first.ID)))
		if _, err := b.f.SetBuildState(t.Context(), admin, first.ID, "broken", ""); farm.CodeOf(err) != farm.Invalid {
			t.Errorf("an unknown state: %v", err)
		}
	})
}

func TestBuildInUseStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		build, _, err := b.f.PublishBuild(t.Context(), admin, blender("4.2.1"))
		b.check(err)
		j := b.submit(bob, template("1-2"), func(s *farm.Submission) { s.Spec.Renderer = "blender" })
		b.mustClaim(b.worker("w", func(r *farm.Registration) {
			r.Machine.Renderers = []farm.Renderer{{Product: "blender", Version: "4.2.1"}}
		}))
		b.check(b.f.PutPack(t.Context(), farm.Pack{Key: "x/build/1", Build: build.ID, SHA256: strings.Repeat("0", 64)}))
		if err := b.f.RemoveBuild(t.Context(), admin, build.ID); farm.CodeOf(err) != farm.Conflict {
			t.Fatalf("a build in use is removed: %v", err)
		}
		b.check(errOf(b.f.Cancel(t.Context(), farm.JobChange{By: bob, Job: j.ID})))
		b.check(b.f.RemoveBuild(t.Context(), admin, build.ID))
		packs, err := b.f.PackList(t.Context(), "x/")
		b.check(err)
		if len(packs) != 0 {
			t.Errorf("what was made of a removed build stays: %+v", packs)
		}
		if err := b.f.RemoveBuild(t.Context(), ann, build.ID); farm.CodeOf(err) != farm.Forbidden {
			t.Errorf("ann removes builds: %v", err)
		}
	})
}

func TestPacksGoWithTheirJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, farm.Settings{})
		j := b.submit(bob, template("1"))
		p := farm.Pack{Key: "x/job/1", Job: j.ID, SHA256: strings.Repeat("0", 64), MD5: "m", Size: 3}
		b.check(b.f.PutPack(t.Context(), p))
		b.restart()
		used := func() (n int) {
			packs, err := b.f.PackList(t.Context(), "x/")
			b.check(err)
			for _, p := range packs {
				if p.Used {
					n++
				}
			}
			return n*10 + len(packs)
		}
		if got := used(); got != 11 {
			t.Errorf("after a restart: %d, want one pack in use", got)
		}
		b.check(errOf(b.f.Cancel(t.Context(), farm.JobChange{By: bob, Job: j.ID})))
		if got := used(); got != 1 {
			t.Errorf("after the cancel: %d, want one pack, not in use", got)
		}
		b.check(b.f.Remove(t.Context(), farm.JobChange{By: bob, Job: j.ID}))
		if got := used(); got != 0 {
			t.Errorf("after the removal: %d, want none", got)
		}
		if err := b.f.PutPack(t.Context(), p); farm.CodeOf(err) != farm.NotFound {
			t.Errorf("a pack of a removed job: %v", err)
		}
	})
}
