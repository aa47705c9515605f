package trust

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// kind is how a store is written.
type kind int

const (
	unsaid kind = iota
	inPEM
	inBinary // PKCS12 or JKS: Java reads either under both names, and so do we
)

func kindNamed(name string) (kind, error) {
	switch strings.ToUpper(name) {
	case "":
		return unsaid, nil
	case "PEM":
		return inPEM, nil
	case "PKCS12", "JKS":
		return inBinary, nil
	}
	return unsaid, fmt.Errorf("stores of type %q are not read", name)
}

// kindOf follows the type that was said, then the extension, then the contents.
func kindOf(file, said string, b []byte) (kind, error) {
	if k, err := kindNamed(said); err != nil || k != unsaid {
		return k, err
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".pem":
		return inPEM, nil
	case ".p12", ".pfx", ".jks":
		return inBinary, nil
	case ".bcfks":
		return unsaid, errors.New("stores of type BCFKS are not read: convert it to PKCS12")
	}
	if bytes.Contains(b, []byte("-----BEGIN ")) {
		return inPEM, nil
	}
	return inBinary, nil
}

var jksMagic = []byte{0xFE, 0xED, 0xFE, 0xED}

// storeBytesMax is more than any store needs; a device or a log named by mistake ends here.
const storeBytesMax = 4 << 20

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, storeBytesMax+1))
	if err == nil && len(b) > storeBytesMax {
		err = fmt.Errorf("read %s: longer than %d bytes", name, storeBytesMax)
	}
	return b, err
}

// readPassword takes the file before the value, as ZooKeeper does, without the line's end.
func readPassword(value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	b, err := readFile(file)
	return strings.TrimRight(string(b), "\r\n"), err
}

// readCert returns what this side shows.
func (f Files) readCert() (tls.Certificate, error) {
	b, err := readFile(f.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	password, err := readPassword(f.CertPassword, f.CertPasswordFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := kindOf(f.Cert, f.CertType, b)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", f.Cert, err)
	}
	if k == inPEM {
		return f.readPEM(b)
	}
	var c tls.Certificate
	if bytes.HasPrefix(b, jksMagic) {
		c, err = certOfJKS(b, password)
	} else {
		c, err = certOfPKCS12(b, password)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", f.Cert, err)
	}
	return c, nil
}

func (f Files) readPEM(certs []byte) (tls.Certificate, error) {
	keys, keyFile := certs, f.Cert
	if f.Key != "" {
		keyFile = f.Key
		var err error
		if keys, err = readFile(f.Key); err != nil {
			return tls.Certificate{}, err
		}
	}
	if err := plainKey(keys); err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", keyFile, err)
	}
	c, err := tls.X509KeyPair(certs, keys)
	if err != nil {
		return c, fmt.Errorf("%s with the key of %s: %w", f.Cert, keyFile, err)
	}
	return c, nil
}

// plainKey refuses keys under a password with words that help; Go would only say that there is none.
func plainKey(b []byte) error {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return nil
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return errors.New("the key is under a password, which PEM keys must not be here: " +
				"take it off (openssl pkey -in old.pem -out new.pem) or use a PKCS12 store")
		}
	}
}

func certOfPKCS12(b []byte, password string) (tls.Certificate, error) {
	key, first, rest, err := pkcs12.DecodeChain(b, password)
	if err != nil {
		return tls.Certificate{}, said(err)
	}
	return paired(key, append([]*x509.Certificate{first}, rest...))
}

// said makes the sentence of a library one for operators.
func said(err error) error {
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return errors.New("the password does not open the store")
	}
	return err
}

func certOfJKS(b []byte, password string) (tls.Certificate, error) {
	store, err := openJKS(b, password)
	if err != nil {
		return tls.Certificate{}, err
	}
	for _, alias := range store.Aliases() { // in the order of their names
		if !store.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, []byte(password))
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("entry %s: %w", alias, err)
		}
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("entry %s: %w", alias, err)
		}
		var chain []*x509.Certificate
		for _, c := range entry.CertificateChain {
			parsed, err := x509.ParseCertificate(c.Content)
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("entry %s: %w", alias, err)
			}
			chain = append(chain, parsed)
		}
		return paired(key, chain)
	}
	return tls.Certificate{}, errors.New("the store holds no key")
}

