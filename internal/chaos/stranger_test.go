//go:build linux

package chaos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	servers "github.com/grovekeeper/grove/interop/process"
)

const (
	strangerMax = 3 * time.Second // how long a stranger is left at it
	refusal     = "server refused"
)

// unharmed does something to the peers of two servers that serve, under load, and sees that no client of theirs
// notices, and that they have logged the given words: now, or for another that came from there a moment ago.
func unharmed(t *testing.T, c *servers.Cluster, name string, do func(), words ...string) {
	t.Helper()
	serving := c.Members[:2]
	stop := writers(t, c.Addrs()[:2], name)
	do()
	stop()
	said := ""
	for _, m := range serving {
		log, err := m.Log()
		if err != nil {
			t.Fatal(err)
		}
		said += log
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%s: nobody has logged %q:\n%s", name, word, said)
		}
	}
}

// notReady runs a process that must not come to serve, and ends it.
func notReady(t *testing.T, what string, m *servers.Member) {
	t.Helper()
	if err := m.Launch(); err != nil {
		t.Fatal(err)
	}
	if err := m.Ready(strangerMax); err == nil {
		t.Errorf("%s: it serves", what)
	}
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
}

// A server of another cluster is refused by everybody, and so is one that tries to be somebody else's number.
func TestStrangerOfAnotherCluster(t *testing.T) {
	theirs := quorum(t, 3)
	if err := theirs.Kill(); err != nil {
		t.Fatal(err)
	}
	ours := &servers.Cluster{} // at the same addresses, with directories of their own
	for _, m := range theirs.Members {
		twin := *m
		twin.Dir = filepath.Join(t.TempDir(), "data")
		twin.LogFile = twin.Dir + ".log"
		ours.Members = append(ours.Members, &twin)
	}
	t.Cleanup(func() {
		if err := ours.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err := ours.Start(); err != nil {
		t.Fatal(err)
	}
	third := ours.Members[2]
	if err := third.Kill(); err != nil {
		t.Fatal(err)
	}
	stranger := *third // where the third was, with the directory of another cluster's third
	stranger.Dir, stranger.LogFile = theirs.Members[2].Dir, theirs.Members[2].LogFile
	unharmed(t, ours, "cluster", func() { notReady(t, "a server of another cluster", &stranger) }, refusal, "its cluster")
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	same(t, ours.Members...)
}

// Who has no certificate of the right authority, or one for another host, is refused; so is who speaks plain.
func TestStrangerWithAWrongCertificate(t *testing.T) {
	dir := t.TempDir()
	authority, other := newAuthority(t, dir, "ours"), newAuthority(t, dir, "other")
	good := authority.flags(t, "good", servers.Loopback)
	c := quorum(t, 3, good...)
	create(t, c.Addrs()[0], "/with-certificates")
	third := c.Members[2]
	if err := third.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		what  string
		flags []string
		words []string
	}{
		{"a certificate of another authority", other.flags(t, "foreign", servers.Loopback), nil},
		{"another authority, ours believed", append(other.flags(t, "mixed", servers.Loopback)[:4:4], good[4:]...), []string{refusal}},
		{"a certificate for another host", append(authority.flags(t, "elsewhere", "127.0.0.77")[:4:4], good[4:]...), []string{refusal}},
		{"no certificate", nil, []string{refusal}},
	} {
		t.Run(one.what, func(t *testing.T) {
			stranger := *third
			stranger.Dir = filepath.Join(t.TempDir(), "data")
			stranger.LogFile = stranger.Dir + ".log"
			stranger.Flags = append(superFlags(), one.flags...)
			name := strings.ReplaceAll(one.what, " ", "-")
			unharmed(t, c, name, func() { notReady(t, one.what, &stranger) }, one.words...)
		})
	}
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	same(t, c.Members...)
}

// authority signs certificates for servers.
type authority struct {
	dir, name string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir, name: name}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.sign(t, name+"-ca", a.cert, nil)
	return a
}

