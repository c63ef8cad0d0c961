package farm

import "context"

// maxForgotten is how many rows one transaction forgets at most.
const maxForgotten = 5000

// forgetOld forgets what is of no use to anybody any more: credentials that have
// expired, and workers that were not heard of for Settings.ForgetWorkers. It
// returns how many of each there were.
func (f *Farm) forgetOld(ctx context.Context) (tokens, workers int, err error) {
	for more := true; more && err == nil; {
		var t, w int
		err = f.do(ctx, func(st *state) error {
			t, w = st.forgetTokens(), st.forgetWorkers()
			return nil
		})
		if err != nil {
			return tokens, workers, err // the dispatcher may be at it still
		}
		tokens, workers = tokens+t, workers+w
		more = t == maxForgotten || w == maxForgotten
	}
	return tokens, workers, nil
}

func (st *state) forgetTokens() (n int) {
	for h, t := range st.tokens.all {
		if n == maxForgotten {
			break
		}
		if !t.Expires.IsZero() && t.Expires.Before(st.now) {
			st.dropToken(h)
			n++
		}
	}
	return n
}

// forgetWorkers forgets those that are offline for long. One that an operator has
// given tags or disabled is kept: it would come back without.
func (st *state) forgetWorkers() int {
	if st.f.settings.ForgetWorkers < 0 {
		return 0
	}
	end := st.now.Add(-st.f.settings.ForgetWorkers)
	var old []*worker
	for w := range st.everybody {
		if !w.Online && !w.Disabled && len(w.Tags) == 0 && w.Seen.Before(end) && len(w.leases) == 0 && len(w.claims) == 0 {
			old = append(old, w)
		}
	}
	old = old[:min(len(old), maxForgotten)]
	for _, w := range old {
		st.dropWorker(w)
	}
	return len(old)
}

// roomFor fails with Conflict when an account has as many workers as it may.
func (st *state) roomFor(login string) error {
	if n := st.lenders[login].number(); n >= st.f.settings.MaxWorkers {
		return Errorf(Conflict, "the account %s has %d workers already; remove those that are gone (\"drover worker rm\"), or raise the setting farm.max_workers", quote(login), n)
	}
	return nil
}
