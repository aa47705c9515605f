package server

import (
	"errors"
	"strconv"

	"github.com/grovekeeper/grove/server/trust"
)

// validateTrust holds what is said about TLS to itself. A certificate that nobody would ever be shown
// is a mistake, and one that leaves an operator believing in something.
func (c Config) validateTrust() error {
	for _, addr := range c.TLSAddrs {
		if !addrForm(addr) {
			return &ConfigError{"TLSAddrs", strconv.Quote(addr), addrLimit}
		}
	}
	spoken := len(c.TLSAddrs) > 0 || c.TLSPortUnification
	switch {
	case spoken && !c.TLS.Set():
		return &ConfigError{"TLS.Cert", `""`, "a certificate, for TLS to be spoken"}
	case !spoken && c.TLS.Set():
		return &ConfigError{"TLSAddrs", "empty", "given, or TLS taken on the client addresses, to show the certificate"}
	case c.X509SuperUser != "" && c.TLS.CA == "":
		return &ConfigError{"X509SuperUser", strconv.Quote(c.X509SuperUser), "with a CA that has signed its certificate"}
	case c.PeerTLS.Set() && c.PeerTLS.CA == "":
		return &ConfigError{"PeerTLS.CA", `""`, "given: servers judge each other"}
	}
	return errors.Join(filesError("TLS", c.TLS.Validate()), filesError("PeerTLS", c.PeerTLS.Validate()))
}

// filesError names a field of trust.Files as one of Config.
func filesError(of string, err error) error {
	var detail *trust.FilesError
	if errors.As(err, &detail) {
		return &ConfigError{of + "." + detail.Field, strconv.Quote(detail.Value), detail.Limit}
	}
	return err
}
