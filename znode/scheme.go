package znode

import (
	"net/netip"
	"strconv"
	"strings"
)

// scheme is one way of naming people in access lists. A scheme that is not in the table is
// refused when a list is set and matches nobody in a list that is already stored.
type scheme struct {
	name    string
	anyone  bool                                // matches without an identity
	expands bool                                // entry "auth" stands for identities of this scheme
	valid   func(id string) bool                // may id stand in a list
	matches func(identity string, r *rule) bool // does an identity of this scheme meet a rule of it
}

// schemes holds one row per scheme. sasl is to be a row here.
var schemes = [...]scheme{
	{name: "world", anyone: true, valid: validWorld},
	{name: "digest", expands: true, valid: validDigest, matches: equalID},
	{name: "ip", valid: validIP, matches: inPrefix},
	{name: "x509", expands: true, valid: validDN, matches: equalID},
}

func schemeOf(name string) *scheme {
	for i := range schemes {
		if schemes[i].name == name {
			return &schemes[i]
		}
	}
	return nil
}

func validWorld(id string) bool { return id == "anyone" }

// validDigest asks for exactly one colon with something after it, not counting colons at the
// end: what Java's split(":") makes two parts of.
func validDigest(id string) bool {
	return strings.Count(strings.TrimRight(id, ":"), ":") == 1
}

func equalID(identity string, r *rule) bool { return identity == r.ID }

func validIP(id string) bool {
	_, ok := parseIP(id)
	return ok
}

func inPrefix(identity string, r *rule) bool {
	addr, ok := parseAddr(identity)
	return ok && r.prefix.Contains(addr)
}

// parseIP reads an address with an optional number of leading bits that count.
func parseIP(id string) (netip.Prefix, bool) {
	host, length, cut := strings.Cut(id, "/")
	addr, ok := parseAddr(host)
	if !ok {
		return netip.Prefix{}, false
	}
	bits := addr.BitLen()
	if cut {
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > bits {
			return netip.Prefix{}, false
		}
		bits = n
	}
	return netip.PrefixFrom(addr, bits), true
}

// parseAddr reads an address of either family. Unlike netip it takes leading zeros in the
// parts of an IPv4 address, as decimal, because ZooKeeper does.
func parseAddr(s string) (netip.Addr, bool) {
	if strings.IndexByte(s, ':') >= 0 {
		addr, err := netip.ParseAddr(s)
		return addr.Unmap(), err == nil && addr.Zone() == ""
	}
	var b [4]byte
	for i := range b {
		part, rest, cut := strings.Cut(s, ".")
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 255 || cut != (i < 3) {
			return netip.Addr{}, false
		}
		b[i], s = byte(n), rest
	}
	return netip.AddrFrom4(b), true
}
