package trust

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// withdrawn is what the CA has taken back, by issuer.
type withdrawn map[string]*list

type list struct {
	serials map[string]bool
	until   time.Time // zero: for ever
}

// readCRL reads lists and believes those that one of the CAs has signed.
func (f Files) readCRL(cas []*x509.Certificate) (withdrawn, error) {
	if f.CRL == "" {
		return nil, nil
	}
	b, err := readFile(f.CRL)
	if err != nil {
		return nil, err
	}
	w := withdrawn{}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		if err := w.add(block.Bytes, cas); err != nil {
			return nil, fmt.Errorf("%s: %w", f.CRL, err)
		}
	}
	if len(w) == 0 {
		return nil, fmt.Errorf("%s: no list of withdrawn certificates (PEM, X509 CRL)", f.CRL)
	}
	return w, nil
}

func (w withdrawn) add(der []byte, cas []*x509.Certificate) error {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	for _, ca := range cas {
		if string(ca.RawSubject) != string(crl.RawIssuer) || crl.CheckSignatureFrom(ca) != nil {
			continue
		}
		l := &list{serials: map[string]bool{}, until: crl.NextUpdate}
		for _, entry := range crl.RevokedCertificateEntries {
			l.serials[entry.SerialNumber.String()] = true
		}
		w[string(crl.RawIssuer)] = l
		return nil
	}
	return fmt.Errorf("the list of %s is signed by no CA of ours", crl.Issuer)
}

// ErrWithdrawn says that the CA has taken a certificate back.
var ErrWithdrawn = errors.New("certificate withdrawn")

// check refuses chains of which every one has a withdrawn certificate in it, or one of an issuer whose
// list is out of date: it may be withdrawn by now, and nobody would know.
func (w withdrawn) check(chains [][]*x509.Certificate, now time.Time) error {
	var err error
	for _, chain := range chains {
		if err = w.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

func (w withdrawn) checkChain(chain []*x509.Certificate, now time.Time) error {
	for _, c := range chain {
		l := w[string(c.RawIssuer)]
		switch {
		case l == nil:
		case l.serials[c.SerialNumber.String()]:
			return fmt.Errorf("%w: %s, number %s", ErrWithdrawn, c.Subject, c.SerialNumber)
		case !l.until.IsZero() && now.After(l.until):
			return fmt.Errorf("%w? the list of %s is out of date since %s", ErrWithdrawn, c.Issuer, l.until.Format(time.RFC3339))
		}
	}
	return nil
}
