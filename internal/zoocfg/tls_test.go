package zoocfg

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTLS(t *testing.T) {
	f := parse(t, `
secureClientPort=2281
secureClientPortAddress=[::1]
client.portUnification=true
serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider
X509AuthenticationProvider.superUser=CN=root,O=Grove
ssl.keyStore.location=/etc/zk/server.jks
ssl.keyStore.password=s3cret
ssl.keyStore.type=JKS
ssl.trustStore.location=/etc/zk/trust.p12
ssl.trustStore.passwordPath=/etc/zk/trust.pw
ssl.clientAuth=WANT
ssl.protocol=TLSv1.3
ssl.enabledProtocols=TLSv1.2,TLSv1.1
zookeeper.ssl.ciphersuites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384
ssl.crl=false
ssl.hostnameVerification=true
sslQuorum=true
ssl.quorum.keyStore.location=/etc/zk/peer.pem
ssl.quorum.trustStore.location=/etc/zk/ca.pem
ssl.quorum.trustStore.type=pem
ssl.quorum.hostnameVerification=false
`)
	if addr := f.SecureClientAddr(); addr != "[::1]:2281" {
		t.Errorf("TLS on %s", addr)
	}
	if s := f.Security; !s.PortUnification || !s.SSLQuorum || s.X509SuperUser != "CN=root,O=Grove" {
		t.Errorf("%+v", s)
	}
	want := TLS{
		KeyStore:   Store{Location: "/etc/zk/server.jks", Password: "s3cret", Type: "JKS"},
		TrustStore: Store{Location: "/etc/zk/trust.p12", PasswordPath: "/etc/zk/trust.pw"},
		ClientAuth: "want", Protocols: []string{"TLSv1.2"},
		Suites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"},
	}
	if diff := cmp.Diff(want, f.TLS); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
	want = TLS{
		KeyStore: Store{Location: "/etc/zk/peer.pem"}, TrustStore: Store{Location: "/etc/zk/ca.pem", Type: "PEM"}, AnyHost: true,
	}
	if diff := cmp.Diff(want, f.QuorumTLS); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
	for _, r := range f.Ignored {
		if r.Weaker {
			t.Errorf("%s is said to protect nothing", r.Key)
		}
	}
}

// Half of a protection looks like all of it: what could be such a half stops the start.
func TestWhatCouldKeepPeopleOutIsUnderstoodOrRefused(t *testing.T) {
	for text, want := range map[string]string{
		"ssl.crl=true":                              "line 1: ssl.crl: is true: what a CA has withdrawn is not asked for over the network",
		"ssl.quorum.ocsp=true":                      "line 1: ssl.quorum.ocsp: is true: what a CA has withdrawn",
		"ssl.context.supplier.class=a.B":            "line 1: ssl.context.supplier.class: is a.B: classes of Java cannot be run here",
		"ssl.clientHostnameVerification=true":       "line 1: ssl.clientHostnameVerification: is true: names of clients are not checked",
		"ssl.authProvider=mine":                     `line 1: ssl.authProvider: is "mine": certificates are judged by the scheme x509 alone`,
		"ssl.clientAuth=maybe":                      `line 1: ssl.clientAuth: is "maybe": must be none, want or need`,
		"ssl.keyStore.type=BCFKS":                   `line 1: ssl.keyStore.type: is "BCFKS": must be PEM, PKCS12 or JKS`,
		"ssl.enabledProtocols=TLSv1.1,TLSv1":        `line 1: ssl.enabledProtocols: is "TLSv1.1,TLSv1": TLSv1.2 and TLSv1.3 are spoken`,
		"ssl.enabledProtocols=TLSv1.2,TLSv9":        `line 1: ssl.enabledProtocols: is "TLSv1.2,TLSv9": "TLSv9" is no protocol`,
		"ssl.keystore.location=a":                   "line 1: ssl.keystore.location: is not known here",
		"zookeeper.ssl.foo=a":                       "line 1: zookeeper.ssl.foo: is not known here",
		"sslQuorumFoo=a":                            "line 1: sslQuorumFoo: is not known here",
		"X509AuthenticationProvider.clientCertId=a": "line 1: X509AuthenticationProvider.clientCertId: is not known here",
		"secureClientPortFoo=1":                     "line 1: secureClientPortFoo: is not known here",
		"secureClientPort=99999":                    "line 1: secureClientPort: is 99999: must be from 0 to 65535",
		"authProvider.1=com.example.Ours":           `line 1: authProvider.1: is "com.example.Ours": the schemes are`,
	} {
		_, err := Parse([]byte(text))
		var detail *Error
		if !errors.As(err, &detail) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want %s", text, err, want)
		}
	}
}
