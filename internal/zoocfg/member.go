package zoocfg

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// parseMember reads the value of server.N:
//
//	host:quorumPort:electionPort[|host:…]…[:participant|observer][;[clientHost:]clientPort]
//
// Hosts with colons stand in brackets. Alternatives are separated by | and all have two ports.
func parseMember(id, value string) (Member, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 0 {
		return Member{}, fmt.Errorf("%q is not a server number", id)
	}
	m := Member{ID: n}
	peers, client, hasClient := strings.Cut(value, ";")
	if hasClient {
		if m.ClientHost, m.ClientPort, err = parseClient(strings.TrimSpace(client)); err != nil {
			return Member{}, err
		}
	}
	for spec := range strings.SplitSeq(peers, "|") {
		addr, role, err := parsePeer(strings.TrimSpace(spec))
		if err != nil {
			return Member{}, err
		}
		m.Addrs = append(m.Addrs, addr)
		m.Observer = m.Observer || role == "observer"
	}
	return m, nil
}

func parsePeer(spec string) (addr MemberAddr, role string, err error) {
	host, rest, err := cutHost(spec)
	if err != nil {
		return MemberAddr{}, "", err
	}
	parts := strings.Split(rest, ":")
	if host == "" || len(parts) < 2 || len(parts) > 3 {
		return MemberAddr{}, "", fmt.Errorf("%q: must be host:port:port or host:port:port:role", spec)
	}
	addr.Host = host
	if addr.QuorumPort, err = parsePort(parts[0]); err != nil {
		return MemberAddr{}, "", err
	}
	if addr.ElectionPort, err = parsePort(parts[1]); err != nil {
		return MemberAddr{}, "", err
	}
	if len(parts) == 3 {
		role = strings.ToLower(parts[2])
		if role != "participant" && role != "observer" {
			return MemberAddr{}, "", fmt.Errorf("%q: must be participant or observer", parts[2])
		}
	}
	return addr, role, nil
}

// parseClient reads "port" or "host:port".
func parseClient(spec string) (host string, port int, err error) {
	if !strings.Contains(spec, ":") {
		port, err = parsePort(spec)
		return "", port, err
	}
	host, rest, err := cutHost(spec)
	if err != nil {
		return "", 0, err
	}
	port, err = parsePort(rest)
	return host, port, err
}

// cutHost splits at the first colon outside of brackets.
func cutHost(spec string) (host, rest string, err error) {
	if inside, ok := strings.CutPrefix(spec, "["); ok {
		host, rest, ok = strings.Cut(inside, "]:")
		if !ok {
			return "", "", fmt.Errorf("%q: must be [host]:port", spec)
		}
		return host, rest, nil
	}
	host, rest, ok := strings.Cut(spec, ":")
	if !ok {
		return "", "", fmt.Errorf("%q has no port", spec)
	}
	return host, rest, nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q: must be a port from 1 to 65535", text)
	}
	return int(port), nil
}

// sortMembers orders by number. Keys like server.1 and server.01 are one number given twice.
func (f *File) sortMembers() error {
	slices.SortFunc(f.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(f.Members); i++ {
		if f.Members[i].ID == f.Members[i-1].ID {
			return &Error{Key: fmt.Sprintf("server.%d", f.Members[i].ID), Why: "given twice"}
		}
	}
	return nil
}
