package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Source is what the files say now. Its configurations stay good for ever: each new handshake uses
// what the files said at the last look. Safe for many goroutines.
type Source struct {
	files Files
	log   *slog.Logger
	now   atomic.Pointer[material] // never nil after New

	mu      sync.Mutex // guards the fields below; one look at a time
	seen    []fs.FileInfo
	failing string // why the last look failed; "" if it did not
}

// material is one reading of the files. It is never written again.
type material struct {
	cert tls.Certificate
	pool *x509.CertPool // nil: no CA
	gone withdrawn      // nil: no list

	server, client *tls.Config
}

// New reads the files. The error says which of them cannot be used, and never what is in them.
func New(f Files, log *slog.Logger) (*Source, error) {
	if !f.Set() {
		return nil, errors.New("TLS without a certificate")
	}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	s := &Source{files: f, log: log, seen: f.look()}
	m, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("read TLS files: %w", err)
	}
	s.take(m)
	return s, nil
}

// pollEvery is how often Run looks at the files. Watching a directory would miss the swapped links by
// which secrets are delivered in containers.
const pollEvery = 10 * time.Second

// Run looks at the files from time to time until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			s.poll()
		}
	}
}

// poll reads again what has changed, and what could not be read the last time.
func (s *Source) poll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.files.look(); s.failing != "" || !same(s.seen, now) {
		s.reload(now)
	}
}

// Reload reads the files now. If they cannot be used, what was there stays, and the error, which has
// been logged too, says why.
func (s *Source) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload(s.files.look())
}

// reload is told how the files looked before it reads them: a change in between is seen by the next look.
func (s *Source) reload(seen []fs.FileInfo) error {
	s.seen = seen
	m, err := s.files.read()
	if err != nil {
		if s.failing != err.Error() { // once, and not at every look
			s.log.Error("TLS files not taken: the ones before stay", "err", err)
		}
		s.failing = err.Error()
		return err
	}
	s.failing = ""
	s.take(m)
	return nil
}

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

func (s *Source) take(m *material) {
	s.now.Store(m)
	leaf := m.cert.Leaf
	attributes := []any{"cert", s.files.Cert, "subject", Name(leaf), "until", leaf.NotAfter.UTC().Format(time.RFC3339)}
	switch left := time.Until(leaf.NotAfter); {
	case left < 0:
		s.log.Error("TLS files taken, but the certificate has expired", attributes...)
	case left < soon:
		s.log.Warn("TLS files taken, but the certificate ends soon", attributes...)
	default:
		s.log.Info("TLS files taken", attributes...)
	}
	if open := s.files.openToAll(); open != "" {
		s.log.Warn("everybody on this machine may read a private key", "file", open)
	}
}

// openToAll names a file with a key that everybody may read, if there is one.
func (f Files) openToAll() string {
	name := f.Key
	if name == "" {
		name = f.Cert
	}
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o004 != 0 {
		return name
	}
	return ""
}

// look returns how the files look from outside. One that is not there is nil.
func (f Files) look() []fs.FileInfo {
	var all []fs.FileInfo
	for _, name := range []string{f.Cert, f.Key, f.CA, f.CRL, f.CertPasswordFile, f.CAPasswordFile} {
		info, err := os.Stat(name)
		if err != nil {
			info = nil
		}
		all = append(all, info)
	}
	return all
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil {
			if a[i] != b[i] {
				return false
			}
			continue
		}
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}

func (f Files) read() (*material, error) {
	m := &material{}
	var err error
	if m.cert, err = f.readCert(); err != nil {
		return nil, err
	}
	cas, err := f.readCA()
	if err != nil {
		return nil, err
	}
	if cas != nil {
		m.pool = x509.NewCertPool()
		for _, c := range cas {
			m.pool.AddCert(c)
		}
	}
	if m.gone, err = f.readCRL(cas); err != nil {
		return nil, err
	}
	if m.cert.Leaf == nil {
		if m.cert.Leaf, err = x509.ParseCertificate(m.cert.Certificate[0]); err != nil {
			return nil, err
		}
	}
	m.server, m.client = f.acceptor(m), f.dialler(m)
	return m, nil
}

// acceptor is the configuration for who connects. It has ticket keys of its own, so that no session
// from before the files changed is resumed.
func (f Files) acceptor(m *material) *tls.Config {
	c := f.shape()
	c.Certificates = []tls.Certificate{m.cert}
	c.ClientCAs = m.pool
	c.ClientAuth = map[string]tls.ClientAuthType{
		None: tls.NoClientCert, Want: tls.VerifyClientCertIfGiven, Need: tls.RequireAndVerifyClientCert,
	}[f.clientAuth()]
	c.VerifyConnection = m.checkWithdrawn // resumed sessions too
	return c
}

// dialler is the configuration for connecting to others. Without a CA it believes whom the system does.
func (f Files) dialler(m *material) *tls.Config {
	c := f.shape()
	c.RootCAs = m.pool
	c.VerifyConnection = m.checkWithdrawn
	if f.AnyHost {
		c.InsecureSkipVerify = true // the name is not looked at; the rest is, here
		c.VerifyConnection = m.checkChain
	}
	return c
}

func (m *material) checkWithdrawn(state tls.ConnectionState) error {
	if m.gone == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	return m.gone.check(state.VerifiedChains, time.Now())
}

// checkChain is the usual check without the name.
func (m *material) checkChain(state tls.ConnectionState) error {
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	chains, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: m.pool, Intermediates: between})
	if err != nil || m.gone == nil {
		return err
	}
	return m.gone.check(chains, time.Now())
}

// ServerConfig is for who accepts. Each handshake takes what the files say at that moment.
func (s *Source) ServerConfig() *tls.Config {
	c := s.files.shape()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.now.Load().server, nil }
	return c
}

// ClientConfig is for who connects; a clone of it needs a ServerName. What it shows is always what the
// files say at that moment; whom it believes is what they said when it was asked for, because crypto/tls
// has no moment to ask at. Who connects again and again asks for a new one each time.
func (s *Source) ClientConfig() *tls.Config {
	c := s.now.Load().client.Clone()
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &s.now.Load().cert, nil
	}
	return c
}

// Leaf is the certificate that is shown now.
func (s *Source) Leaf() *x509.Certificate { return s.now.Load().cert.Leaf }
