package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"drover.farm/internal/cli/config"
)

// tlsConfig is the main listener's, nil without a certificate.
func tlsConfig(set config.TLS, log *slog.Logger) (*tls.Config, error) {
	if set.Cert == "" && set.Key == "" {
		return nil, nil
	}
	if set.Cert == "" || set.Key == "" {
		return nil, errors.New("TLS takes both a certificate (--tls-cert) and its key (--tls-key)")
	}
	p := &pair{cert: set.Cert, key: set.Key, log: log}
	if err := p.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.get, NextProtos: []string{"h2", "http/1.1"}}, nil
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
