package trust

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The first Read of a connection that is refused fails with one of these, or with what TLS found.
var (
	ErrPlain = errors.New("plain bytes where TLS is spoken")
	ErrTLS   = errors.New("TLS where plain bytes are spoken")
)

// Conn is a connection that finds out in its first Read or Write what it is. Until then the other one
// waits for it. What it says about itself is settled once a Read has returned bytes.
type Conn struct {
	net.Conn // the socket
	from     *Listener
	late     *time.Timer

	settle  sync.Once
	settled atomic.Bool // after it the fields below are never written again
	err     error       // why the connection was refused
	secure  *secure     // nil: plain
	mu      sync.Mutex  // guards head
	head    []byte      // the first bytes of a plain connection, until they are read
	closed  atomic.Bool
}

// secure is what only a TLS connection has.
type secure struct {
	*tls.Conn
	name string // of the certificate, if one was shown
}

// tlsRecord is the first byte of every TLS connection. As the first byte of a length it would mean a
// request of 350 MB, and no word begins with it.
const tlsRecord = 0x16

// headBytesMax is room for what most clients say first.
const headBytesMax = 512

// Read reads what the client means, deciphered.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.settled.Load() {
		c.settle.Do(c.open)
	}
	if c.err != nil {
		return 0, c.err
	}
	if c.secure != nil {
		return c.secure.Read(p)
	}
	if n := c.takeHead(p); n > 0 {
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *Conn) takeHead(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := copy(p, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n
}

// Write writes to the client, enciphered. It waits for the handshake.
func (c *Conn) Write(p []byte) (int, error) {
	if !c.settled.Load() {
		c.settle.Do(c.open)
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case c.secure != nil:
		return c.secure.Write(p)
	}
	return c.Conn.Write(p)
}

// open reads the first bytes and does what they ask for.
func (c *Conn) open() {
	c.err = c.sniff()
	if !c.late.Stop() && c.err == nil {
		c.err = errLate // the socket is closed, or will be in a moment
	}
	if c.err != nil {
		c.Conn.Close()
	}
	c.settled.Store(true)
}

func (c *Conn) sniff() error {
	head := make([]byte, headBytesMax)
	n, err := c.Conn.Read(head)
	if n == 0 {
		return err
	}
	head = head[:n]
	l := c.from
	switch isTLS := head[0] == tlsRecord; {
	case isTLS && l.server == nil:
		l.refuse(tlsBytes, c.RemoteAddr(), ErrTLS)
		return ErrTLS
	case !isTLS && l.server != nil && !l.cfg.Plain:
		l.refuse(plainBytes, c.RemoteAddr(), ErrPlain)
		return ErrPlain
	case !isTLS:
		c.head = head
		return nil
	}
	return c.shake(head)
}

// shake does the handshake on what was already read and the rest.
func (c *Conn) shake(head []byte) error {
	t := tls.Server(&socket{Conn: c.Conn, head: bytes.NewReader(head), owner: c}, c.from.server)
	if err := t.Handshake(); err != nil {
		if !c.closed.Load() { // else it is our own doing
			c.from.refuse(handshake, c.RemoteAddr(), err)
		}
		return fmt.Errorf("TLS handshake: %w", err)
	}
	s := &secure{Conn: t}
	if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
		s.name = Name(certs[0])
	}
	c.secure = s
	c.from.secured.Add(1)
	return nil
}

var errLate = errors.New("no handshake in time")

// tooLate closes a connection that has not settled. Whoever waits in Read is woken.
func (c *Conn) tooLate() {
	if c.closed.CompareAndSwap(false, true) {
		c.from.refuse(silence, c.RemoteAddr(), errLate)
	}
	c.Conn.Close()
}

// socket gives the bytes that were read to find out back to TLS, and keeps its farewell short.
type socket struct {
	net.Conn
	head  *bytes.Reader
	owner *Conn
	brief atomic.Int64 // ns a write may take at most; 0: as long as it is told
}

func (s *socket) Read(p []byte) (int, error) {
	if s.head.Len() > 0 {
		return s.head.Read(p)
	}
	return s.Conn.Read(p)
}

// SetWriteDeadline bounds what crypto/tls takes for its farewell, five seconds: Close must not wait for
// a client that takes nothing.
func (s *socket) SetWriteDeadline(t time.Time) error {
	if brief := s.brief.Load(); brief > 0 {
		if limit := time.Now().Add(time.Duration(brief)); t.IsZero() || t.After(limit) {
			t = limit
		}
	}
	return s.Conn.SetWriteDeadline(t)
}

// How long a farewell may take.
const (
	closeMax      = 5 * time.Millisecond
	closeWriteMax = 500 * time.Millisecond
)

func (s *secure) within(d time.Duration) { s.NetConn().(*socket).brief.Store(int64(d)) }

// Close closes the connection; a TLS client is told if it takes that at once.
func (c *Conn) Close() error {
	c.late.Stop()
	c.closed.Store(true)
	if c.settled.Load() && c.secure != nil {
		c.secure.within(closeMax)
		return c.secure.Close()
	}
	return c.Conn.Close() // whoever is in the handshake is woken
}

// CloseWrite says that nothing more comes.
func (c *Conn) CloseWrite() error {
	if !c.settled.Load() || c.err != nil {
		return net.ErrClosed
	}
	if c.secure != nil {
		c.secure.within(closeWriteMax)
		if err := c.secure.CloseWrite(); err != nil {
			return err
		}
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetLinger is the socket's.
func (c *Conn) SetLinger(sec int) error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.SetLinger(sec)
	}
	return errors.ErrUnsupported
}

// Secure tells whether the connection is TLS. It is false until a Read has returned.
func (c *Conn) Secure() bool { return c.settled.Load() && c.secure != nil }

// Peer returns the name of the certificate that the client has shown and that was found good.
func (c *Conn) Peer() (name string, ok bool) {
	if !c.Secure() || c.secure.name == "" {
		return "", false
	}
	return c.secure.name, true
}

// Identities returns who the client is by its certificate, as pairs of scheme and id: x509 with its
// name, and super if it is the super user's. Ask after the first Read has returned bytes.
func (c *Conn) Identities() [][2]string {
	name, ok := c.Peer()
	if !ok {
		return nil
	}
	ids := [][2]string{{"x509", name}}
	if name == c.from.cfg.SuperUser {
		ids = append(ids, [2]string{"super", ""})
	}
	return ids
}

// Identity returns what conn says of who is at its other end, if it can say that at all.
func Identity(conn net.Conn) [][2]string {
	if c, ok := conn.(interface{ Identities() [][2]string }); ok {
		return c.Identities()
	}
	return nil
}
