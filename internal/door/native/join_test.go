package native

import (
	"encoding/hex"
	"testing"
	"time"

	"drover.farm/internal/api"
	"drover.farm/internal/farm"
	"drover.farm/internal/lockout"
	"drover.farm/internal/secret"
)

// TestJoin lets a machine in once, and slows down who guesses.
func TestJoin(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Fails: lockout.New(2, time.Hour)})
	once, lasting := secret.NewToken(), secret.NewToken()
	b.check(b.f.AddToken(t.Context(), farm.Principal{Login: "rick"}, farm.Token{Hash: secret.Hash(once), Login: "rick", Kind: farm.KindJoin, Expires: start.Add(time.Hour)}))
	hash := secret.Hash(lasting)
	in := api.Join{Once: once.Reveal(), SHA256: hex.EncodeToString(hash[:]), Label: "node7"}
	b.problem(400, "invalid", "", post, "/join", api.Join{Once: in.Once, SHA256: "abcd"})
	if u := call1[api.User](b, 200, "", post, "/join", in); u.Login != "rick" {
		t.Errorf("joined as %+v", u)
	}
	b.token["node7"] = lasting.Reveal()
	if u := call1[api.User](b, 200, "node7", get, "/account", nil); u.Login != "rick" {
		t.Errorf("the lasting token is of %+v", u)
	}
	b.problem(401, "unauthorized", "", post, "/join", in)
	b.problem(401, "unauthorized", "", post, "/join", api.Join{Once: "x", SHA256: in.SHA256})
	b.problem(429, "unauthorized", "", post, "/join", api.Join{Once: "y", SHA256: in.SHA256})
}
