package farm

import "testing"

// TestAJobIsInstantiatedOnceForAll has several leases of one round share the
// work, and leases after that need none.
func TestAJobIsInstantiatedOnceForAll(t *testing.T) {
	t.Parallel()
	st := &state{f: &Farm{}}
	j := &job{Job: &Job{Spec: Spec{Template: "specificationVersion: jobtemplate-2023-09\nname: j\nsteps: [{name: s, script: {actions: {onRun: {command: x}}}}]\n"}}}
	first, second := st.building(j), st.building(j)
	a, err := first()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := second(); err != nil || b != a {
		t.Errorf("another lease of the round has %p, %v; want %p", b, err, a)
	}
	j.built, j.build = a, nil
	if st.building(j) != nil {
		t.Error("a job that is instantiated is to be instantiated again")
	}
}
