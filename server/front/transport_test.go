package front_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
)

// sealed is a listener for TLS whose connections say who the client's certificate is of.
type sealed struct{ net.Listener }

func (s sealed) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return certified{c.(*tls.Conn)}, nil
}

type certified struct{ *tls.Conn }

func (c certified) Identities() (ids [][2]string) {
	for _, cert := range c.ConnectionState().PeerCertificates {
		ids = append(ids, [2]string{"x509", cert.Subject.String()})
		if cert.Subject.CommonName == "root" {
			ids = append(ids, [2]string{"super", ""})
		}
	}
	return ids
}

func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func sealedHouse(t *testing.T, change func(*front.Config)) *house {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{certificate(t, "server")}, ClientAuth: tls.RequestClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan{listen: sealed{l}, front: change}.build(t)
}

// as opens a session with a certificate.
func (h *house) as(t *testing.T, name string) *client {
	t.Helper()
	c, err := tls.Dial("tcp", h.listen.Addr().String(), &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate(t, name)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(stopTimeout))
	k := &client{t: t, c: c, r: bufio.NewReader(c)}
	k.hello(wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16)})
	return k
}

// Whom the transport proves a client to be counts from its first request on.
func TestACertificateIsAnIdentity(t *testing.T) {
	h := sealedHouse(t, nil)
	ann, bob, root := h.as(t, "ann"), h.as(t, "bob"), h.as(t, "root")
	own := []wire.ACL{{Perms: 31, Scheme: "x509", ID: "CN=ann"}}
	if a := ann.call(wire.OpCreate, &wire.CreateRequest{Path: "/ann", ACL: own}); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
	for k, want := range map[*client]wire.Code{ann: wire.CodeOK, bob: wire.CodeNoAuth, root: wire.CodeOK} {
		if a := k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/ann"}); a.Err != want {
			t.Errorf("read: %v, want %v", a.Err, want)
		}
		if a := k.call(wire.OpSetData, &wire.SetDataRequest{Path: "/ann", Version: -1}); a.Err != want {
			t.Errorf("write: %v, want %v", a.Err, want)
		}
	}
	a := ann.call(wire.OpWhoAmI, nil)
	var m wire.WhoAmIResponse
	m.Decode(&a.body)
	want := []wire.ClientInfo{{Scheme: "ip", User: "127.0.0.1"}, {Scheme: "x509", User: "CN=ann"}}
	if !slices.Equal(m.Clients, want) {
		t.Errorf("ann is %v, want %v", m.Clients, want)
	}
}

// A TLS handshake that is not finished is part of the time that a client has to introduce itself.
func TestAHandshakeOfTheTransportHasADeadline(t *testing.T) {
	h := sealedHouse(t, func(c *front.Config) { c.HandshakeTimeout = 200 * time.Millisecond })
	begin := [][]byte{nil, {0x16}, {0x16, 3, 1, 0, 200, 1, 0}}
	for _, first := range begin {
		c, err := net.Dial("tcp", h.listen.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(stopTimeout))
		c.Write(first)
		var late net.Error
		if _, err := io.ReadAll(c); errors.As(err, &late) && late.Timeout() {
			t.Errorf("after %x the connection stays open", first)
		}
	}
	h.until(t, func() bool { return len(h.front.Connections()) == 0 })
	if load, _ := h.front.Figures(); load.Unspoken != int64(len(begin)) {
		t.Errorf("%d are noted as silent", load.Unspoken)
	}
	// And no longer than that: a session lives on.
	k := h.as(t, "ann")
	time.Sleep(300 * time.Millisecond)
	if a := k.create("/a", "x", 0); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
}

// A front lets go of clients behind TLS as of others.
func TestDrainingBehindTLS(t *testing.T) {
	h := sealedHouse(t, nil)
	k := h.as(t, "ann")
	ended := h.drain(t)
	k.gently()
	<-ended
}
