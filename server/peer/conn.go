package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// keepAlive finds out within 20 s that the other side has vanished without a word, where nothing
// is being written.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 2 * time.Second, Count: 5}

// conn is a connection between servers, plain or not. Close closes the socket without a farewell:
// a farewell could block, and the end of a frame says all there is to say.
type conn struct {
	io.ReadWriter // what is in the frames
	socket        net.Conn
	p             *Peers
}

func (c *conn) Close() error {
	c.p.forget(c.socket)
	return nil
}

// watch reads from a connection on which nothing is to come, to learn of its end.
func (c *conn) watch() {
	var one [1]byte
	_, _ = c.Read(one[:])
	c.Close()
}

// steady is a socket whose writes fail when nothing of them is taken for a while, however long
// they take in all.
type steady struct {
	net.Conn
	patience time.Duration
}

func (s *steady) Write(b []byte) (int, error) {
	done := 0
	for {
		if err := s.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
			return done, err
		}
		n, err := s.Conn.Write(b[done:])
		done += n
		if err == nil || n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return done, err
		}
	}
}

// dial opens a connection to a server and introduces us. The rest of h is filled in.
func (p *Peers) dial(ctx context.Context, h hello) (*conn, error) {
	me := *p.me.Load()
	h.version, h.cluster, h.from = version, me.cluster, me.node
	if me.cluster == 0 && h.channel != asks {
		return nil, fmt.Errorf("%w: our cluster is not known yet", ErrStopped)
	}
	address, ok := p.cfg.Address(h.id)
	if !ok {
		return nil, fmt.Errorf("%w: server %d", ErrUnknown, h.id)
	}
	c, err := p.reach(ctx, address, &h, me)
	if err != nil {
		p.failed(ctx, &h, address, err)
		return nil, fmt.Errorf("dial server %d: %w", h.id, err)
	}
	return c, nil
}

// failed logs why a server could not be reached, and passes on that it refused us.
func (p *Peers) failed(ctx context.Context, h *hello, address string, err error) {
	if ctx.Err() != nil {
		return
	}
	reason := "unreachable"
	var refused *RefusedError
	if errors.As(err, &refused) {
		reason = refused.Code.String()
		p.totals.refusals.Add(1)
		p.cfg.Refused(h.id, refused)
	}
	if p.refusals.first(time.Now(), address, reason) {
		p.cfg.Logger.Warn("server does not talk to us", "peer", h.id, "address", address,
			"channel", h.channel.String(), "error", err,
			"self", h.from, "cluster", h.cluster, "to", h.to)
	}
}

func (p *Peers) reach(ctx context.Context, address string, h *hello, me identity) (*conn, error) {
	socket, err := p.connect(ctx, address)
	if err != nil {
		return nil, err
	}
	if !p.track(socket) {
		socket.Close()
		return nil, ErrStopped
	}
	c := &conn{socket: socket, p: p}
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	if err := p.introduce(ctx, c, address, h, me); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// connect dials an address. When its name cannot be resolved, the one that it had last is tried:
// a name service that is down is no reason to stop talking.
func (p *Peers) connect(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: p.cfg.Limits.DialTimeout, KeepAliveConfig: keepAlive}
	socket, err := d.DialContext(ctx, "tcp", address)
	var unresolved *net.DNSError
	if errors.As(err, &unresolved) {
		if former := p.formerly(address); former != "" {
			return d.DialContext(ctx, "tcp", former)
		}
	}
	return socket, err
}

func (p *Peers) formerly(address string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.former[address]
}

// remember keeps where an address led. The addresses are those of the members, past ones too; a
// table that has grown beyond reason is begun anew.
func (p *Peers) remember(address string, at net.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.former) >= 1024 {
		clear(p.former)
	}
	p.former[address] = at.String()
}

func (p *Peers) introduce(ctx context.Context, c *conn, address string, h *hello, me identity) error {
	deadline := time.Now().Add(p.cfg.Limits.HandshakeTimeout)
	if err := c.socket.SetDeadline(deadline); err != nil {
		return err
	}
	c.ReadWriter = &steady{c.socket, p.cfg.Limits.StallTimeout}
	if p.cfg.TLS != nil {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		cfg := p.cfg.TLS.Client().Clone()
		cfg.ServerName = host
		secure := tls.Client(&steady{c.socket, p.cfg.Limits.StallTimeout}, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		c.ReadWriter = secure
	}
	if _, err := c.Write(h.append(nil)); err != nil {
		return err
	}
	w, err := readWelcome(c)
	if err != nil {
		return fmt.Errorf("welcome: %w", whole(err))
	}
	if err := me.accept(h, &w); err != nil {
		return err
	}
	p.remember(address, c.socket.RemoteAddr())
	return c.socket.SetDeadline(time.Time{})
}

// ended says whether err is how reading ends when the other side's process ends, or closes.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