// openJKS looks at the digest first: the library believes every length it reads, and one wrong bit in
// one of them would take all the memory there is.
func openJKS(b []byte, password string) (keystore.KeyStore, error) {
	if !wholeJKS(b, password) {
		return keystore.KeyStore{}, errors.New("the password does not open the store, or it is damaged")
	}
	store := keystore.New(keystore.WithOrderedAliases())
	return store, store.Load(bytes.NewReader(b), []byte(password))
}

// wholeJKS checks the last bytes, which are a hash over the password, a joke of Java's and the rest.
func wholeJKS(b []byte, password string) bool {
	if len(b) < sha1.Size {
		return false
	}
	content, sum := b[:len(b)-sha1.Size], b[len(b)-sha1.Size:]
	h := sha1.New()
	for _, unit := range utf16.Encode([]rune(password)) {
		h.Write([]byte{byte(unit >> 8), byte(unit)})
	}
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(content)
	return subtle.ConstantTimeCompare(h.Sum(nil), sum) == 1
}

// paired puts the certificate of the key first and what signed it behind: PKCS12 promises no order.
func paired(key any, certs []*x509.Certificate) (tls.Certificate, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("a key of type %T cannot sign", key)
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return tls.Certificate{}, fmt.Errorf("a key of type %T cannot be compared", key)
	}
	c := tls.Certificate{PrivateKey: key}
	for _, cert := range certs {
		if c.Leaf == nil && public.Equal(cert.PublicKey) {
			c.Leaf = cert
		}
	}
	if c.Leaf == nil {
		return c, errors.New("the store holds no certificate of its key")
	}
	c.Certificate = [][]byte{c.Leaf.Raw}
	for at, left := c.Leaf, certs; ; {
		next := issuer(at, left)
		if next == nil || next == c.Leaf || len(c.Certificate) > len(certs) {
			return c, nil
		}
		c.Certificate = append(c.Certificate, next.Raw)
		at = next
	}
}

// issuer finds who signed c, and nothing if that is c itself.
func issuer(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, candidate := range among {
		if candidate != c && !bytes.Equal(c.RawIssuer, c.RawSubject) &&
			bytes.Equal(c.RawIssuer, candidate.RawSubject) && c.CheckSignatureFrom(candidate) == nil {
			return candidate
		}
	}
	return nil
}

// readCA returns whom this side believes; nil without a CA.
func (f Files) readCA() ([]*x509.Certificate, error) {
	if f.CA == "" {
		return nil, nil
	}
	b, err := readFile(f.CA)
	if err != nil {
		return nil, err
	}
	password, err := readPassword(f.CAPassword, f.CAPasswordFile)
	if err != nil {
		return nil, err
	}
	k, err := kindOf(f.CA, f.CAType, b)
	var certs []*x509.Certificate
	switch {
	case err != nil:
	case k == inPEM:
		certs, err = certsOfPEM(b)
	case bytes.HasPrefix(b, jksMagic):
		certs, err = trustedOfJKS(b, password)
	default:
		certs, err = trustedOfPKCS12(b, password)
	}
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate to trust")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.CA, err)
	}
	return certs, nil
}

func certsOfPEM(b []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return certs, nil
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
}

func trustedOfPKCS12(b []byte, password string) ([]*x509.Certificate, error) {
	certs, err := pkcs12.DecodeTrustStore(b, password)
	if err != nil && strings.Contains(err.Error(), "not marked as trusted") {
		return nil, errors.New("its certificates are not marked as trusted, so Java would not trust them either: " +
			"make it with keytool -importcert, with openssl pkcs12 -jdktrust, or as PEM")
	}
	if err != nil {
		return nil, said(err)
	}
	return certs, nil
}

func trustedOfJKS(b []byte, password string) ([]*x509.Certificate, error) {
	store, err := openJKS(b, password)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for _, alias := range store.Aliases() {
		if !store.IsTrustedCertificateEntry(alias) {
			continue
		}
		entry, err := store.GetTrustedCertificateEntry(alias)
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", alias, err)
		}
		c, err := x509.ParseCertificate(entry.Certificate.Content)
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", alias, err)
		}
		certs = append(certs, c)
	}
	return certs, nil
}
