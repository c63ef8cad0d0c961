package farm_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"drover.farm/internal/farm"
)

func TestTheCredentialsOfAnAccountAreItsOwn(t *testing.T) {
	bubble(t, farm.Settings{}, func(b *bundle) {
		hash := func(n byte) [32]byte { return [32]byte{n} }
		add := func(n byte, login, kind string) {
			b.t.Helper()
			b.check(b.f.AddToken(b.t.Context(), admin, farm.Token{Hash: hash(n), Login: login, Kind: kind}))
		}
		want := func(login string, n ...byte) {
			b.t.Helper()
			for range 2 { // as it was told, then as it was written
				var got []byte
				for _, t := range b.f.Tokens(login, "session") {
					got = append(got, t.Hash[0])
				}
				if string(got) != string(n) {
					b.t.Errorf("the sessions of %s are %v, want %v", login, got, n)
				}
				b.restart()
			}
		}
		add(1, "ann", "session")
		add(2, "ann", "token")
		time.Sleep(time.Second)
		add(3, "ann", "session")
		add(4, "bob", "session")
		want("ann", 1, 3)
		want("bob", 4)
		b.check(b.f.DropToken(b.t.Context(), hash(1)))
		b.check(b.f.DropToken(b.t.Context(), hash(9))) // there is none
		want("ann", 3)
		if n, err := b.f.RevokeTokens(b.t.Context(), ann, "ann", "session"); n != 1 || err != nil {
			b.t.Errorf("%d of the sessions were revoked, %v", n, err)
		}
		want("ann")
		if n := len(b.f.Tokens("ann", "token")); n != 1 {
			b.t.Errorf("%d tokens are left of one", n)
		}
		b.check(b.f.RemoveUser(b.t.Context(), admin, "bob"))
		want("bob")
		b.check(b.f.AddUser(b.t.Context(), admin, farm.User{Login: "bob", Roles: bob.Roles}))
		want("bob") // who is another
	})
}

// crowded is a farm with so many accounts of one credential each.
func crowded(tb testing.TB, n int) *farm.Farm {
	tb.Helper()
	rows := &farm.Batch{Users: []*farm.User{{Login: "ann", Roles: ann.Roles}}}
	for i := range n {
		t := &farm.Token{Login: fmt.Sprint("sheep", i), Kind: "session"}
		binary.BigEndian.PutUint64(t.Hash[24:], uint64(i))
		rows.Tokens = append(rows.Tokens, t)
		rows.Users = append(rows.Users, &farm.User{Login: t.Login, Roles: []farm.Role{farm.RoleRenderer}})
	}
	return opened(tb, rows, farm.Settings{}, nil)
}

// login is what the farm does when a client logs in.
func login(tb testing.TB, f *farm.Farm) {
	h := [32]byte{1}
	if err := f.AddToken(context.Background(), ann, farm.Token{Hash: h, Login: "ann", Kind: "session"}); err != nil {
		tb.Fatal(err)
	}
	if n := len(f.Tokens("ann", "session")); n != 1 {
		tb.Fatalf("%d sessions", n)
	}
	if err := f.DropToken(context.Background(), h); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkLogin measures what a login costs the farm: the same, however many
// others there are.
func BenchmarkLogin(b *testing.B) {
	for _, n := range []int{10, 10_000, 100_000} {
		b.Run(fmt.Sprint("accounts=", n), func(b *testing.B) {
			f := crowded(b, n)
			b.ReportAllocs()
			for b.Loop() {
				login(b, f)
			}
		})
	}
}
