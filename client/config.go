package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// Config is what a client can be told. Its zero value is usable; Dial's options change it.
type Config struct {
	// SessionTimeout is how long the session is to survive without a connection. The server may
	// grant another: Session().Timeout. Zero means 10 s.
	SessionTimeout time.Duration

	// ConnectTimeout bounds each attempt to reach a server, up to the end of the handshake. Zero
	// means a share of SessionTimeout small enough for every server to be tried within a third of
	// it, but at least 200 ms.
	ConnectTimeout time.Duration

	// RequestTimeout bounds every operation whose context has no deadline. Zero means no bound.
	RequestTimeout time.Duration

	// ClockDrift is the share of the session's timeout that Session().Deadline leaves as a margin:
	// for clocks that run at different speed, and for servers that pass on late what they have heard.
	// Zero means 0.1; it must be below 1.
	ClockDrift float64

	// MaxInFlight is how many operations may be waiting for their answer, sent or not. Further ones
	// wait for their turn, each under its own context. Zero means 1024.
	MaxInFlight int

	// MaxPacket is the size of the largest request, in bytes. Zero means 1 MiB less one byte, which
	// is what servers accept unless told otherwise.
	MaxPacket int

	// MaxReply is the size of the largest answer, in bytes. Zero means 16 MiB. A server that sends
	// more is left.
	MaxReply int

	// Auth are the credentials that are told on every connection.
	Auth []Credential

	// TLS is what connections are made safe with. Nil means they are not.
	TLS *tls.Config

	// Ticket is a session to be continued. Its zero value means a new one.
	Ticket Ticket

	// Dialer opens connections. Nil means TCP.
	Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	// Logger is told of connections and sessions, and is quiet while nothing changes. Nil means
	// nobody.
	Logger *slog.Logger
}

// Option changes one setting of a Config.
type Option func(*Config)

// WithConfig takes all settings from c. Options after it change what it says.
func WithConfig(c Config) Option { return func(to *Config) { *to = c } }

// WithSessionTimeout sets Config.SessionTimeout.
func WithSessionTimeout(d time.Duration) Option {
	return func(c *Config) { c.SessionTimeout = d }
}

// WithConnectTimeout sets Config.ConnectTimeout.
func WithConnectTimeout(d time.Duration) Option {
	return func(c *Config) { c.ConnectTimeout = d }
}

// WithRequestTimeout sets Config.RequestTimeout.
func WithRequestTimeout(d time.Duration) Option {
	return func(c *Config) { c.RequestTimeout = d }
}

// WithMaxInFlight sets Config.MaxInFlight.
func WithMaxInFlight(n int) Option { return func(c *Config) { c.MaxInFlight = n } }

// WithDialer sets Config.Dialer.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(c *Config) { c.Dialer = dial }
}

// WithLogger sets Config.Logger.
func WithLogger(l *slog.Logger) Option { return func(c *Config) { c.Logger = l } }

const (
	sessionTimeoutDefault = 10 * time.Second
	sessionTimeoutMax     = 24 * time.Hour // fits the wire's milliseconds by far
	connectTimeoutMin     = 200 * time.Millisecond
	clockDriftDefault     = 0.1
	maxInFlightDefault    = 1024
	maxReplyDefault       = 16 << 20
	maxPacketMin          = 1 << 10
)

// complete checks c and puts the defaults in the place of zeros, for a list of so many servers.
func (c *Config) complete(servers int) error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"SessionTimeout", c.SessionTimeout},
		{"ConnectTimeout", c.ConnectTimeout},
		{"RequestTimeout", c.RequestTimeout},
	} {
		if d.value < 0 || d.value > sessionTimeoutMax {
			return fmt.Errorf("%w: %s is %v: want 0 to %v", ErrInvalidArgument, d.name, d.value, sessionTimeoutMax)
		}
	}
	for _, n := range []struct {
		name        string
		value, from int
	}{
		{"MaxInFlight", c.MaxInFlight, 1},
		{"MaxPacket", c.MaxPacket, maxPacketMin},
		{"MaxReply", c.MaxReply, maxPacketMin},
	} {
		if n.value != 0 && (n.value < n.from || n.value > 1<<30) {
			return fmt.Errorf("%w: %s is %d: want 0 or %d to %d", ErrInvalidArgument, n.name, n.value, n.from, 1<<30)
		}
	}
	if !(c.ClockDrift >= 0 && c.ClockDrift < 1) {
		return fmt.Errorf("%w: ClockDrift is %v: want 0 up to 1", ErrInvalidArgument, c.ClockDrift)
	}
	for _, a := range c.Auth {
		if a.Scheme == "" || a.Data == nil {
			return fmt.Errorf("%w: a credential without scheme or data", ErrInvalidArgument)
		}
	}
	c.fill(servers)
	return nil
}

func (c *Config) fill(servers int) {
	orDefault(&c.SessionTimeout, sessionTimeoutDefault)
	orDefault(&c.ConnectTimeout, max(c.SessionTimeout/time.Duration(3*servers), connectTimeoutMin))
	orDefault(&c.ClockDrift, clockDriftDefault)
	orDefault(&c.MaxInFlight, maxInFlightDefault)
	orDefault(&c.MaxPacket, wire.MaxFrame)
	orDefault(&c.MaxReply, maxReplyDefault)
	if c.Dialer == nil {
		c.Dialer = (&net.Dialer{}).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func orDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
