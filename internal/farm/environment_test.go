package farm_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/farm"
)

func environment(name string) string {
	return "specificationVersion: environment-2023-09\nenvironment:\n  name: " + name + "\n  variables: {A: b}\n"
}

// TestEnvironmentsOfTheFarm puts jobs into the environments that were there when
// they were submitted, the farm's around their own.
func TestEnvironmentsOfTheFarm(t *testing.T) {
	t.Parallel()
	b := setup(t, farm.Settings{})
	set := func(name, tag string) {
		t.Helper()
		e, err := b.f.SetEnvironment(t.Context(), admin, farm.Environment{Template: environment(name), Tag: tag})
		b.check(err)
		if e.Name != name || e.By != "admin" || e.Changed.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	environments := func(tags ...string) []string {
		t.Helper()
		j, err := b.f.Submit(t.Context(), farm.Submission{By: ann, Spec: farm.Spec{
			Template: template("1"), Environments: []string{environment("own")}, Tags: tags,
		}})
		b.check(err)
		if j, err = b.f.Job(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, text := range j.Spec.Environments {
			_, name, _ := strings.Cut(text, "name: ")
			name, _, _ = strings.Cut(name, "\n")
			names = append(names, name)
		}
		return names
	}
	set("gpu", "big")
	set("conda", "")
	set("licence", "")
	if d := cmp.Diff([]string{"conda", "licence", "own"}, environments()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"conda", "licence", "gpu", "own"}, environments("big")); d != "" {
		t.Error(d)
	}
	set("conda", "big") // it moves within those without a tag
	b.restart()
	if d := cmp.Diff([]string{"licence", "own"}, environments()); d != "" {
		t.Error(d)
	}
	b.check(b.f.RemoveEnvironment(t.Context(), admin, "licence"))
	if d := cmp.Diff([]string{"own"}, environments()); d != "" {
		t.Error(d)
	}
	got, err := b.f.Environments(t.Context())
	b.check(err)
	if len(got) != 2 || got[0].Name != "conda" || got[1].Name != "gpu" {
		t.Errorf("%+v", got)
	}
}

func TestEnvironmentsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, farm.Settings{})
	for _, c := range []struct {
		by   farm.Principal
		e    farm.Environment
		code farm.Code
		text string
	}{
		{ann, farm.Environment{Template: environment("x")}, farm.Forbidden, "role operator"},
		{admin, farm.Environment{Template: template("1")}, farm.Invalid, "an environment template is needed"},
		{admin, farm.Environment{Template: environment("x"), Tag: "a\nb"}, farm.Invalid, "control characters"},
	} {
		_, err := b.f.SetEnvironment(t.Context(), c.by, c.e)
		if farm.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v, want %s with %q", err, c.code, c.text)
		}
	}
	if err := b.f.RemoveEnvironment(t.Context(), ann, "x"); farm.CodeOf(err) != farm.Forbidden {
		t.Error(err)
	}
	if err := b.f.RemoveEnvironment(t.Context(), admin, "x"); farm.CodeOf(err) != farm.NotFound {
		t.Error(err)
	}
	for i := range 50 {
		b.check(errOf(b.f.SetEnvironment(t.Context(), admin, farm.Environment{Template: environment("e" + strings.Repeat("x", i))})))
	}
	if _, err := b.f.SetEnvironment(t.Context(), admin, farm.Environment{Template: environment("last")}); farm.CodeOf(err) != farm.Invalid {
		t.Error(err)
	}
}
