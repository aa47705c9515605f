package main

import (
	"errors"

	"github.com/grovekeeper/grove/internal/zoocfg"
	"github.com/grovekeeper/grove/server/trust"
)

// applyZooTLS puts what a zoo.cfg says about TLS where Grove keeps it. Clients must show a certificate
// unless it says otherwise, as there.
func (s *settings) applyZooTLS(name string, f *zoocfg.File) error {
	s.X509SuperUser, s.TLSPortUnification = f.Security.X509SuperUser, f.Security.PortUnification
	if addr := f.SecureClientAddr(); addr != "" {
		s.TLSAddrs = []string{addr}
		if f.ClientAddr() == "" {
			s.ClientAddrs = nil // without clientPort there is no plain one
		}
	}
	s.TLS = trustFiles(f.TLS)
	if s.TLS.ClientAuth == "" && s.TLS.Set() {
		s.TLS.ClientAuth = trust.Need
	}
	if s.TLS.Set() && len(s.TLSAddrs) == 0 && !s.TLSPortUnification {
		s.TLS = trust.Files{} // for the server's own connections to others, or forgotten
		f.Ignored = append(f.Ignored, zoocfg.Remark{
			Key: "ssl.keyStore.location", Weaker: true, Why: "there is no secureClientPort to show it on",
		})
	}
	s.zooTLSOrigins(name)
	return s.applyZooPeerTLS(f)
}

func (s *settings) applyZooPeerTLS(f *zoocfg.File) error {
	t := trustFiles(f.QuorumTLS)
	switch {
	case f.Security.SSLQuorum && !t.Set():
		return errors.New("sslQuorum is true: ssl.quorum.keyStore.location must say with which certificate")
	case f.Security.SSLQuorum:
		s.PeerTLS = t
	case t.Set():
		f.Ignored = append(f.Ignored, zoocfg.Remark{
			Key: "ssl.quorum.keyStore.location", Weaker: true, Why: "sslQuorum is not true",
		})
	}
	return nil
}

func (s *settings) zooTLSOrigins(name string) {
	from := func(field, key string) { s.origin[field] = name + ": " + key }
	from("TLSAddrs", "secureClientPort")
	from("TLSPortUnification", "client.portUnification")
	from("X509SuperUser", "X509AuthenticationProvider.superUser")
	for _, side := range []struct{ field, key string }{{"TLS.", "ssl."}, {"PeerTLS.", "ssl.quorum."}} {
		from(side.field+"Cert", side.key+"keyStore.location")
		from(side.field+"CA", side.key+"trustStore.location")
		from(side.field+"ClientAuth", side.key+"clientAuth")
		from(side.field+"CipherSuites", side.key+"ciphersuites")
	}
}

func trustFiles(t zoocfg.TLS) trust.Files {
	return trust.Files{
		Cert: t.KeyStore.Location, CertType: t.KeyStore.Type,
		CertPassword: t.KeyStore.Password, CertPasswordFile: t.KeyStore.PasswordPath,
		CA: t.TrustStore.Location, CAType: t.TrustStore.Type,
		CAPassword: t.TrustStore.Password, CAPasswordFile: t.TrustStore.PasswordPath,
		ClientAuth: t.ClientAuth, Protocols: t.Protocols, CipherSuites: t.Suites, AnyHost: t.AnyHost,
	}
}
