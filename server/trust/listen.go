package trust

import (
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ListenConfig says who is let in by a listener.
type ListenConfig struct {
	// Source is what TLS is made of. Nil: plain connections only, and TLS is closed and counted.
	Source *Source
	// Plain lets plain connections in beside TLS.
	Plain bool
	// HandshakeTimeout is how long a connection may take until it has said what it is and, if that is
	// TLS, who. Zero means 10 s.
	HandshakeTimeout time.Duration
	// SuperUser is the name of the certificate whose owner passes every check. Empty: nobody's.
	SuperUser string
	Logger    *slog.Logger
}

// Listener hands out connections that say by their first byte whether they are TLS.
type Listener struct {
	net.Listener
	cfg     ListenConfig
	server  *tls.Config // nil: no TLS
	secured atomic.Int64
	refused [reasons]refusals
}

// reason is why a connection was closed before anything was read from it.
type reason int

const (
	plainBytes reason = iota // on a port that is for TLS
	tlsBytes                 // on a port that is plain
	handshake                // TLS, and it came to nothing
	silence                  // not done in time
	reasons
)

var reasonText = [reasons]string{
	plainBytes: "plain bytes where TLS is spoken", tlsBytes: "TLS where plain bytes are spoken",
	handshake: "TLS handshake failed", silence: "no handshake in time",
}

// Figures counts what came of connections.
type Figures struct {
	Secured                    int64 // handshakes that were completed
	Plain, TLS, Failed, Silent int64 // refused: plain where TLS is wanted, TLS where plain is, failed, too slow
}

// Listen wraps l. Accept never waits for what a connection says: that happens in its own first Read.
func Listen(l net.Listener, c ListenConfig) *Listener {
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = 10 * time.Second
	}
	w := &Listener{Listener: l, cfg: c}
	if c.Source != nil {
		w.server = c.Source.ServerConfig()
	}
	return w
}

// Accept returns the next connection as a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: nc, from: l}
	c.late = time.AfterFunc(l.cfg.HandshakeTimeout, c.tooLate)
	return c, nil
}

// Figures returns the counts since Listen.
func (l *Listener) Figures() Figures {
	return Figures{
		Secured: l.secured.Load(),
		Plain:   l.refused[plainBytes].count.Load(), TLS: l.refused[tlsBytes].count.Load(),
		Failed: l.refused[handshake].count.Load(), Silent: l.refused[silence].count.Load(),
	}
}

// logEvery is between two lines about the same reason: who scans ports must not write our log.
const logEvery = time.Minute

// refusals counts those of one reason, and says so now and then.
type refusals struct {
	count atomic.Int64
	mu    sync.Mutex // guards the fields below
	next  time.Time  // before it nothing is logged
	told  int64      // count at the last line
}

func (l *Listener) refuse(why reason, from net.Addr, err error) {
	r := &l.refused[why]
	count := r.count.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.After(r.next) {
		l.cfg.Logger.Warn("connection closed: "+reasonText[why], "addr", l.Addr().String(), "from", from.String(),
			"err", err, "since the last line", count-r.told)
		r.next, r.told = now.Add(logEvery), count
	}
}
