package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The parameters of new hashes: argon2id with 19 MiB and two passes, the OWASP
// password storage cheat sheet's second choice of equal strength.
const (
	memory  = 19 << 10 // KiB
	passes  = 2
	threads = 1
	saltLen = 16
	keyLen  = 32
)

// What a stored hash may ask for at most, so that a foreign one cannot take the
// machine's memory.
const (
	maxMemory  = 256 << 10 // KiB
	maxPasses  = 20
	maxThreads = 8
	maxEncoded = 512
)

// MinPassword and MaxPassword bound a password, in bytes.
const (
	MinPassword = 8
	MaxPassword = 1024
)

// ErrWeak means a password that cannot be used; the message says why.
var ErrWeak = errors.New("the password is not usable")

// ErrFormat means that a stored password hash cannot be read.
var ErrFormat = errors.New("the stored password hash is damaged")

// Hasher hashes passwords, a few at a time, so that a crowd at the login page
// takes neither all memory nor all cores. It may be used by many goroutines.
type Hasher struct{ slots chan struct{} }

// NewHasher makes a Hasher that works on atOnce passwords at once (at least 1);
// each takes 19 MiB and some 20 ms.
func NewHasher(atOnce int) *Hasher { return &Hasher{slots: make(chan struct{}, max(atOnce, 1))} }

// enter waits for a slot.
func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to hash a password: %w", context.Cause(ctx))
	}
}

func (h *Hasher) leave() { <-h.slots }

// Hash gives a PHC string ("$argon2id$v=19$m=19456,t=2,p=1$SALT$KEY") of the
// password. It fails with ErrWeak, or when ctx ends before its turn comes.
func (h *Hasher) Hash(ctx context.Context, password Text) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	var salt [saltLen]byte
	_, _ = rand.Read(salt[:])
	key := argon2.IDKey([]byte(password), salt[:], passes, memory, threads, keyLen)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, threads,
		enc.EncodeToString(salt[:]), enc.EncodeToString(key)), nil
}

// CheckPassword fails with ErrWeak for a password that is too short, too long or
// not text.
func CheckPassword(p Text) error {
	switch {
	case len(p) < MinPassword:
		return fmt.Errorf("%w: it has fewer than %d bytes", ErrWeak, MinPassword)
	case len(p) > MaxPassword:
		return fmt.Errorf("%w: it has more than %d bytes", ErrWeak, MaxPassword)
	case !utf8.ValidString(string(p)) || strings.ContainsRune(string(p), 0):
		return fmt.Errorf("%w: it is not UTF-8 text", ErrWeak)
	}
	return nil
}

// Verify reports whether the password is the one of the hash. An empty hash is
// an account without a password: no password fits, and that takes as long to
// find out. It fails with ErrFormat, or when ctx ends before its turn comes.
func (h *Hasher) Verify(ctx context.Context, hash string, password Text) (bool, error) {
	p := phc{memory: memory, passes: passes, threads: threads, salt: make([]byte, saltLen), key: make([]byte, keyLen)}
	if hash != "" {
		var err error
		if p, err = parsePHC(hash); err != nil {
			return false, err
		}
	}
	if len(password) > MaxPassword {
		return false, nil
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.threads, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1 && hash != "", nil
}

type phc struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

// parsePHC reads an argon2id hash in the PHC string format.
func parsePHC(s string) (phc, error) {
	var p phc
	parts := strings.Split(s, "$")
	if len(s) > maxEncoded || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, ErrFormat
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.passes, p.threads) {
		return p, ErrFormat
	}
	if p.memory < 8 || p.memory > maxMemory || p.passes < 1 || p.passes > maxPasses || p.threads < 1 || p.threads > maxThreads {
		return p, fmt.Errorf("%w: it asks for %d KiB, %d passes and %d threads", ErrFormat, p.memory, p.passes, p.threads)
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	p.key, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(p.salt) < 8 || len(p.key) < 16 || len(p.key) > 64 {
		return p, ErrFormat
	}
	return p, nil
}