// sign makes a key and a certificate for it, in files of that name.
func (a *authority) sign(t *testing.T, file string, template *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{
		".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(a.dir, file+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// flags makes a certificate for a server on that host, and returns how the server is told of it.
func (a *authority) flags(t *testing.T, file, host string) []string {
	t.Helper()
	a.sign(t, file, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.key)
	at := func(name string) string { return filepath.Join(a.dir, name) }
	return []string{
		"--peer-tls-cert", at(file + ".pem"), "--peer-tls-key", at(file + ".key"), "--peer-tls-ca", at(a.name + "-ca.pem"),
	}
}

// A server that sends rubbish, and one that introduces itself well and then sends a frame that is not whole, lose
// their connection, and nobody else anything.
func TestStrangerWithCorruptFrames(t *testing.T) {
	c := quorum(t, 3)
	third := c.Members[2]
	cluster, node, err := askWho(third.Peer, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Kill(); err != nil {
		t.Fatal(err)
	}
	rubbish := make([]byte, 64<<10)
	rand.Read(rubbish)
	unharmed(t, c, "rubbish", func() {
		for _, m := range c.Members[:2] {
			for _, b := range [][]byte{rubbish, {0x7f, 0xff, 0xff, 0xff}, []byte("GET / HTTP/1.1\r\n\r\n"), []byte(peerMagic)} {
				if err := closedAfter(m.Peer, b); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for name, spoil := range map[string]func(frame []byte){
		"checksum": func(frame []byte) { frame[len(frame)-1] ^= 1 },
		"length":   func(frame []byte) { frame[0] = 0x7f },
		"kind":     func(frame []byte) { reframe(frame, 99) },
		"body":     func(frame []byte) { reframe(frame, 3) },
	} {
		unharmed(t, c, name, func() {
			for i, m := range c.Members[:2] {
				b := hello(uint8(i+1), cluster, node)
				begin := len(b)
				b = append(b, peerFrame(4, rubbish[:1000])...)
				spoil(b[begin:])
				if err := closedAfter(m.Peer, b); err != nil {
					t.Error(err)
				}
			}
		}, "corrupt frame")
	}
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	same(t, c.Members...)
}

// closedAfter sends bytes and waits until the server has closed the connection.
func closedAfter(addr string, b []byte) error {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write(b); err != nil {
		return nil // it was closed before all was sent
	}
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		return nil
	}
	_, err = io.Copy(io.Discard, nc)
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		return fmt.Errorf("%s keeps a connection after %.20q", addr, b)
	}
	return nil
}

// The hello of one server to another: see server/peer.
const peerMagic = "\xf6GROVE\x00\x01"

func hello(to uint8, cluster, from uint64) []byte {
	body := []byte{0, 1, 1, to} // version, urgent channel
	for _, v := range []uint64{cluster, from, 0, 0} {
		body = binary.BigEndian.AppendUint64(body, v)
	}
	return append([]byte(peerMagic), peerFrame(1, body)...)
}

const peerHead = 12

func peerFrame(kind uint8, body []byte) []byte {
	frame := append(make([]byte, peerHead), body...)
	reframe(frame, kind)
	return frame
}

// reframe makes the head of a frame right again, with another kind.
func reframe(frame []byte, kind uint8) {
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-peerHead))
	frame[4] = kind
	check := crc32.Checksum(frame[:5], table)
	frame[5], frame[6], frame[7] = byte(check>>16), byte(check>>8), byte(check)
	binary.BigEndian.PutUint32(frame[8:], crc32.Checksum(frame[peerHead:], table))
}

// askWho introduces itself badly to a server, whose refusal says who it is.
func askWho(addr string, id uint8) (cluster, node uint64, err error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return 0, 0, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write(hello(id, 1, 1)); err != nil {
		return 0, 0, err
	}
	answer := make([]byte, len(peerMagic)+peerHead+19)
	if _, err := io.ReadFull(nc, answer); err != nil {
		return 0, 0, err
	}
	body := answer[len(peerMagic)+peerHead:]
	return binary.BigEndian.Uint64(body[3:]), binary.BigEndian.Uint64(body[11:]), nil
}
