package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// keywords are the attributes that RFC 2253 has a word for, and Java with it.
var keywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O",
	"2.5.4.11": "OU", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// Name is the subject of a certificate as Java's X500Principal.getName() writes it, letter by letter:
// access lists that were made with Apache ZooKeeper hold such names. It is RFC 2253 with the last part
// first, what has no word there as number=#hex, and the escapes that Java makes.
func Name(c *x509.Certificate) string {
	name, ok := nameOf(c.RawSubject)
	if !ok {
		return ""
	}
	return name
}

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type attributeSET []attribute // the suffix is how encoding/asn1 knows a SET from a SEQUENCE

func nameOf(der []byte) (string, bool) {
	var sequence []attributeSET
	if rest, err := asn1.Unmarshal(der, &sequence); err != nil || len(rest) > 0 {
		return "", false
	}
	slices.Reverse(sequence)
	var b strings.Builder
	for i, set := range sequence {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, a := range set {
			if j > 0 {
				b.WriteByte('+')
			}
			a.write(&b)
		}
	}
	return b.String(), true
}

// texts are the tags of ASN.1's strings that Java takes for text. It reads the bytes of all of them as
// UTF-8, whatever they are.
var texts = []int{
	asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagT61String, asn1.TagIA5String, asn1.TagGeneralString,
	asn1.TagBMPString,
}

func (a attribute) write(b *strings.Builder) {
	number := a.Type.String()
	word, known := keywords[number]
	if !known || a.Value.Class != asn1.ClassUniversal || !slices.Contains(texts, a.Value.Tag) {
		if !known {
			word = number
		}
		b.WriteString(word + "=#" + hex.EncodeToString(a.Value.FullBytes))
		return
	}
	b.WriteString(word + "=")
	writeText(b, javaText(a.Value.Bytes))
}

// writeText escapes what RFC 2253 gives a meaning, NUL, and white space at the ends.
func writeText(b *strings.Builder, text string) {
	var escaped strings.Builder
	for _, r := range text {
		switch {
		case strings.ContainsRune(`,=+<>#;"\`, r):
			escaped.WriteByte('\\')
			escaped.WriteRune(r)
		case r == 0:
			escaped.WriteString(`\00`)
		default:
			escaped.WriteRune(r)
		}
	}
	text = escaped.String()
	const white = " \r" // to Java, at this place
	inner := strings.TrimLeft(text, white)
	lead := text[:len(text)-len(inner)]
	inner = strings.TrimRight(inner, white)
	trail := text[len(lead)+len(inner):]
	for _, r := range lead {
		b.WriteString(`\` + string(r))
	}
	b.WriteString(inner)
	for _, r := range trail {
		b.WriteString(`\` + string(r))
	}
}

// javaText decodes UTF-8 as Java does: what is none becomes one U+FFFD for each longest beginning of a
// character, where Go has one for each byte.
func javaText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = brokenLen(b)
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// brokenLen is the length of the longest beginning of a character at the start of b, at least 1.
func brokenLen(b []byte) int {
	n := 1
	for n < len(b) && n < 4 && begins(b[:n+1]) {
		n++
	}
	return n
}

// begins tells whether some character begins with b, by completing it with the lowest and the highest
// bytes that may follow. To Java a half of a surrogate pair is three bytes that belong together.
func begins(b []byte) bool {
	if b[0] == 0xED && b[1] >= 0xA0 && b[1] <= 0xBF {
		return len(b) == 2 || len(b) == 3 && b[2]&0xC0 == 0x80
	}
	for _, filler := range []byte{0x80, 0xBF} {
		full := slices.Clone(b)
		for len(full) < 4 {
			full = append(full, filler)
			if utf8.Valid(full) {
				return true
			}
		}
	}
	return false
}
