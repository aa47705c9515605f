package znode

import "strings"

// validDN says whether id is a name that Java's X500Principal takes: parts "type=value" between commas,
// semicolons or plus signs. No part at all is a name too. What the name is, is not looked at: names are
// compared as text.
func validDN(id string) bool {
	if id == "" {
		return true
	}
	for more := true; more; {
		var key, value string
		key, id, more = strings.Cut(id, "=")
		if !more || !validDNType(strings.Trim(key, dnBlanks)) {
			return false
		}
		value, id, more = cutDNValue(id)
		if !validDNValue(strings.TrimLeft(value, dnBlanks)) {
			return false
		}
	}
	return true
}

const dnBlanks = " \n"

// dnTypes are the words Java has for types of attributes.
var dnTypes = [...]string{
	"CN", "C", "L", "S", "ST", "O", "OU", "T", "IP", "STREET", "DC", "DNQUALIFIER", "DNQ", "SURNAME",
	"GIVENNAME", "INITIALS", "GENERATION", "EMAIL", "EMAILADDRESS", "UID", "SERIALNUMBER",
}

func validDNType(key string) bool {
	upper := strings.ToUpper(key)
	for _, known := range dnTypes {
		if upper == known {
			return true
		}
	}
	return validOID(strings.TrimPrefix(upper, "OID."))
}

// validOID asks for numbers between points, the first two in the ranges that ASN.1 packs into one byte.
func validOID(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) > 1 && len(parts[0]) == 1 && parts[0] <= "2" &&
		(parts[0] == "2" || len(parts[1]) == 1 || len(parts[1]) == 2 && parts[1] < "40")
}

// cutDNValue cuts what stands before the next separator off. One that is quoted or escaped is none.
func cutDNValue(s string) (value, rest string, more bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ';' || c == '+'):
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func validDNValue(v string) bool {
	switch {
	case strings.HasPrefix(v, "#"):
		return validHexBER(v[1:])
	case strings.HasPrefix(v, `"`):
		v = strings.TrimRight(v, dnBlanks)
		return len(v) > 1 && strings.HasSuffix(v, `"`) && validDNText(v[1:len(v)-1], `"`)
	}
	return validDNText(v, `"<>`)
}

// validDNText asks that no banned character stands there unescaped, and that escapes are such.
func validDNText(v, banned string) bool {
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case strings.IndexByte(banned, c) >= 0:
			return false
		case c != '\\':
		case i+1 < len(v) && strings.IndexByte(`,=+<>#;"\ `, v[i+1]) >= 0:
			i++
		case i+2 < len(v) && isHex(v[i+1]) && isHex(v[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

// validHexBER asks for the bytes of one value: a tag, a length, and as many bytes as it says.
func validHexBER(digits string) bool {
	if len(digits)%2 != 0 || len(digits) < 4 {
		return false
	}
	b := make([]byte, len(digits)/2)
	for i := range digits {
		if !isHex(digits[i]) {
			return false
		}
		b[i/2] = b[i/2]<<4 | hexValue(digits[i])
	}
	length, rest := int(b[1]), b[2:]
	if length > 0x80 { // that many bytes of length follow
		n := length - 0x80
		if n > 3 || n > len(rest) {
			return false
		}
		length = 0
		for _, c := range rest[:n] {
			length = length<<8 | int(c)
		}
		rest = rest[n:]
	}
	return length == len(rest)
}

func hexValue(c byte) byte {
	if c >= 'A' {
		return c&^0x20 - 'A' + 10
	}
	return c - '0'
}
