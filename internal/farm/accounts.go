package farm

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// accounts is what Authenticate reads, beside the dispatcher: copies of what is
// durable.
type accounts struct {
	mu     sync.RWMutex
	users  map[string]*User
	tokens tokens
}

// replace takes in all accounts there are; the rows must not be changed any more.
func (a *accounts) replace(users []*User, ts []*Token) {
	u, t := make(map[string]*User, len(users)), newTokens()
	for _, v := range users {
		u[v.Login] = v
	}
	for _, v := range ts {
		t.put(v)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users, a.tokens = u, t
}

// apply takes in what a batch has changed, in the order in which stores write it.
// A login so costs the same however many credentials there are.
func (a *accounts) apply(b *Batch) {
	if len(b.Users)+len(b.Tokens)+len(b.DropUsers)+len(b.DropTokens) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, login := range b.DropUsers {
		delete(a.users, login)
		a.tokens.dropAll(login)
	}
	for _, h := range b.DropTokens {
		a.tokens.drop(h)
	}
	for _, u := range b.Users {
		c := *u
		a.users[u.Login] = &c
	}
	for _, t := range b.Tokens {
		a.tokens.put(t)
	}
}

// tokens are credentials by their hash, and those of each account.
type tokens struct {
	all map[[32]byte]*Token
	of  map[string]map[[32]byte]*Token
}

func newTokens() tokens {
	return tokens{all: make(map[[32]byte]*Token), of: make(map[string]map[[32]byte]*Token)}
}

func (ts *tokens) put(t *Token) {
	ts.drop(t.Hash)
	ts.all[t.Hash] = t
	if ts.of[t.Login] == nil {
		ts.of[t.Login] = make(map[[32]byte]*Token)
	}
	ts.of[t.Login][t.Hash] = t
}

func (ts *tokens) drop(h [32]byte) {
	t := ts.all[h]
	if t == nil {
		return
	}
	delete(ts.all, h)
	if delete(ts.of[t.Login], h); len(ts.of[t.Login]) == 0 {
		delete(ts.of, t.Login)
	}
}

// count is how many credentials of a kind an account has.
func (ts *tokens) count(login, kind string) (n int) {
	for _, t := range ts.of[login] {
		if t.Kind == kind {
			n++
		}
	}
	return n
}

// dropAll takes out the credentials of an account.
func (ts *tokens) dropAll(login string) {
	for h := range ts.of[login] {
		delete(ts.all, h)
	}
	delete(ts.of, login)
}

// Authenticate finds the account of a token. It fails with Unauthorized, never
// saying why in more detail. Keys of SheepIt clients, which travel in addresses
// that proxies may log, are good at that door alone.
func (f *Farm) Authenticate(token string) (Principal, error) {
	p, t, err := f.Credential(token)
	if err == nil && t.Kind == KindKey {
		return Principal{}, Errorf(Unauthorized, "this is the key of a SheepIt client, which is good for that alone; \"drover user token LOGIN\" makes a token")
	}
	return p, err
}

// Credential finds a token that is valid, with what is known of it. It fails
// as Authenticate does, but finds keys of SheepIt clients, too.
func (f *Farm) Credential(token string) (Principal, Token, error) {
	h := sha256.Sum256([]byte(token))
	f.auth.mu.RLock()
	defer f.auth.mu.RUnlock()
	t := f.auth.tokens.all[h]
	if t == nil || t.Kind == KindJoin || (!t.Expires.IsZero() && t.Expires.Before(f.clock())) {
		return Principal{}, Token{}, Errorf(Unauthorized, "the token is not valid; \"drover user token LOGIN\" makes a new one")
	}
	u := f.auth.users[t.Login]
	if u == nil {
		return Principal{}, Token{}, Errorf(Unauthorized, "the token is not valid; \"drover user token LOGIN\" makes a new one")
	}
	return Principal{Login: u.Login, Roles: u.Roles}, *t, nil
}

// Tokens lists an account's credentials of a kind, the oldest first.
func (f *Farm) Tokens(login, kind string) []Token {
	f.auth.mu.RLock()
	defer f.auth.mu.RUnlock()
	var out []Token
	for _, t := range f.auth.tokens.of[login] {
		if t.Kind == kind {
			out = append(out, *t)
		}
	}
	slices.SortFunc(out, func(a, b Token) int {
		return cmp.Or(a.Created.Compare(b.Created), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	return out
}

// Account returns an account, for checks of its password. It fails with
// NotFound.
func (f *Farm) Account(login string) (User, error) {
	f.auth.mu.RLock()
	defer f.auth.mu.RUnlock()
	u := f.auth.users[login]
	if u == nil {
		return User{}, noUser(login)
	}
	return *u, nil
}

// AccountList lists all accounts by login.
func (f *Farm) AccountList() []User {
	f.auth.mu.RLock()
	defer f.auth.mu.RUnlock()
	out := make([]User, 0, len(f.auth.users))
	for _, k := range slices.Sorted(maps.Keys(f.auth.users)) {
		out = append(out, *f.auth.users[k])
	}
	return out
}

func noUser(login string) *Error { return Errorf(NotFound, "there is no account %s", quote(login)) }

// AddUser creates an account. Password is a hash, or empty.
func (f *Farm) AddUser(ctx context.Context, by Principal, u User) error {
	if !by.Is(RoleAdmin) {
		return Errorf(Forbidden, "accounts take the role admin")
	}
	if err := validLogin(u.Login); err != nil {
		return err
	}
	if err := validRoles(u.Roles); err != nil {
		return err
	}
	return f.do(ctx, func(st *state) error {
		if st.users[u.Login] != nil {
			return Errorf(Conflict, "there is an account %s already", quote(u.Login))
		}
		u.Created = st.now
		if u.Weight <= 0 {
			u.Weight = 1
		}
		st.putUser(&u)
		st.allow(u.Login)
		st.emit(Event{Type: "user.added", Text: u.Login})
		st.audit(by, "added the account %s with the roles %v", u.Login, u.Roles)
		return nil
	})
}

func (st *state) putUser(u *User) {
	st.users[u.Login] = u
	st.weigh(u.Login)
	st.dirty.rest.Users = append(slices.DeleteFunc(st.dirty.rest.Users, func(o *User) bool { return o.Login == u.Login }), u)
}

// Bootstrap creates the first account of an empty farm, with a token; it does
// nothing but return false when the account is there already.
func (f *Farm) Bootstrap(ctx context.Context, u User, t Token) (bool, error) {
	made := false
	err := f.do(ctx, func(st *state) error {
		if st.users[u.Login] != nil {
			return nil
		}
		made = true
		u.Created, u.Weight, t.Created, t.Login = st.now, 1, st.now, u.Login
		st.putUser(&u)
		st.allow(u.Login)
		st.putToken(&t)
		return nil
	})
	if err != nil {
		return false, err // the dispatcher may be at it still
	}
	return made, nil
}

func (st *state) putToken(t *Token) {
	st.tokens.put(t)
	st.dirty.rest.Tokens = append(st.dirty.rest.Tokens, t)
}

// otherAdmin reports whether an account beside this one has the role admin.
func (st *state) otherAdmin(login string) bool {
	for _, u := range st.users {
		if u.Login != login && (Principal{Roles: u.Roles}).Is(RoleAdmin) {
			return true
		}
	}
	return false
}

// UserChange changes an account. Nil fields stay.
type UserChange struct {
	Roles    *[]Role
	Password *string // hash
	Weight   *float64
}

// words say what is changed, without saying the password.
func (c *UserChange) words() string {
	var out []string
	if c.Roles != nil {
		out = append(out, fmt.Sprintf("roles %v", *c.Roles))
	}
	if c.Password != nil {
		out = append(out, "a new password")
	}
	if c.Weight != nil {
		out = append(out, fmt.Sprintf("weight %g", *c.Weight))
	}
	return strings.Join(out, ", ")
}

// ChangeUser changes an account. People may change their own password, and
// operators anybody's weight.
func (f *Farm) ChangeUser(ctx context.Context, by Principal, login string, c UserChange) error {
	own := by.Login == login && c.Roles == nil && c.Weight == nil
	weight := by.Is(RoleOperator) && c.Roles == nil && c.Password == nil
	if !own && !weight && !by.Is(RoleAdmin) {
		return Errorf(Forbidden, "other accounts take the role admin")
	}
	if c.Roles != nil {
		if err := validRoles(*c.Roles); err != nil {
			return err
		}
	}
	return f.do(ctx, func(st *state) error {
		old := st.users[login]
		if old == nil {
			return noUser(login)
		}
		u := *old
		if c.Roles != nil {
			u.Roles = *c.Roles
			if !(Principal{Roles: u.Roles}).Is(RoleAdmin) && !st.otherAdmin(login) {
				return Errorf(Conflict, "%s is the only account with the role admin; give it to another first, or nobody could give it back", quote(login))
			}
		}
		if c.Password != nil {
			u.Password = *c.Password
		}
		if c.Weight != nil && *c.Weight > 0 {
			u.Weight = *c.Weight
		}
		st.putUser(&u)
		st.emit(Event{Type: "user.changed", Text: login})
		st.audit(by, "changed the account %s: %s", login, c.words())
		return nil
	})
}

// RemoveUser removes an account with its tokens. Its jobs stay.
func (f *Farm) RemoveUser(ctx context.Context, by Principal, login string) error {
	if !by.Is(RoleAdmin) {
		return Errorf(Forbidden, "accounts take the role admin")
	}
	return f.do(ctx, func(st *state) error {
		if st.users[login] == nil {
			return noUser(login)
		}
		if login == by.Login {
			return Errorf(Conflict, "an account cannot remove itself")
		}
		if !st.otherAdmin(login) { // by may have lost the role meanwhile
			return Errorf(Conflict, "%s is the only account with the role admin; give it to another first", quote(login))
		}
		delete(st.users, login)
		st.tokens.dropAll(login)
		st.dirty.rest.Users = slices.DeleteFunc(st.dirty.rest.Users, func(o *User) bool { return o.Login == login })
		st.dirty.rest.Tokens = slices.DeleteFunc(st.dirty.rest.Tokens, func(o *Token) bool { return o.Login == login })
		st.dirty.rest.DropUsers = append(st.dirty.rest.DropUsers, login)
		st.emit(Event{Type: "user.removed", Text: login})
		st.audit(by, "removed the account %s", login)
		return nil
	})
}

// AddToken gives an account a credential. The caller made the token and keeps
// it; t has only its hash.
func (f *Farm) AddToken(ctx context.Context, by Principal, t Token) error {
	if by.Login != t.Login && !by.Is(RoleAdmin) {
		return Errorf(Forbidden, "tokens of other accounts take the role admin")
	}
	return f.do(ctx, func(st *state) error {
		if st.users[t.Login] == nil {
			return noUser(t.Login)
		}
		if n := st.tokens.count(t.Login, t.Kind); n >= maxTokens && (t.Kind == "token" || t.Kind == KindJoin) { // of the others each client has some
			return Errorf(Conflict, "the account %s has %d tokens already; \"drover user revoke-keys\" makes them worthless, or remove those of no use", quote(t.Login), n)
		}
		t.Created = st.now
		st.putToken(&t)
		return nil
	})
}

// maxTokens is how many tokens of its own, and one-time tokens, an account may have.
const maxTokens = 1000

// RevokeTokens takes an account's credentials of a kind away, all for "". It
// returns how many.
func (f *Farm) RevokeTokens(ctx context.Context, by Principal, login, kind string) (int, error) {
	if by.Login != login && !by.Is(RoleAdmin) {
		return 0, Errorf(Forbidden, "tokens of other accounts take the role admin")
	}
	n := 0
	err := f.do(ctx, func(st *state) error {
		if st.users[login] == nil {
			return noUser(login)
		}
		for h, t := range st.tokens.of[login] {
			if kind == "" || t.Kind == kind {
				st.dropToken(h)
				n++
			}
		}
		return nil
	})
	if err != nil {
		return 0, err // the dispatcher may be at it still
	}
	return n, nil
}

func (st *state) dropToken(h [32]byte) {
	st.tokens.drop(h)
	st.dirty.rest.Tokens = slices.DeleteFunc(st.dirty.rest.Tokens, func(o *Token) bool { return o.Hash == h })
	st.dirty.rest.DropTokens = append(st.dirty.rest.DropTokens, h)
}

// DropToken ends one credential, such as a session of the web page.
func (f *Farm) DropToken(ctx context.Context, hash [32]byte) error {
	return f.do(ctx, func(st *state) error {
		if st.tokens.all[hash] != nil {
			st.dropToken(hash)
		}
		return nil
	})
}

func validLogin(s string) error {
	if len(s) > 64 {
		return Errorf(Invalid, "a login has at most 64 characters")
	}
	for i, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || (i > 0 && (r == '.' || r == '-' || r == '_' || r == '@' || r == '+'))
		if !ok {
			return Errorf(Invalid, "the login %s is not allowed: letters, digits and .-_@+ only, and a letter or digit first", quote(s))
		}
	}
	if s == "" {
		return Errorf(Invalid, "the login is empty")
	}
	return nil
}

func validRoles(rs []Role) error {
	if len(rs) == 0 {
		return Errorf(Invalid, "an account needs at least one role of renderer, submitter, operator, admin")
	}
	for _, r := range rs {
		if !slices.Contains(Roles, r) {
			return Errorf(Invalid, "there is no role %s; the roles are renderer, submitter, operator, admin", quote(string(r)))
		}
	}
	return nil
}
