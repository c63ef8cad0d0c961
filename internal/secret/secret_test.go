package secret_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"drover.farm/internal/secret"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		tok := secret.NewToken().Reveal()
		if len(tok) != 47 || !strings.HasPrefix(tok, "drv_") || !secret.Looks(tok) {
			t.Fatalf("token %q", tok)
		}
		if seen[tok] {
			t.Fatal("the same token twice")
		}
		seen[tok] = true
	}
}

func TestLooks(t *testing.T) {
	t.Parallel()
	good := secret.NewToken().Reveal()
	for s, want := range map[string]bool{
		good: true, "": false, "drv_": false, good[:46]: false, good + "A": false,
		"DRV_" + good[4:]: false, "correct horse battery": false, good[:46] + "=": false, " " + good: false,
	} {
		if got := secret.Looks(s); got != want {
			t.Errorf("Looks(%q) = %v", s, got)
		}
	}
}

func TestHashIsSHA256(t *testing.T) {
	t.Parallel()
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // of "abc", FIPS 180-2
	if got := fmt.Sprintf("%x", secret.Hash("abc")); got != want {
		t.Errorf("got %s", got)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	const content = "tell-nobody"
	s := secret.Text(content)
	type holder struct {
		Token secret.Text `json:"token"`
		List  []secret.Text
		Map   map[string]secret.Text
	}
	h := holder{s, []secret.Text{s}, map[string]secret.Text{"a": s}}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "token", s, "holder", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", s, "holder", h)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
	}
	if err := json.NewEncoder(&out).Encode(h); err != nil {
		t.Fatal(err)
	}
	out.WriteString(s.String())
	if strings.Contains(out.String(), content) || strings.Contains(out.String(), fmt.Sprintf("%x", content)) {
		t.Errorf("the secret is in the output:\n%s", out.String())
	}
	if s.Reveal() != content {
		t.Error("Reveal does not give the content")
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	h := secret.NewHasher(2)
	one, err := h.Hash(t.Context(), "pässwörd one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.Hash(t.Context(), "pässwörd one")
	if err != nil {
		t.Fatal(err)
	}
	if one == two {
		t.Error("two hashes of one password are the same")
	}
	if !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s", one)
	}
	for p, want := range map[secret.Text]bool{"pässwörd one": true, "pässwörd two": false, "": false, "pässwörd one ": false,
		secret.Text(strings.Repeat("x", secret.MaxPassword+1)): false} {
		if got, err := h.Verify(t.Context(), one, p); err != nil || got != want {
			t.Errorf("Verify(%q) = %v, %v", p.Reveal(), got, err)
		}
	}
}

// TestOtherParameters verifies a hash that another program made: a test vector
// of the reference implementation (phc-winner-argon2, test.c, version 0x13).
func TestOtherParameters(t *testing.T) {
	t.Parallel()
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h := secret.NewHasher(1)
	if ok, err := h.Verify(t.Context(), hash, "password"); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if ok, err := h.Verify(t.Context(), hash, "Password"); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestNoPassword(t *testing.T) {
	t.Parallel()
	h := secret.NewHasher(1)
	for _, p := range []secret.Text{"", "anything at all"} {
		if ok, err := h.Verify(t.Context(), "", p); ok || err != nil {
			t.Errorf("an account without a password was opened: %v, %v", ok, err)
		}
	}
}

func TestWeakPasswords(t *testing.T) {
	t.Parallel()
	h := secret.NewHasher(1)
	for name, p := range map[string]secret.Text{
		"empty": "", "short": "1234567", "long": secret.Text(strings.Repeat("x", 1025)), "not text": "\xff\xfe_______", "nul": "1234\x005678",
	} {
		if _, err := h.Hash(t.Context(), p); !errors.Is(err, secret.ErrWeak) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedHashes(t *testing.T) {
	t.Parallel()
	h := secret.NewHasher(1)
	for _, s := range []string{
		"x", "$", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=1x$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", // 4 GiB
		"$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=1$!!!!$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$AA",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 600),
	} {
		if ok, err := h.Verify(t.Context(), s, "password"); ok || !errors.Is(err, secret.ErrFormat) {
			t.Errorf("Verify(%q): %v, %v", s, ok, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=999999999999,t=1,p=1$$")
	h := secret.NewHasher(2)
	f.Fuzz(func(t *testing.T, s string) {
		if ok, _ := h.Verify(t.Context(), s, "an improbable password"); ok {
			t.Errorf("%q lets anybody in", s)
		}
	})
}

func TestWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	h := secret.NewHasher(1)
	release := secret.Hold(h)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "long enough"); !errors.Is(err, context.Canceled) {
		t.Errorf("Hash: %v", err)
	}
	if _, err := h.Verify(ctx, "", "long enough"); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify: %v", err)
	}
}
