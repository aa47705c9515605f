package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// accept takes connections until ctx ends.
func (p *Peers) accept(ctx context.Context) error {
	openings := make(chan struct{}, p.cfg.Limits.OpeningsMax)
	pause := time.Duration(0)
	for {
		socket, err := p.cfg.Listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				socket.Close()
			}
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accept: %w", err)
			}
			// Out of file descriptors, most likely: it passes.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			p.cfg.Logger.Warn("cannot accept servers", "error", err, "pause", pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		p.admit(socket, openings)
	}
}

// admit starts serving a connection if there is room for it.
func (p *Peers) admit(socket net.Conn, openings chan struct{}) {
	select {
	case openings <- struct{}{}:
	default:
		p.refuse(&visitor{socket: socket}, "too many handshakes", nil)
		socket.Close()
		return
	}
	if p.totals.inlets.Add(1) > int64(p.cfg.Limits.ConnectionsMax) {
		p.totals.inlets.Add(-1)
		<-openings
		p.refuse(&visitor{socket: socket}, "too many connections", nil)
		socket.Close()
		return
	}
	p.totals.accepted.Add(1)
	started := p.start("peer inlet", func(ctx context.Context) {
		defer p.totals.inlets.Add(-1)
		v, ok := p.handshake(ctx, socket)
		<-openings
		if ok {
			p.serve(ctx, v)
		}
		if v.place != nil {
			p.leave(v)
		}
		if v.c != nil {
			v.c.Close()
		}
	})
	if !started {
		p.totals.inlets.Add(-1)
		socket.Close()
	}
}

// visitor is who has connected to us.
type visitor struct {
	hello
	c      *conn
	socket net.Conn
	secure *tls.Conn // nil: plain
	place  *inlet    // nil: there may be several of its kind
}

// handshake does the handshake. Whatever is wrong with it, nobody else is concerned.
func (p *Peers) handshake(ctx context.Context, socket net.Conn) (*visitor, bool) {
	v := &visitor{socket: socket}
	if !p.track(socket) {
		socket.Close()
		return v, false
	}
	v.c = &conn{socket: socket, p: p}
	reason, err := p.receive(ctx, v)
	if reason != "" {
		p.refuse(v, reason, err)
		return v, false
	}
	return v, err == nil
}

// receive reads the hello of v and answers it. The reason says why v was refused; an error without
// one means that v went away.
func (p *Peers) receive(ctx context.Context, v *visitor) (reason string, err error) {
	if tcp, ok := v.socket.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // without it, the end of a peer is noticed later
	}
	if err := v.socket.SetDeadline(time.Now().Add(p.cfg.Limits.HandshakeTimeout)); err != nil {
		return "", err
	}
	v.c.ReadWriter = &steady{v.socket, p.cfg.Limits.StallTimeout}
	if p.cfg.TLS != nil {
		v.secure = tls.Server(&steady{v.socket, p.cfg.Limits.StallTimeout}, p.cfg.TLS.Server)
		if err := v.secure.HandshakeContext(ctx); err != nil {
			return "no TLS", err
		}
		v.c.ReadWriter = v.secure
	}
	if v.hello, err = readHello(v.c); err != nil {
		return unfit(err), err
	}
	me := *p.me.Load()
	code, err := p.judge(me, v)
	if code == Welcome && v.channel < asks {
		p.supersede(v) // before the welcome: who is welcome is the newest of its kind
	}
	w := welcome{version: version, code: code, cluster: me.cluster, node: me.node}
	if _, err := v.c.Write(w.append(nil)); err != nil {
		return "", err
	}
	if code != Welcome {
		return code.String(), err
	}
	return "", v.socket.SetDeadline(time.Time{})
}

// unfit says in a word what is wrong with a hello, so that different things are logged.
func unfit(err error) string {
	switch {
	case errors.Is(err, errPlainTLS):
		return "speaks TLS"
	case errors.Is(err, errMagic):
		return "speaks another protocol"
	case corrupt(err):
		return "malformed hello"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "says nothing"
	default:
		return "went away"
	}
}

// judge decides whether v may do what it came for.
func (p *Peers) judge(me identity, v *visitor) (Code, error) {
	if code := me.judge(&v.hello); code != Welcome {
		return code, nil
	}
	if err := p.proven(v); err != nil {
		return Unproven, err
	}
	switch {
	case v.channel < urgent || v.channel > image:
		return WrongChannel, nil
	case v.channel == asks || p.cfg.Allowed(v.from):
		return Welcome, nil
	case p.cfg.Removed(v.from):
		return Removed, nil
	default:
		return NotMember, nil
	}
}

// proven checks that the certificate of v is for the server that v says it is. Whether it is one of
// this cluster's was seen by TLS itself.
func (p *Peers) proven(v *visitor) error {
	if v.secure == nil {
		return nil
	}
	state := v.secure.ConnectionState()
	if len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return errors.New("no verified certificate")
	}
	hosts := p.cfg.Host(uint8(v.from))
	if len(hosts) == 0 {
		return nil // in no table: to be in it is what it will ask for
	}
	var err error
	for _, host := range hosts {
		if err = state.PeerCertificates[0].VerifyHostname(host); err == nil {
			return nil
		}
	}
	return err
}

// refuse logs and counts a connection that was not taken.
func (p *Peers) refuse(v *visitor, reason string, err error) {
	p.totals.refusals.Add(1)
	remote := v.socket.RemoteAddr().String()
	host, _, _ := net.SplitHostPort(remote)
	if !p.refusals.first(time.Now(), fmt.Sprint(host, " ", uint8(v.from)), reason) {
		return
	}
	me := p.me.Load()
	attrs := []any{"remote", remote, "reason", reason, "self", me.node, "cluster", me.cluster}
	if v.version != 0 {
		attrs = append(attrs, "peer", v.from, "its cluster", v.cluster, "to", v.to, "to server", v.id,
			"its version", v.hello.version, "channel", v.channel.String())
	}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	p.cfg.Logger.Warn("server refused", attrs...)
}
