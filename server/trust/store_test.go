package trust

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What testdata/make.sh makes with openssl and keytool, as operators have it.
func TestCertificatesAreReadFromEveryKindOfStore(t *testing.T) {
	const pw = "changeit"
	for _, test := range []struct {
		f     Files
		name  string
		chain int
	}{
		{Files{Cert: "cert.pem", Key: "key.pem"}, "CN=server,O=Grove", 1},
		{Files{Cert: "both.pem"}, "CN=server,O=Grove", 2},
		{Files{Cert: "modern.p12", CertPassword: pw}, "CN=server,O=Grove", 2},
		{Files{Cert: "legacy.pfx", CertPassword: pw}, "CN=server,O=Grove", 2},
		{Files{Cert: "des3.p12", CertPassword: pw}, "CN=server,O=Grove", 2},
		{Files{Cert: "keytool-legacy.p12", CertPassword: pw}, "CN=server,O=Grove", 2},
		{Files{Cert: "key.jks", CertPassword: pw}, "CN=server,O=Grove", 2},
		{Files{Cert: "key12.jks", CertPassword: pw}, "CN=server,O=Grove", 2},
		{Files{Cert: "key.jks", CertType: "PKCS12", CertPassword: pw}, "CN=server,O=Grove", 2},
		{Files{Cert: "rsa.jks", CertPassword: pw}, "CN=rsa,O=Grove", 1},
	} {
		c, err := test.f.inTestdata().readCert()
		if err != nil {
			t.Errorf("%s: %v", test.f.Cert, err)
			continue
		}
		m, err := test.f.inTestdata().read()
		if err != nil {
			t.Errorf("%s: %v", test.f.Cert, err)
			continue
		}
		if name := Name(m.cert.Leaf); name != test.name || len(c.Certificate) != test.chain {
			t.Errorf("%s holds %s with a chain of %d, want %s and %d",
				test.f.Cert, name, len(c.Certificate), test.name, test.chain)
		}
	}
}

func (f Files) inTestdata() Files {
	for _, name := range []*string{&f.Cert, &f.Key, &f.CA} {
		if *name != "" {
			*name = filepath.Join("testdata", *name)
		}
	}
	return f
}

func TestCAsAreReadFromEveryKindOfStore(t *testing.T) {
	for _, f := range []Files{
		{CA: "ca.pem"}, {CA: "trust.jks", CAPassword: "changeit"}, {CA: "trust.p12", CAPassword: "changeit"},
		{CA: "trust.store", CAPassword: "changeit"}, {CA: "trust.store", CAType: "jks", CAPassword: "changeit"},
	} {
		cas, err := f.inTestdata().readCA()
		if err != nil || len(cas) != 1 || Name(cas[0]) != "CN=ca,O=Grove" {
			t.Errorf("%v holds %d certificates, %v", f.CA, len(cas), err)
		}
	}
}

func TestAPasswordMayStandInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("changeit\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Files{Cert: "key.jks", CertPassword: "wrong", CertPasswordFile: file}
	if _, err := f.inTestdata().readCert(); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeUsedIsSaidWithWordsThatHelp(t *testing.T) {
	for _, test := range []struct {
		f    Files
		want string
	}{
		{Files{Cert: "missing.pem"}, "no such file"},
		{Files{Cert: "cert.pem"}, "found a certificate rather than a key"},
		{Files{Cert: "cert.pem", Key: "encrypted.key"}, "encrypted.key: the key is under a password"},
		{Files{Cert: "cert.pem", Key: "traditional.key"}, "traditional.key: the key is under a password"},
		{Files{Cert: "ca.pem", Key: "key.pem"}, "private key does not match public key"},
		{Files{Cert: "modern.p12", CertPassword: "wrong"}, "modern.p12: the password does not open the store"},
		{Files{Cert: "key.jks", CertPassword: "wrong"}, "key.jks: the password does not open the store"},
		{Files{Cert: "trust.jks", CertPassword: "changeit"}, "trust.jks: the store holds no key"},
		{Files{Cert: "make.sh"}, "make.sh: "},
		{Files{Cert: "both.pem", CA: "unmarked.p12", CAPassword: "changeit"}, "not marked as trusted, so Java would not"},
		{Files{Cert: "both.pem", CA: "key.jks", CAPassword: "changeit"}, "key.jks: no certificate to trust"},
		{Files{Cert: "both.pem", CA: "key.pem"}, "key.pem: no certificate to trust"},
		{Files{Cert: "both.pem", CA: "ca.pem", CRL: "testdata/ca.pem"}, "no list of withdrawn certificates"},
	} {
		_, err := test.f.inTestdata().read()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v:\n got %v\nwant %s", test.f.Cert, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "changeit") {
			t.Errorf("shows a password: %v", err)
		}
	}
}

// A length in a store is a number of bytes to make room for: a wrong bit in one must not be believed.
func TestADamagedJKSIsRefused(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "key.jks"))
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x80
		if _, err := certOfJKS(bad, "changeit"); err == nil {
			t.Errorf("a wrong bit at %d is not noticed", at)
		}
	}
}

// FuzzStore holds that no file, whatever is in it, stops a server that reads it again. PKCS12 stays out: a
// store may say how many million times its password is hashed, which is slow and no more than that.
func FuzzStore(f *testing.F) {
	for _, name := range []string{"key.jks", "trust.jks", "both.pem"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.Contains(b, []byte("-----BEGIN")) && !bytes.HasPrefix(b, jksMagic) {
			return
		}
		file := filepath.Join(t.TempDir(), "store")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		both := Files{Cert: file, CertPassword: "changeit", CA: file, CAPassword: "changeit"}
		both.readCert()
		both.readCA()
	})
}
