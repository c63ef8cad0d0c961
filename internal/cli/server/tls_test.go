package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"drover.farm/internal/cli/config"
)

var silent = slog.New(slog.DiscardHandler)

// certify writes a certificate for name, signed by itself, and its key.
func certify(t *testing.T, dir, name string) config.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	set := config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, b := range map[string]*pem.Block{set.Cert: {Type: "CERTIFICATE", Bytes: der}, set.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

func TestACertificateFollowsItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := newPair(certify(t, dir, "one.example"), silent)
	if err != nil {
		t.Fatal(err)
	}
	name := func() string {
		t.Helper()
		p.mu.Lock()
		p.looked = time.Time{} // a second later
		p.mu.Unlock()
		c, err := p.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.DNSNames[0]
	}
	later := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stamp = [2]time.Time{} // however coarse the file system's times are
	}
	if got := name(); got != "one.example" {
		t.Errorf("the certificate is for %s", got)
	}
	certify(t, dir, "two.example")
	later()
	if got := name(); got != "two.example" {
		t.Errorf("after the change the certificate is for %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	if got := name(); got != "two.example" {
		t.Errorf("with a broken key the certificate is for %s", got)
	}
}

func TestHalfACertificateIsRefused(t *testing.T) {
	t.Parallel()
	set := certify(t, t.TempDir(), "x")
	for _, bad := range []config.TLS{{Cert: set.Cert}, {Key: set.Key}, {Cert: set.Key, Key: set.Cert}, {Cert: "nothing", Key: set.Key}} {
		if _, err := newPair(bad, silent); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if p, err := newPair(config.TLS{}, silent); p != nil || err != nil {
		t.Errorf("without TLS: %v, %v", p, err)
	}
}

func TestServersKnowOneAnotherByTheirCertificate(t *testing.T) {
	t.Parallel()
	own, err := newPair(certify(t, t.TempDir(), "farm.example"), silent)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newPair(certify(t, t.TempDir(), "farm.example"), silent)
	if err != nil {
		t.Fatal(err)
	}
	shown := func(p *pair) tls.ConnectionState {
		c, err := p.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.Leaf}}
	}
	if err := own.peer().VerifyConnection(shown(own)); err != nil {
		t.Errorf("the farm's own certificate: %v", err)
	}
	if err := own.peer().VerifyConnection(shown(other)); err == nil {
		t.Error("a stranger that signed a certificate of the same name itself is taken for the writer")
	}
}
