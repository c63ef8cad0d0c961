package rayserver

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func codeOf(err error) string {
	var e *Error
	errors.As(err, &e)
	if e == nil {
		return ""
	}
	return e.Code
}

func TestKeyIsAskedFor(t *testing.T) {
	t.Parallel()
	r := serve(t, nil)
	c, err := Dial(t.Context(), DialOptions{Address: r.addr, Within: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do(Request{Verb: "hello"}); err != nil {
		t.Errorf("hello: %v", err)
	}
	for verb := range verbs {
		if _, err := c.Do(Request{Verb: verb, Job: "x"}); verb != "hello" && codeOf(err) != codeAuthRequired {
			t.Errorf("%s without a key: %v", verb, err)
		}
	}
	if len(r.jobs.did) > 0 {
		t.Errorf("without a key it did %q", r.jobs.did)
	}
	if _, err := r.dial().Do(Request{Verb: "submit", View: "v1"}); err != nil || r.jobs.asked[0].User != "anna" {
		t.Errorf("with the key: %v, as %+v", err, r.jobs.asked)
	}
}

func TestServerWithoutKeysAnswersOnlyHello(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *Config) { c.Keys = nil })
	c, err := Dial(t.Context(), DialOptions{Address: r.addr, Within: time.Minute})
	if err != nil || len(c.Hello.Auth) != 0 {
		t.Fatalf("greeting %+v, %v", c.Hello, err)
	}
	defer c.Close()
	if _, err := c.Do(Request{Verb: "list"}); codeOf(err) != codeAuthRequired || !strings.Contains(err.Error(), "config/keys") {
		t.Errorf("list: %v", err)
	}
	if _, err := Dial(t.Context(), DialOptions{Address: r.addr, Key: anna, Within: time.Minute}); err == nil || !strings.Contains(err.Error(), "takes no keys") {
		t.Errorf("with a key: %v", err)
	}
}

func TestWrongKeys(t *testing.T) {
	t.Parallel()
	r := serve(t, nil)
	for _, key := range []Key{{"anna", "another-key-of-enough-characters"}, {"bert", anna.Secret}, {"bert", ""}} {
		_, err := Dial(t.Context(), DialOptions{Address: r.addr, Key: key, Within: time.Minute})
		if codeOf(err) != codeDenied {
			t.Errorf("%s: %v", key.Name, err)
		}
		if note := <-r.notes; !strings.Contains(note, "wrong key") || strings.Contains(note, string(anna.Secret)) {
			t.Errorf("noted: %s", note)
		}
	}
}

// recorded lets anna log in and ask for something, and returns her lines.
func (r *running) recorded() (auth, request string, c *raw) {
	r.t.Helper()
	c = r.raw()
	var g Greeting
	if err := json.Unmarshal([]byte(c.hear()), &g); err != nil {
		r.t.Fatal(err)
	}
	own := newNonce()
	ofClient, ofServer, session := proofs(anna, g.Nonce, own)
	auth = string(encode(Request{ID: 1, Verb: "auth", Name: "anna", Client: own, MAC: hex.EncodeToString(ofClient)}))
	c.say(auth)
	var a Answer
	if err := json.Unmarshal([]byte(c.hear()), &a); err != nil || a.MAC != hex.EncodeToString(ofServer) {
		r.t.Fatalf("answer %+v, %v", a, err)
	}
	s := &seal{key: session, direction: fromClient}
	request = string(s.put([]byte(`{"id":2,"verb":"kill","job":"room_v1"}`)))
	c.say(request)
	back := &seal{key: session, direction: fromServer}
	if _, err := back.open([]byte(c.hear())); err != nil {
		r.t.Fatal(err)
	}
	return auth, request, c
}

// TestNothingCanBeReplayed: lines of one connection are worth nothing when they
// are sent again, there or on another.
func TestNothingCanBeReplayed(t *testing.T) {
	t.Parallel()
	r := serve(t, nil)
	auth, request, c := r.recorded()
	_, _, third := r.recorded()
	done := len(r.jobs.did)
	c.say(request) // the same line again
	if got := c.hear(); !strings.Contains(got, codeDenied) || c.hear() != "" {
		t.Errorf("the line again: %s", got)
	}
	other := r.raw()
	other.hear()
	other.say(auth) // the same key shown, to another nonce
	if got := other.hear(); !strings.Contains(got, codeDenied) || other.hear() != "" {
		t.Errorf("the key shown again: %s", got)
	}
	third.say(request) // on a connection of the same key
	if got := third.hear(); !strings.Contains(got, codeDenied) || third.hear() != "" {
		t.Errorf("the line on another connection: %s", got)
	}
	if len(r.jobs.did) != done {
		t.Errorf("a repeated line was carried out: %q", r.jobs.did)
	}
}

func TestLinesCannotBeChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(string) string{
		"another job": func(s string) string { return strings.Replace(s, "room_v1", "room_v2", 1) },
		"unsigned":    func(s string) string { return s[macLen+1:] },
		"no hex":      func(s string) string { return "z" + s[1:] },
		"cut":         func(s string) string { return s[:macLen] },
	} {
		r := serve(t, nil)
		c := r.raw()
		var g Greeting
		json.Unmarshal([]byte(c.hear()), &g)
		own := newNonce()
		ofClient, _, session := proofs(anna, g.Nonce, own)
		c.say(string(encode(Request{ID: 1, Verb: "auth", Name: "anna", Client: own, MAC: hex.EncodeToString(ofClient)})))
		c.hear()
		s := &seal{key: session, direction: fromClient}
		c.say(change(string(s.put([]byte(`{"id":2,"verb":"kill","job":"room_v1"}`)))))
		if got := c.hear(); !strings.Contains(got, codeDenied) || len(r.jobs.did) > 0 {
			t.Errorf("%s: answered %s, did %q", name, got, r.jobs.did)
		}
	}
}

// TestFalseServer: a client does not speak to a server that has not got the key.
func TestFalseServer(t *testing.T) {
	t.Parallel()
	r := serve(t, func(c *Config) { c.Keys = Keys{"anna": "some-other-key-altogether"} })
	if _, err := Dial(t.Context(), DialOptions{Address: r.addr, Key: anna, Within: time.Minute}); err == nil {
		t.Error("the client is content")
	}
}

func TestReadKeys(t *testing.T) {
	t.Parallel()
	file := func(text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const good = "# keys\n\nanna 0123456789abcdef\nbert\tfedcba9876543210\n"
	keys, err := ReadKeys(file(good, 0o600))
	if err != nil || len(keys) != 2 || keys["bert"] != "fedcba9876543210" {
		t.Errorf("%v, %v", keys, err)
	}
	if k, err := ReadKey(file(good, 0o600)); err != nil || k.Name != "anna" {
		t.Errorf("%v, %v", k, err)
	}
	if keys, err := ReadKeys(filepath.Join(t.TempDir(), "none")); err != nil || len(keys) != 0 {
		t.Errorf("no file: %v, %v", keys, err)
	}
	bad := map[string]string{
		"anna\n":         "line 1 is not NAME KEY",
		"\nanna short\n": "line 2 is shorter",
		"a 0123456789abcdef\na 0123456789abcdef\n": "there are two",
		strings.Repeat("x", 5000):                  "too long",
	}
	for text, want := range bad {
		if _, err := ReadKeys(file(text, 0o600)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadKeys(file(good, 0o640)); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), "chmod 600")) {
		t.Errorf("a file for all to read: %v", err)
	}
}
