// Package trust makes TLS out of files: who this server is, whom it believes, and who has connected.
// It reads PEM, PKCS12 and JKS, looks at the files again every ten seconds, and puts what they now say
// under new connections only; files that cannot be used change nothing. Its listener tells TLS from
// plain bytes by the first one. It never decides what an identity may do.
//
//	files ──read──► material ──swap──► Source ──► the configuration of each new handshake
//	                    └─ cannot be used: logged, and what was there stays
package trust

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// Files says where certificates and keys are, and what is demanded of the other side. The type of a
// store follows from its extension, .pem, .p12, .pfx or .jks, and from its contents if that says
// nothing; CertType and CAType override both.
type Files struct {
	Cert string // certificate and chain: PEM, or a store that holds the key too; "" for no TLS
	Key  string // the key, if Cert is PEM without it
	CA   string // certificates of who signs the other side's

	CertType, CAType                 string // "", PEM, PKCS12 or JKS
	CertPassword, CAPassword         string // of the stores
	CertPasswordFile, CAPasswordFile string // files that hold them; they are read again too

	CRL string // PEM lists of what the CA has withdrawn; "" for none

	// ClientAuth is none, want or need: what a client must show. Empty means need with a CA and
	// none without.
	ClientAuth string
	// Protocols are those of TLSv1.2 and TLSv1.3 that are spoken. None means both.
	Protocols []string
	// CipherSuites are those of TLS 1.2, by their IANA names. None means Go's choice. TLS 1.3 has
	// only good ones and does not let one choose.
	CipherSuites []string
	// AnyHost lets the other side's certificate be for any host, as long as the CA has signed it.
	AnyHost bool
}

// Set tells whether there is to be TLS at all.
func (f Files) Set() bool { return f.Cert != "" }

// String names the files and none of the secrets.
func (f Files) String() string {
	if !f.Set() {
		return "no TLS"
	}
	return fmt.Sprintf("cert %q key %q ca %q client-auth %q", f.Cert, f.Key, f.CA, f.clientAuth())
}

// GoString is String: a %#v in some message must not show a password.
func (f Files) GoString() string { return "trust.Files{" + f.String() + "}" }

// What a client must show.
const (
	None = "none" // nothing is asked for
	Want = "want" // asked for, and judged if given
	Need = "need" // no certificate, no connection
)

func (f Files) clientAuth() string {
	switch {
	case f.ClientAuth != "":
		return strings.ToLower(f.ClientAuth)
	case f.CA != "":
		return Need
	}
	return None
}

// A FilesError names the field of Files that cannot be meant.
type FilesError struct {
	Field string // as in Files
	Value string // as given; never a secret
	Limit string // "must be …" without the must be
}

func (e *FilesError) Error() string {
	return fmt.Sprintf("%s is %q: must be %s", e.Field, e.Value, e.Limit)
}

// Validate returns a *FilesError for the first field that cannot be meant. It opens no file.
func (f Files) Validate() error {
	if !f.Set() {
		return f.validateUnset()
	}
	if auth := f.clientAuth(); auth != None && auth != Want && auth != Need {
		return &FilesError{"ClientAuth", f.ClientAuth, "none, want or need"}
	} else if auth != None && f.CA == "" {
		return &FilesError{"CA", "", "given, to judge the certificates of clients by; or the client authentication none"}
	}
	for _, t := range []struct{ field, value string }{{"CertType", f.CertType}, {"CAType", f.CAType}} {
		if _, err := kindNamed(t.value); err != nil {
			return &FilesError{t.field, t.value, "PEM, PKCS12 or JKS"}
		}
	}
	if f.CRL != "" && f.CA == "" {
		return &FilesError{"CRL", f.CRL, "with a CA: a list is only as good as who has signed it"}
	}
	if _, _, err := versions(f.Protocols); err != nil {
		return err
	}
	_, err := suites(f.CipherSuites)
	return err
}

// validateUnset refuses halves: somebody who names a key or a CA believes to have TLS.
func (f Files) validateUnset() error {
	for _, half := range []struct{ field, value string }{
		{"Key", f.Key}, {"CA", f.CA}, {"CRL", f.CRL}, {"ClientAuth", f.ClientAuth},
	} {
		if half.value != "" && half.value != None {
			return &FilesError{half.field, half.value, "with a certificate of the server"}
		}
	}
	return nil
}

// versions returns the oldest and the newest protocol of a list.
func versions(names []string) (oldest, newest uint16, err error) {
	oldest, newest = tls.VersionTLS13, tls.VersionTLS12
	for _, name := range names {
		switch name {
		case "TLSv1.2":
			oldest = tls.VersionTLS12
		case "TLSv1.3":
			newest = tls.VersionTLS13
		default:
			return 0, 0, &FilesError{"Protocols", name, "TLSv1.2 or TLSv1.3"}
		}
	}
	if len(names) == 0 {
		return tls.VersionTLS12, tls.VersionTLS13, nil
	}
	return oldest, newest, nil
}

// suites turns names into the numbers of suites of TLS 1.2. Those of 1.3 are known and left out, as
// they are always on.
func suites(names []string) ([]uint16, error) {
	var ids []uint16
	known := tls.CipherSuites()
	for _, name := range names {
		at := slices.IndexFunc(known, func(s *tls.CipherSuite) bool { return s.Name == name })
		if at < 0 {
			return nil, &FilesError{"CipherSuites", name, "one of " + strings.Join(suiteNames(), ", ")}
		}
		if slices.Contains(known[at].SupportedVersions, uint16(tls.VersionTLS12)) {
			ids = append(ids, known[at].ID)
		}
	}
	return ids, nil
}

func suiteNames() []string {
	var names []string
	for _, s := range tls.CipherSuites() {
		names = append(names, s.Name)
	}
	return names
}

// shape is what of a configuration does not come out of files.
func (f Files) shape() *tls.Config {
	oldest, newest, _ := versions(f.Protocols) // Validate has seen them
	ids, _ := suites(f.CipherSuites)
	if len(f.CipherSuites) > 0 && len(ids) == 0 {
		oldest = tls.VersionTLS13 // none of 1.2 is wanted, and an empty list would mean all
	}
	return &tls.Config{MinVersion: oldest, MaxVersion: newest, CipherSuites: ids}
}
