package server

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/grovekeeper/grove/server/peer"
	"github.com/grovekeeper/grove/server/trust"
)

// doors are the addresses that a server listens on, and what it shows who comes.
type doors struct {
	clients []net.Listener
	admin   net.Listener // nil: none
	peers   net.Listener // nil: alone

	clientTrust, peerTrust *trust.Source // nil: plain
}

// open binds the addresses; peers may be empty.
func (d *doors) open(cfg Config, peers string) (err error) {
	if d.clientTrust, err = source(cfg.TLS, cfg.Logger); err != nil {
		return fmt.Errorf("TLS for clients: %w", err)
	}
	if d.peerTrust, err = source(cfg.PeerTLS, cfg.Logger); err != nil {
		return fmt.Errorf("TLS between servers: %w", err)
	}
	for _, addr := range cfg.ClientAddrs {
		if err := d.openClients(cfg, addr, true, cfg.TLSPortUnification); err != nil {
			return err
		}
	}
	for _, addr := range cfg.TLSAddrs {
		if err := d.openClients(cfg, addr, false, true); err != nil {
			return err
		}
	}
	if d.admin, err = listen(cfg.AdminAddr, "administration"); err != nil {
		return err
	}
	d.peers, err = listen(peers, "other servers")
	return err
}

func source(f trust.Files, log *slog.Logger) (*trust.Source, error) {
	if !f.Set() {
		return nil, nil
	}
	return trust.New(f, log)
}

// openClients binds one address for clients.
func (d *doors) openClients(cfg Config, addr string, plain, secure bool) error {
	l, err := listen(addr, "clients")
	if err != nil {
		return err
	}
	if secure && d.clientTrust != nil {
		l = trust.Listen(l, trust.ListenConfig{
			Source: d.clientTrust, Plain: plain, SuperUser: cfg.X509SuperUser, Logger: cfg.Logger,
			HandshakeTimeout: time.Duration(cfg.HandshakeTimeoutMs) * time.Millisecond,
		})
	}
	d.clients = append(d.clients, l)
	return nil
}

// listen binds addr, or nothing if it is empty.
func listen(addr, whom string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", whom, err)
	}
	return l, nil
}

// peerTLS is how connections between servers are secured, nil if they are not.
func (d *doors) peerTLS() *peer.TLS {
	if d.peerTrust == nil {
		return nil
	}
	return &peer.TLS{Server: d.peerTrust.ServerConfig(), Client: d.peerTrust.ClientConfig}
}

// close closes all that is open; what Run served is closed already.
func (d *doors) close() {
	for _, l := range append(d.clients, d.admin, d.peers) {
		if l != nil {
			l.Close()
		}
	}
}

// Addrs returns where clients connect: the plain addresses in the order of Config.ClientAddrs, then
// those of Config.TLSAddrs.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.doors.clients))
	for i, l := range s.doors.clients {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Addr returns the first of Addrs.
func (s *Server) Addr() net.Addr { return s.doors.clients[0].Addr() }
