package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// authority signs certificates of a cluster.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true,
	}
	a.cert, a.key = a.sign(template, template, nil)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if key == nil {
		key = own
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &own.PublicKey, key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, own
}

// issue makes a certificate for hosts, valid until then.
func (a *authority) issue(until time.Time, hosts ...string) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	cert, key := a.sign(template, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// with returns a configuration that shows cert and trusts a.
func (a *authority) with(cert *tls.Certificate) *TLS {
	client := &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}
	s := &TLS{
		Server: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool, MinVersion: tls.VersionTLS12},
		Client: func() *tls.Config { return client },
	}
	if cert != nil {
		s.Server.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return s
}

// TestTLS: a server whose certificate is wrong in any way is refused, in both directions; the
// refusal is logged, and two sound servers go on talking.
func TestTLS(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	good := ca.issue(later, "127.0.0.1")
	for _, c := range []struct {
		name   string
		secure func() *TLS // of server 3
		host   string      // that the table has for server 3
		logs   []string    // at the sound servers, any of these
	}{
		{"sound", func() *TLS { return ca.with(new(ca.issue(later, "127.0.0.1"))) }, "127.0.0.1", nil},
		{"one name of several", func() *TLS { return ca.with(new(ca.issue(later, "three.example", "127.0.0.1"))) }, "three.example", nil},
		{"in no table", func() *TLS { return ca.with(new(ca.issue(later, "127.0.0.1"))) }, "", nil},
		{"another authority", func() *TLS {
			return &TLS{
				Server: foreign.with(new(foreign.issue(later, "127.0.0.1"))).Server,
				Client: func() *tls.Config {
					cert := foreign.issue(later, "127.0.0.1")
					return &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}
				},
			}
		}, "127.0.0.1", []string{"unknown authority", "doesn't contain any IP SANs", "failed to verify"}},
		{"no certificate", func() *TLS {
			return &TLS{
				Server: ca.with(&good).Server, Client: ca.with(nil).Client,
			}
		}, "127.0.0.1", []string{"didn't provide a certificate"}},
		{"another name", func() *TLS { return ca.with(new(ca.issue(later, "other.example"))) }, "127.0.0.1",
			[]string{"certificate is for somebody else", "cannot validate certificate for 127.0.0.1"}},
		{"expired", func() *TLS { return ca.with(new(ca.issue(time.Now().Add(-time.Hour), "127.0.0.1"))) }, "127.0.0.1",
			[]string{"expired"}},
		{"plain", func() *TLS { return nil }, "127.0.0.1", []string{"first record does not look like a TLS handshake"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			sound := func(cfg *Config, _ *node) {
				quick(cfg, nil)
				cfg.TLS = ca.with(&good)
				cfg.Host = func(id uint8) []string {
					if id == 3 && c.host == "" {
						return nil
					}
					return []string{map[bool]string{true: c.host, false: "127.0.0.1"}[id == 3]}
				}
			}
			a, b := w.add(1, sound), w.add(2, sound)
			x := w.add(3, quick, func(cfg *Config, _ *node) { cfg.TLS = c.secure() })
			_, in := x.Peers.Ask(t.Context(), 1, 1, nil)
			_, out := a.Peers.Ask(t.Context(), 3, 1, nil)
			x.Send([]*pb.Message{heartbeat(1, 1)})
			a.Send([]*pb.Message{heartbeat(2, 1), appends(2, 1, 100, 1000), heartbeat(3, 1)})
			b.eventually("two messages", func() bool { return len(b.messages) == 2 })
			if c.logs == nil {
				if in != nil || out != nil {
					t.Errorf("refused: %v, %v", in, out)
				}
				x.eventually("a message", func() bool { return len(x.messages) == 1 })
				a.eventually("a message", func() bool { return len(a.messages) == 1 })
				return
			}
			if in == nil || out == nil && c.name != "no certificate" {
				t.Errorf("let in: %v; talked to: %v", in, out)
			}
			a.eventually("log", func() bool {
				return slices.ContainsFunc(c.logs, func(s string) bool { return strings.Contains(a.log.String(), s) })
			})
			a.note(func() {
				if len(a.messages) != 0 {
					t.Errorf("%d messages of a stranger", len(a.messages))
				}
			})
			if a.Stats().Refused == 0 {
				t.Error("not counted")
			}
		})
	}
}

// TestTheEndIsNoticedUnderTLS: there is no farewell, as there is none from a process that is killed.
func TestTheEndIsNoticedUnderTLS(t *testing.T) {
	w := newWorld(t)
	ca := newAuthority(t)
	cert := ca.issue(time.Now().Add(time.Hour), "127.0.0.1")
	secure := func(c *Config, _ *node) { c.TLS = ca.with(&cert) }
	a, b := w.add(1, secure), w.add(2, secure)
	a.Send([]*pb.Message{heartbeat(2, 1)})
	b.eventually("a message", func() bool { return len(b.messages) == 1 })
	a.stop()
	b.eventually("the news", func() bool { return slices.Equal(b.gone, []uint64{1}) })
}

// TestTLSMustDemandCertificates: a configuration that lets anybody in is refused.
func TestTLSMustDemandCertificates(t *testing.T) {
	ca := newAuthority(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := Config{Self: 1, Listener: l, Handler: &node{}, Allowed: func(uint64) bool { return true },
		Address: func(uint8) (string, bool) { return "", false }, TLS: ca.with(nil)}
	cfg.TLS.Server.ClientAuth = tls.RequestClientCert
	if err := New(cfg).Run(t.Context()); err == nil || errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
