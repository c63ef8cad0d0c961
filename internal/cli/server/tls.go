package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"drover.farm/internal/cli/config"
)

// newPair reads the main listener's certificate; nil without one.
func newPair(set config.TLS, log *slog.Logger) (*pair, error) {
	if set.Cert == "" && set.Key == "" {
		return nil, nil
	}
	if set.Cert == "" || set.Key == "" {
		return nil, errors.New("TLS takes both a certificate (--tls-cert) and its key (--tls-key)")
	}
	p := &pair{cert: set.Cert, key: set.Key, log: log}
	return p, p.load()
}

// serve is how the main listener speaks TLS.
func (p *pair) serve() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.get, NextProtos: []string{"h2", "http/1.1"}}
}

// peer is how another server of the same farm is known: by this server's own
// certificate, or by one for the same name from an authority that the system
// trusts. The address at which it is reached, often a bare IP address, does not
// matter.
func (p *pair) peer() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(c tls.ConnectionState) error {
			own, err := p.get(nil)
			if err != nil {
				return err
			}
			if bytes.Equal(c.PeerCertificates[0].Raw, own.Certificate[0]) {
				return nil
			}
			return verify(c.PeerCertificates, own.Leaf)
		},
	}
}

// verify checks a chain against the system's authorities and own's names.
func verify(chain []*x509.Certificate, own *x509.Certificate) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Intermediates: between}); err != nil {
		return err
	}
	for _, name := range own.DNSNames {
		if chain[0].VerifyHostname(name) == nil {
			return nil
		}
	}
	return errors.New("the farm's writer shows a certificate of another name")
}

// pair is a certificate that follows its files.
type pair struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]time.Time // of the files that current came from
	looked  time.Time
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// get returns the certificate, from the files if they have changed. Files that
// do not fit together, as while one of them is being replaced, change nothing.
func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= lookEvery {
		p.looked = now
		if stamp := p.stamps(); stamp != p.stamp {
			if err := p.reload(); err != nil {
				p.log.Error("the changed TLS certificate cannot be used, the old one stays", "err", err)
			} else {
				p.log.Info("TLS certificate read again", "file", p.cert)
			}
		}
	}
	return p.current, nil
}

func (p *pair) load() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reload()
}

func (p *pair) reload() error {
	p.stamp = p.stamps()
	c, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return fmt.Errorf("read the TLS certificate %s with the key %s: %w", p.cert, p.key, err)
	}
	p.current = &c
	return nil
}

func (p *pair) stamps() [2]time.Time {
	var s [2]time.Time
	for i, f := range []string{p.cert, p.key} {
		if info, err := os.Stat(f); err == nil {
			s[i] = info.ModTime()
		}
	}
	return s
}
