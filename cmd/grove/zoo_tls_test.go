package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grovekeeper/grove/server/trust"
)

func TestTLSByFlags(t *testing.T) {
	s := mustGather(t, sources{flags: map[string]string{
		"tls-cert": "a.pem", "tls-key": "a.key", "tls-ca": "ca.pem", "tls-addrs": ":2281,[::1]:2282",
		"peer-tls-cert": "p.p12", "peer-tls-ca": "ca.pem", "peer-tls-cert-password-file": "p.pw",
	}})
	if diff := cmp.Diff(trust.Files{Cert: "a.pem", Key: "a.key", CA: "ca.pem"}, s.TLS); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(trust.Files{Cert: "p.p12", CertPasswordFile: "p.pw", CA: "ca.pem"}, s.PeerTLS); diff != "" {
		t.Error(diff)
	}
	if len(s.ClientAddrs) != 0 || len(s.TLSAddrs) != 2 {
		t.Errorf("clients on %v, with TLS on %v; want the latter alone", s.ClientAddrs, s.TLSAddrs)
	}
}

func TestTLSOfAZooCfg(t *testing.T) {
	s := mustGather(t, zooFile(`
secureClientPort=2281
ssl.keyStore.location=/k.jks
ssl.keyStore.password=secret
ssl.trustStore.location=/t.jks
sslQuorum=true
ssl.quorum.keyStore.location=/q.jks
ssl.quorum.trustStore.location=/q.jks
`))
	want := trust.Files{Cert: "/k.jks", CertPassword: "secret", CA: "/t.jks", ClientAuth: trust.Need}
	if diff := cmp.Diff(want, s.TLS); diff != "" {
		t.Error(diff)
	}
	if s.PeerTLS.Cert != "/q.jks" || strings.Join(s.TLSAddrs, " ") != ":2281" || len(s.ClientAddrs) != 0 {
		t.Errorf("peers %v, TLS on %v, plain on %v", s.PeerTLS, s.TLSAddrs, s.ClientAddrs)
	}
	if text := s.TLS.String(); strings.Contains(text, "secret") {
		t.Errorf("shows a password: %s", text)
	}
}

func TestHalfOfTLSIsRefused(t *testing.T) {
	flags := func(pairs ...string) sources {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return sources{flags: m}
	}
	for _, test := range []struct {
		from sources
		want string
	}{
		{flags("tls-addrs", ":1"), `--tls-cert is "": must be a certificate, for TLS to be spoken`},
		{flags("tls-port-unification", "true"), `--tls-cert is "": must be a certificate`},
		{flags("tls-cert", "a"), "--tls-addrs is empty: must be given"},
		{flags("tls-ca", "a"), `--tls-ca is "a": must be with a certificate of the server`},
		{flags("tls-addrs", "here", "tls-cert", "a"), `--tls-addrs is "here": must be host:port`},
		{flags("tls-addrs", ":1", "tls-cert", "a", "tls-client-auth", "maybe"), `--tls-client-auth is "maybe": must be none, want or need`},
		{flags("tls-addrs", ":1", "tls-cert", "a", "tls-client-auth", "want"), `--tls-ca is "": must be given`},
		{flags("tls-addrs", ":1", "tls-cert", "a", "tls-protocols", "TLSv1.1"), `--tls-protocols is "TLSv1.1": must be TLSv1.2 or TLSv1.3`},
		{flags("tls-addrs", ":1", "tls-cert", "a", "tls-cipher-suites", "RC4"), `--tls-cipher-suites is "RC4": must be one of TLS_`},
		{flags("tls-addrs", ":1", "tls-cert", "a", "x509-super-user", "CN=a"), `--x509-super-user is "CN=a": must be with a CA`},
		{flags("peer-tls-cert", "a"), `--peer-tls-ca is "": must be given`},
		{flags("peer-tls-ca", "a"), `--peer-tls-ca is "a": must be with a certificate`},
		{zooFile("secureClientPort=1"), `zoo.cfg: ssl.keyStore.location is "": must be a certificate`},
		{zooFile("secureClientPort=1\nssl.keyStore.location=a"), `zoo.cfg: ssl.trustStore.location is "": must be given`},
		{zooFile("sslQuorum=true"), "zoo.cfg: sslQuorum is true: ssl.quorum.keyStore.location must say"},
		{zooFile("dataDir=a\nssl.keystore.location=b"), "zoo.cfg: line 2: ssl.keystore.location: is not known here"},
	} {
		_, err := test.from.gather()
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v\n got %v\nwant %s", test.from, err, test.want)
		}
	}
}
