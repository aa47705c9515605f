package member

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/zoocfg"
)

// What one server line may hold. ZooKeeper has no such bounds; a line that reaches them is a mistake
// or an attack, and the table travels in one log entry.
const (
	hostBytesMax = 255
	addrsMax     = 16
)

// parseSpec reads the value of server.N, as ZooKeeper does:
//
//	host:quorumPort:electionPort[:role][|host:…]…[;[clientHost:]clientPort]
//
// Hosts with colons stand in brackets. Alternatives are ordered by host, as ZooKeeper prints them.
func parseSpec(id ID, text string) (Member, error) {
	m := Member{ID: id}
	peers, client, told := strings.Cut(text, ";")
	if told {
		var err error
		if m.ClientHost, m.ClientPort, err = parseClient(strings.TrimSpace(client)); err != nil {
			return Member{}, err
		}
	}
	specs := strings.Split(peers, "|")
	if len(specs) > addrsMax {
		return Member{}, fmt.Errorf("%w: more than %d addresses", ErrBadArguments, addrsMax)
	}
	said := ""
	for _, spec := range specs {
		addr, role, err := parseAddr(strings.TrimSpace(spec))
		if err != nil {
			return Member{}, err
		}
		if said != "" && role != "" && role != said {
			return Member{}, fmt.Errorf("%w: %s and %s are two roles for one server", ErrBadArguments, said, role)
		}
		if role != "" {
			said = role
		}
		m.Addrs = append(m.Addrs, addr)
	}
	if said == Observer.String() {
		m.Role = Observer
	}
	sortAddrs(m.Addrs)
	return m, nil
}

// parseAddr reads host:port:port or host:port:port:role.
func parseAddr(spec string) (addr zoocfg.MemberAddr, role string, err error) {
	parts, err := splitHost(spec)
	if err != nil {
		return addr, "", err
	}
	if len(parts) < 3 || len(parts) > 4 {
		return addr, "", fmt.Errorf("%w: %q: must be host:port:port or host:port:port:role", ErrBadArguments, spec)
	}
	addr.Host = parts[0]
	if err = checkHost(addr.Host); err != nil {
		return addr, "", err
	}
	if addr.QuorumPort, err = parsePort(parts[1]); err != nil {
		return addr, "", err
	}
	if addr.ElectionPort, err = parsePort(parts[2]); err != nil {
		return addr, "", err
	}
	if len(parts) == 4 {
		role, err = parseRole(parts[3])
	}
	return addr, role, err
}

func parseRole(text string) (string, error) {
	role := strings.ToLower(strings.TrimSpace(text))
	if role != Participant.String() && role != Observer.String() {
		return "", fmt.Errorf("%w: role %q: must be participant or observer", ErrBadArguments, text)
	}
	return role, nil
}

// parseClient reads "port" or "host:port". A port alone is on every interface, which ZooKeeper
// prints as 0.0.0.0.
func parseClient(spec string) (host string, port int, err error) {
	parts, err := splitHost(spec)
	switch {
	case err != nil:
		return "", 0, err
	case len(parts) == 1:
		port, err = parsePort(parts[0])
		return wildcard, port, err
	case len(parts) == 2:
		if err = checkHost(parts[0]); err != nil {
			return "", 0, err
		}
		port, err = parsePort(parts[1])
		return parts[0], port, err
	}
	return "", 0, fmt.Errorf("%w: client address %q: must be port or host:port", ErrBadArguments, spec)
}

const wildcard = "0.0.0.0"

// splitHost cuts at colons, but not at those in brackets, which it takes away.
func splitHost(spec string) ([]string, error) {
	inside, bracket := strings.CutPrefix(spec, "[")
	if !bracket {
		return strings.Split(spec, ":"), nil
	}
	host, rest, ok := strings.Cut(inside, "]:")
	if !ok {
		return nil, fmt.Errorf("%w: %q: must be [host]:port", ErrBadArguments, spec)
	}
	return append([]string{host}, strings.Split(rest, ":")...), nil
}

// checkHost refuses what could not stand in a line of the table, or would not be read back the same.
func checkHost(host string) error {
	if host == "" || len(host) > hostBytesMax {
		return fmt.Errorf("%w: host %q: must have 1 to %d bytes", ErrBadArguments, host, hostBytesMax)
	}
	for _, c := range []byte(host) {
		if c <= ' ' || c == 0x7f || strings.IndexByte(`;|=,[]\#!"`, c) >= 0 {
			return fmt.Errorf("%w: host %q holds %q", ErrBadArguments, host, c)
		}
	}
	return nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not a port", ErrBadArguments, text)
	}
	if port < 0 || port > 65535 {
		return 0, fmt.Errorf("%w: port %d: must be from 1 to 65535", ErrUnreadable, port)
	}
	if port == 0 {
		return 0, fmt.Errorf("%w: port 0 is nobody's", ErrBadArguments)
	}
	return int(port), nil
}

// clash finds an address that two members share. Wildcards and loopback are left out, as ZooKeeper
// does: the former are of different machines, and on the latter people try things out.
func clash(a, b Member) (addr string, ok bool) {
	theirs := b.listens()
	for _, mine := range a.listens() {
		for _, other := range theirs {
			if mine == other {
				return mine, true
			}
		}
	}
	return "", false
}

func (m Member) listens() []string {
	var list []string
	add := func(host string, port int) {
		if port != 0 && !everywhere(host) {
			list = append(list, strings.ToLower(bracketed(host))+":"+strconv.Itoa(port))
		}
	}
	for _, a := range m.Addrs {
		add(a.Host, a.QuorumPort)
		add(a.Host, a.ElectionPort)
	}
	add(m.ClientHost, m.ClientPort)
	return list
}

// everywhere tells whether a host means another machine to everyone who reads it.
func everywhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && (addr.IsUnspecified() || addr.IsLoopback()) || strings.EqualFold(host, "localhost") || host == ""
}
