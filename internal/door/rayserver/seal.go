package rayserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"drover.farm/internal/secret"
)

// What is signed begins with what it is for, so that no signature serves for
// anything else.
const (
	purposeClient  = "rayserver/1 client"
	purposeServer  = "rayserver/1 server"
	purposeSession = "rayserver/1 session"
)

const macLen = 2 * sha256.Size // in hexadecimal digits

var errSeal = errors.New("a line does not carry the right signature: it was changed, repeated or sent on another connection")

// newNonce makes a number that is used once, in hexadecimal digits.
func newNonce() string {
	b := make([]byte, sha256.Size)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// sign gives the HMAC of texts, each ended by a zero byte.
func sign(key secret.Text, texts ...string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	for _, t := range texts {
		h.Write([]byte(t))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}

// proofs are what client and server show of a key, and the key of their
// connection.
func proofs(k Key, server, client string) (ofClient, ofServer, session []byte) {
	return sign(k.Secret, purposeClient, server, client, k.Name),
		sign(k.Secret, purposeServer, server, client, k.Name),
		sign(k.Secret, purposeSession, server, client, k.Name)
}

// The directions of a connection.
const (
	fromClient = 'c'
	fromServer = 's'
)

// seal signs the lines of one direction of a connection, each with its number. A
// nil seal signs nothing.
type seal struct {
	key       []byte
	direction byte
	n         uint64
}

func (s *seal) mac(line []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(binary.BigEndian.AppendUint64([]byte{s.direction}, s.n))
	h.Write(line)
	s.n++
	return h.Sum(nil)
}

// put signs a line.
func (s *seal) put(line []byte) []byte {
	if s == nil {
		return line
	}
	out := hex.AppendEncode(make([]byte, 0, macLen+1+len(line)), s.mac(line))
	return append(append(out, ' '), line...)
}

// open returns a signed line without its signature.
func (s *seal) open(line []byte) ([]byte, error) {
	if s == nil {
		return line, nil
	}
	if len(line) <= macLen || line[macLen] != ' ' {
		return nil, errSeal
	}
	got, err := hex.DecodeString(string(line[:macLen]))
	if err != nil || !hmac.Equal(got, s.mac(line[macLen+1:])) {
		return nil, errSeal
	}
	return line[macLen+1:], nil
}
