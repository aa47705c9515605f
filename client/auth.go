package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/grovekeeper/grove/internal/wire"
)

// Credential proves an identity. All credentials of a client are told anew on every connection, before
// any operation; a server that refuses one ends the client with ErrAuthFailed.
type Credential struct {
	Scheme string // "digest", or another that the server knows
	// Data is called for every connection, so a credential may change. It must not wait beyond ctx.
	Data func(ctx context.Context) ([]byte, error)
}

// Digest is the identity of a user with a password.
func Digest(user, password string) Credential {
	data := []byte(user + ":" + password)
	return Credential{"digest", func(context.Context) ([]byte, error) { return data, nil }}
}

// WithAuth adds credentials.
func WithAuth(list ...Credential) Option {
	return func(c *Config) { c.Auth = append(c.Auth, list...) }
}

// WithTLS makes every connection a TLS connection. A config without a ServerName is given the name of
// each server. Certificates that are to be loaded anew are a matter of tls.Config's functions.
func WithTLS(config *tls.Config) Option { return func(c *Config) { c.TLS = config } }

// secret is a credential as it is told.
type secret struct {
	scheme string
	data   []byte
}

// secrets asks for all credentials.
func (c *Config) secrets(ctx context.Context) ([]secret, error) {
	var list []secret
	for _, cred := range c.Auth {
		data, err := cred.Data(ctx)
		if err != nil {
			return nil, fmt.Errorf("credential %s: %w", cred.Scheme, err)
		}
		list = append(list, secret{cred.Scheme, data})
	}
	return list, nil
}

// secure runs the handshake of TLS, if that is wanted.
func (c *Config) secure(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	if c.TLS == nil {
		return conn, nil
	}
	config := c.TLS
	if config.ServerName == "" && !config.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	safe := tls.Client(conn, config)
	if err := safe.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return safe, nil
}

// prove tells who we are, before anything else is sent. Calls wait until that is accepted: if it is not,
// they were never sent.
func (k *core) prove() {
	for _, s := range k.link.secrets {
		k.link.control = wire.AppendRequest(k.link.control, wire.XidAuth, wire.OpAuth,
			&wire.AuthRequest{Scheme: s.scheme, Auth: s.data})
	}
	k.link.proving = len(k.link.secrets)
	k.link.secrets = nil
}

// proved takes the answer to a credential. One that is refused will be refused everywhere: to go on
// without it would mean other rights than the caller thinks.
func (k *core) proved(h wire.ReplyHeader) error {
	if k.link.proving == 0 {
		return fmt.Errorf("%w: no credential was shown", ErrProtocol)
	}
	if h.Err != wire.CodeOK {
		k.stop(ErrAuthFailed)
		return ErrAuthFailed
	}
	if k.link.proving--; k.link.proving == 0 {
		k.tell(Connected, nil)
	}
	return nil
}

// Sub returns a client that sees only what is below path, as if path were the root. It shares the
// session: closing either closes both.
func (c *Client) Sub(path string) (*Client, error) {
	if err := checkPath(path, false); err != nil {
		return nil, misuse("sub", path, err)
	}
	if path == "/" {
		return c, nil
	}
	return &Client{root: absolute(c.root, path), shell: c.shell}, nil
}
