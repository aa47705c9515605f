package zoocfg

import (
	"fmt"
	"strings"
)

// TLS is what one family of ssl keys says.
type TLS struct {
	KeyStore   Store
	TrustStore Store
	ClientAuth string   // none, want or need; need if missing, as there
	Protocols  []string // TLSv1.2 and TLSv1.3 of what was listed; nil if missing
	Suites     []string // nil if missing
	AnyHost    bool     // the host of a certificate does not matter
}

// A Store is a file with keys or certificates.
type Store struct {
	Location     string // "" if missing
	Password     string
	PasswordPath string // of a file that holds it
	Type         string // PEM, PKCS12 or JKS; "" for what the name says
}

// clients are the keys of TLS for clients.
func (t *TLS) clients() []field {
	return append(t.common("ssl."),
		field{"ssl.clientAuth", t.setClientAuth},
		field{"ssl.clientHostnameVerification", unless("true", "names of clients are not checked: "+
			"say who may do what by the names of certificates, with the scheme x509")},
		field{"ssl.authProvider", onlyX509},
	)
}

// servers are the keys of TLS between servers.
func (t *TLS) servers() []field {
	return append(t.common("ssl.quorum."), field{"ssl.quorum.hostnameVerification", func(value string) error {
		t.AnyHost = strings.EqualFold(value, "false")
		return nil
	}})
}

func (t *TLS) common(family string) []field {
	list := []field{
		{family + "protocol", t.setProtocol},
		{family + "enabledProtocols", t.setProtocols},
		{family + "ciphersuites", words(&t.Suites)},
		{family + "crl", unless("true", noCRL)},
		{family + "ocsp", unless("true", noCRL)},
		{family + "tcnative.ocsp.stapling", unless("true", noCRL)},
		{family + "context.supplier.class", unless("", "classes of Java cannot be run here")},
	}
	for _, s := range []struct {
		name string
		into *Store
	}{{"keyStore", &t.KeyStore}, {"trustStore", &t.TrustStore}} {
		list = append(list,
			field{family + s.name + ".location", text(&s.into.Location)},
			field{family + s.name + ".password", text(&s.into.Password)},
			field{family + s.name + ".passwordPath", text(&s.into.PasswordPath)},
			field{family + s.name + ".type", s.into.setType},
		)
	}
	return list
}

const noCRL = "what a CA has withdrawn is not asked for over the network: " +
	"leave this out and give the list as a file, with --tls-crl and --peer-tls-crl"

// unless takes every value but the one that asks for what is not there. "" stands for all.
func unless(wanted, why string) func(string) error {
	return func(value string) error {
		if strings.EqualFold(value, wanted) || wanted == "" && value != "" {
			return fmt.Errorf("is %s: %s", value, why)
		}
		return nil
	}
}

func onlyX509(value string) error {
	if value != "x509" {
		return fmt.Errorf("is %q: certificates are judged by the scheme x509 alone", value)
	}
	return nil
}

func (t *TLS) setClientAuth(value string) error {
	switch v := strings.ToLower(value); v {
	case "none", "want", "need":
		t.ClientAuth = v
		return nil
	}
	return fmt.Errorf("is %q: must be none, want or need", value)
}

func (s *Store) setType(value string) error {
	switch v := strings.ToUpper(value); v {
	case "", "PEM", "PKCS12", "JKS":
		s.Type = v
		return nil
	}
	return fmt.Errorf("is %q: must be PEM, PKCS12 or JKS", value)
}

// setProtocol reads the name of a kind of context. It counts if no list of protocols does.
func (t *TLS) setProtocol(value string) error {
	if value == "TLS" || t.Protocols != nil {
		return nil
	}
	return t.setProtocols(value)
}

// setProtocols keeps what of a list is spoken. To leave the old ones out takes nobody's protection away.
func (t *TLS) setProtocols(value string) error {
	list := []string{}
	for name := range strings.SplitSeq(value, ",") {
		switch name = strings.TrimSpace(name); name {
		case "TLSv1.2", "TLSv1.3":
			list = append(list, name)
		case "", "TLSv1.1", "TLSv1", "SSLv3", "SSLv2Hello":
		default:
			return fmt.Errorf("is %q: %q is no protocol", value, name)
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("is %q: TLSv1.2 and TLSv1.3 are spoken, and none that is older", value)
	}
	t.Protocols = list
	return nil
}

// takeProvider knows the classes that come with ZooKeeper. Another one may have been what keeps people
// out, so a server without it must not start.
func (f *File) takeProvider(name string, p property) error {
	class := p.value[strings.LastIndexByte(p.value, '.')+1:]
	switch class {
	case "X509AuthenticationProvider", "DigestAuthenticationProvider", "IPAuthenticationProvider":
		f.Ignored = append(f.Ignored, Remark{Key: p.key, Line: p.line, Why: always})
	case "SASLAuthenticationProvider", "KeyAuthenticationProvider", "EnsembleAuthenticationProvider":
		f.Ignored = append(f.Ignored, Remark{Key: p.key, Line: p.line, Why: schemes, Weaker: true})
	default:
		return &Error{Line: p.line, Key: p.key, Why: fmt.Sprintf("is %q: %s, and classes of Java cannot be run here",
			p.value, schemes)}
	}
	return nil
}

// dangerous says why a key that is not known must stop the start: it is of a family that keeps people
// out, and to go on without it could let them in.
func dangerous(key string) string {
	for _, family := range []string{"ssl.", "sslQuorum", "secureClientPort", "X509AuthenticationProvider."} {
		if strings.HasPrefix(key, family) {
			return "is not known here, and TLS that is half understood would protect half"
		}
	}
	return ""
}
