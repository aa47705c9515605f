package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Loopback is the host of servers that have no network of their own.
const Loopback = "127.0.0.1"

// A Member is one server of a cluster, with addresses that stay.
type Member struct {
	Server
	ID     int
	Host   string
	Peer   string // host:port for the other servers
	Client string // host:port for clients
	Table  string // what it is told of the members, as of --peers
}

// A Cluster is servers that were founded together, and those added since. It is for one goroutine.
type Cluster struct {
	Dir     string
	Members []*Member // by number, from 1
}

// NewCluster prepares a server on each host, with directories below dir. Nothing is started.
func NewCluster(binary, dir string, hosts []string, flags ...string) (*Cluster, error) {
	c := &Cluster{Dir: dir}
	for _, host := range hosts {
		if _, err := c.add(binary, host, flags); err != nil {
			return nil, err
		}
	}
	for _, m := range c.Members {
		m.Table = c.Table()
	}
	return c, nil
}

// Local returns n times the loopback.
func Local(n int) []string {
	hosts := make([]string, n)
	for i := range hosts {
		hosts[i] = Loopback
	}
	return hosts
}

// Add prepares one more server, which is told of those there are and of itself. It is no member until
// a reconfig has made it one.
func (c *Cluster) Add(host string) (*Member, error) {
	first := c.Members[0]
	m, err := c.add(first.Binary, host, first.Flags)
	if err == nil {
		m.Table = c.Table()
	}
	return m, err
}

func (c *Cluster) add(binary, host string, flags []string) (*Member, error) {
	m := &Member{ID: len(c.Members) + 1, Host: host}
	m.Server = Server{Binary: binary, Dir: filepath.Join(c.Dir, strconv.Itoa(m.ID), "data"), Flags: flags}
	if err := os.MkdirAll(filepath.Dir(m.Dir), 0o755); err != nil {
		return nil, err
	}
	m.LogFile = filepath.Join(c.Dir, strconv.Itoa(m.ID)+".log")
	var err error
	if m.Peer, err = FreeAddr(host); err != nil {
		return nil, err
	}
	if m.Client, err = FreeAddr(host); err != nil {
		return nil, err
	}
	c.Members = append(c.Members, m)
	return m, nil
}

// Table lists the members as --peers wants them.
func (c *Cluster) Table() string {
	var list []string
	for _, m := range c.Members {
		list = append(list, fmt.Sprintf("%d=%s", m.ID, m.Peer))
	}
	return strings.Join(list, ",")
}

// Line is the member as reconfig wants it and /zookeeper/config shows it. The second port is that of elections,
// which Grove has no use for and puts 1000 above the other.
func (m *Member) Line() string {
	host, text, _ := net.SplitHostPort(m.Peer)
	port, _ := strconv.Atoi(text) // of an address made here
	return fmt.Sprintf("server.%d=%s:%d:%d:participant;%s", m.ID, host, port, port+1000, m.Client)
}

// Launch runs the member's process and does not wait for it.
func (m *Member) Launch() error {
	s := m.Server // with the flags of this member beside those of all
	s.Flags = append([]string{"--id", strconv.Itoa(m.ID), "--peers", m.Table}, m.Flags...)
	if err := s.Launch(m.Client); err != nil {
		return err
	}
	m.running, m.says, m.Addr = s.running, s.says, m.Client
	return nil
}

// Start runs the member's process and waits until it is ready.
func (m *Member) Start() error {
	if err := m.Launch(); err != nil {
		return err
	}
	return m.Ready(readyMax)
}

// Wipe removes everything the member has on disk. Its process must have ended.
func (m *Member) Wipe() error { return os.RemoveAll(m.Dir) }

// Start runs all members and waits until all are ready.
func (c *Cluster) Start() error {
	for _, m := range c.Members {
		if err := m.Launch(); err != nil {
			return err
		}
	}
	for _, m := range c.Members {
		if err := m.Ready(readyMax); err != nil {
			return fmt.Errorf("member %d: %w", m.ID, err)
		}
	}
	return nil
}

// Kill kills all members that run.
func (c *Cluster) Kill() error {
	var all []error
	for _, m := range c.Members {
		all = append(all, m.Kill())
	}
	return errors.Join(all...)
}

// Stop asks all members to end, one after the other, and returns what did not end well.
func (c *Cluster) Stop() error {
	var all []error
	for _, m := range c.Members {
		if err := m.Stop(); err != nil {
			all = append(all, fmt.Errorf("member %d: %w", m.ID, err))
		}
	}
	return errors.Join(all...)
}

// Addrs lists where all members listen for clients.
func (c *Cluster) Addrs() []string {
	var list []string
	for _, m := range c.Members {
		list = append(list, m.Client)
	}
	return list
}

// Leader waits until one member says that it leads, and returns it.
func (c *Cluster) Leader(within time.Duration) (*Member, error) {
	i, err := LeaderOf(c.Addrs(), within)
	if err != nil {
		return nil, err
	}
	return c.Members[i], nil
}

const (
	portMin = 10_000
	portMax = 32_000 // from 32768 on, ports are given to whoever connects
)

// FreeAddr returns an address of host that nobody listens on now, and that no client is given by chance
// while its server is down.
func FreeAddr(host string) (string, error) {
	var last error
	for range 100 {
		port := portMin + rand.IntN(portMax-portMin)
		addr := net.JoinHostPort(host, strconv.Itoa(port))
		if host != Loopback {
			return addr, nil // of a network of its own, which is not that of this process
		}
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("find a free port on %s: %w", host, last)
}
