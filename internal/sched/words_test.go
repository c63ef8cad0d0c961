package sched

import "testing"

func TestReasonsAreSentences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r    Reason
		want string
	}{
		{Reason{Code: "amount", Name: "amount.worker.memory", Want: "at least 65536", Have: "16384"}, "needs at least 65536 MiB of memory, the worker has 16384"},
		{Reason{Code: "amount", Name: "amount.tapes", Want: "at least 2", Have: "none"}, "needs at least 2 of amount.tapes, the worker has none"},
		{Reason{Code: "busy", Name: "slots", Want: "1", Have: "0"}, "is busy: none of its slots is free just now"},
		{Reason{Code: "busy", Name: "amount.worker.vcpu", Want: "8", Have: "2"}, "needs 8 cores, 2 is free just now"},
		{Reason{Code: "attribute", Name: "attr.build.blender", Want: "4.2.1", Have: "3.4.1"}, "needs blender 4.2.1, the worker has 3.4.1"},
		{Reason{Code: "attribute", Name: "attr.worker.os.family", Want: "windows", Have: "linux"}, "needs the operating system to be windows, the worker has linux"},
		{Reason{Code: "attribute", Name: "attr.studio.floor", Want: "3", Have: "nothing"}, "needs attr.studio.floor to be 3, the worker has nothing"},
		{Reason{Code: "limit", Name: "amount.licence.nuke", Want: "1", Have: "0"}, "the limit amount.licence.nuke is used up: needs 1, 0 is free"},
	} {
		if got := c.r.String(); got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.r, got, c.want)
		}
	}
}
