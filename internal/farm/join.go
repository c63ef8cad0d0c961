package farm

import (
	"context"
	"crypto/sha256"
)

// KindJoin is the kind of one-time tokens: each can be turned once into a token
// of the account it belongs to.
const KindJoin = "join"

// KindKey is the kind of keys that SheepIt clients send in the place of a
// password.
const KindKey = "publickey"

// Join turns a one-time token into a lasting one, whose hash is given. It fails
// with Unauthorized when the one-time token is not known, was used or is too
// old. Both happen in one transaction: after a crash either the one or the other
// is good.
func (f *Farm) Join(ctx context.Context, once string, hash [32]byte, label string) (Principal, error) {
	bad := Errorf(Unauthorized, "this one-time token is not valid: it was used, is too old, or was never given; get a new one under Workers, Add a worker")
	h := sha256.Sum256([]byte(once))
	var out Principal
	err := f.do(ctx, func(st *state) error {
		t := st.tokens.all[h]
		if t == nil || t.Kind != KindJoin || !t.Expires.IsZero() && t.Expires.Before(st.now) {
			return bad
		}
		u := st.users[t.Login]
		if u == nil {
			return bad
		}
		st.dropToken(h)
		st.putToken(&Token{Hash: hash, Login: t.Login, Kind: "token", Label: clip(label, 150), Created: st.now})
		out = Principal{Login: u.Login, Roles: u.Roles}
		st.emit(Event{Type: "user.joined", Text: t.Login})
		st.audit(out, "a machine joined with a one-time token (%s)", clip(label, 100))
		return nil
	})
	if err != nil {
		return Principal{}, err // the dispatcher may be at it still
	}
	return out, nil
}
