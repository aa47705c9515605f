package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), next: 2, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.cert = a.sign(template, template, a.key)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	b, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(b)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// issue signs a certificate for a name, valid until then, and returns it with its key as PEM.
func (a *authority) issue(name string, until time.Time) (pemText []byte, cert *x509.Certificate) {
	a.t.Helper()
	key := newKey(a.t)
	cert = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(a.next),
		Subject:      pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: org, Value: "Grove"}, {Type: cn, Value: name}}},
		NotBefore:    time.Now().Add(-2 * time.Hour), NotAfter: until,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.cert, key)
	a.next++
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return append(encode("CERTIFICATE", cert.Raw), encode("PRIVATE KEY", der)...), cert
}

func encode(kind string, b []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
}

// write puts text into a file of the authority's and returns its path.
func (a *authority) write(name string, text []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

func (a *authority) ca() string { return a.write("ca.pem", encode("CERTIFICATE", a.cert.Raw)) }

// file is a certificate with its key in one file.
func (a *authority) file(name string) string {
	text, _ := a.issue(name, time.Now().Add(time.Hour))
	return a.write(name+".pem", text)
}

// client is how somebody with a certificate of a connects. Nil pem: without one.
func (a *authority) client(text []byte) *tls.Config {
	a.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	c.RootCAs.AddCert(a.cert)
	if text != nil {
		pair, err := tls.X509KeyPair(text, text)
		if err != nil {
			a.t.Fatal(err)
		}
		// Certificates would be left out if the server named other CAs.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c
}

// revoke writes a list of withdrawn certificates.
func (a *authority) revoke(until time.Time, certs ...*x509.Certificate) string {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	b, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("crl.pem", encode("X509 CRL", b))
}

// journal keeps what is logged.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.b.String(), what)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// echo is a listener whose connections say who they are and then repeat what they are told.
type echo struct {
	*Listener
	log  *journal
	ids  chan [][2]string
	done sync.WaitGroup
}

func newEcho(t testing.TB, c ListenConfig) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{log: &journal{}, ids: make(chan [][2]string, 1000)}
	c.Logger = e.log.logger()
	e.Listener = Listen(l, c)
	e.done.Go(func() {
		for {
			nc, err := e.Accept()
			if err != nil {
				return
			}
			e.done.Go(func() { e.serve(nc) })
		}
	})
	t.Cleanup(func() {
		e.Close()
		e.done.Wait()
	})
	return e
}

func (e *echo) serve(nc net.Conn) {
	defer nc.Close()
	b := make([]byte, 4096)
	for first := true; ; first = false {
		n, err := nc.Read(b)
		if err != nil {
			return
		}
		if first {
			e.ids <- Identity(nc)
		}
		if _, err := nc.Write(b[:n]); err != nil {
			return
		}
	}
}

// say sends text over nc and waits for it to come back.
func say(nc net.Conn, text string) error {
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := nc.Write([]byte(text)); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, make([]byte, len(text)))
	return err
}

// call connects with or without TLS, says one thing and hangs up.
func (e *echo) call(cfg *tls.Config) error {
	nc, err := e.dial(cfg)
	if err != nil {
		return err
	}
	defer nc.Close()
	return say(nc, "\x00\x00\x00\x2chello")
}

func (e *echo) dial(cfg *tls.Config) (net.Conn, error) {
	if cfg == nil {
		return net.Dial("tcp", e.Addr().String())
	}
	return tls.Dial("tcp", e.Addr().String(), cfg)
}

func mustSource(t testing.TB, f Files) *Source {
	t.Helper()
	s, err := New(f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
