package client

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// DefaultPort is the port of a server whose address has none.
const DefaultPort = 2181

// parseTarget reads "host[:port],host[:port],…[/root]", which may begin with "zk://": the addresses,
// each with a port, and the path below which everything happens, "" for the whole tree.
func parseTarget(target string) (addrs []string, root string, err error) {
	hosts := strings.TrimPrefix(target, "zk://")
	if at := strings.IndexByte(hosts, '/'); at >= 0 {
		hosts, root = hosts[:at], hosts[at:]
	}
	if root == "/" {
		root = ""
	}
	if root != "" {
		if err := checkPath(root, false); err != nil {
			return nil, "", fmt.Errorf("target %q: %w", target, err)
		}
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host = strings.TrimSpace(host); host == "" {
			continue
		}
		addr, err := withPort(host)
		if err != nil {
			return nil, "", fmt.Errorf("target %q: %w", target, err)
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) == 0 {
		return nil, "", fmt.Errorf("target %q: %w: it names no server", target, ErrInvalidArgument)
	}
	return addrs, root, nil
}

// withPort adds the default port to an address without one. An IPv6 address may stand without
// brackets if it has no port.
func withPort(host string) (string, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if strings.Contains(name, ":") && net.ParseIP(name) == nil {
			return "", fmt.Errorf("%w: %q is no address", ErrInvalidArgument, host)
		}
		return net.JoinHostPort(name, strconv.Itoa(DefaultPort)), nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || name == "" {
		return "", fmt.Errorf("%w: %q is no address", ErrInvalidArgument, host)
	}
	return host, nil
}
