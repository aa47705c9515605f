package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/trust"
)

// Config says where one server keeps its data, where it listens and where its limits are.
// Start from DefaultConfig: a zero there means what the comment of the field says. Open calls
// Complete, which fills in fields whose zero only means "the default", and then Validate.
// Durations are in milliseconds, sizes in bytes, as in the file formats that name them.
type Config struct {
	// Dir holds the log, the checkpoint and the lock that keeps a second server away.
	// Required. It is created if it is missing.
	Dir string

	// ClientAddrs are the host:port pairs clients connect to. An empty host means every
	// interface, port 0 a free port (see Server.Addr). None means 127.0.0.1:2181,
	// unless there are TLSAddrs.
	ClientAddrs []string

	// ID is this server's number among the servers, from 1 to 255, as ZooKeeper's myid. It may be
	// zero if there are no Peers: a server alone is number 1.
	ID int

	// Peers are the servers that found the cluster together, this one among them. A server that
	// has data goes by the membership it finds there instead. Empty means a server alone.
	Peers member.Table

	// PeerAddr is the host:port this server listens on for the others. Empty means the one that
	// Peers names for it.
	PeerAddr string

	// RaftTickMs is how often a leader says that it lives; after ten to twenty times as long without
	// a word the others elect a new one. Zero means 100. From 5 to 10000.
	RaftTickMs int

	// LinearizableReads makes every read wait until a quorum confirms that nothing newer has been
	// acknowledged. Without it a client that needs that sends a sync first.
	LinearizableReads bool

	// NoReconfig refuses every reconfig request.
	NoReconfig bool

	// AdminAddr is the host:port of the HTTP status, metrics and command pages. Empty means off.
	// The pages ask for no password: anything but loopback is the operator's decision.
	AdminAddr string

	// TickMs is the length of a tick: the width of an expiry bucket and the unit of the
	// session time-outs below. Zero means 2000. From 10 to one hour.
	TickMs int

	// SessionTimeoutMinMs and SessionTimeoutMaxMs bound what a client may be granted.
	// Zero means 2 and 20 ticks. The shortest may not exceed the longest.
	SessionTimeoutMinMs int
	SessionTimeoutMaxMs int

	// HandshakeTimeoutMs is how long a connection may live without having sent a connect
	// request. Zero means 10000. At most one day.
	HandshakeTimeoutMs int

	// ConnectionsPerAddressMax and ConnectionsMax bound the client connections of one remote
	// address and of the whole server; one more is closed at once. Zero means no such bound.
	// DefaultConfig has 60 and 0, as ZooKeeper.
	ConnectionsPerAddressMax int
	ConnectionsMax           int

	// FrameBytesMax is the longest request frame accepted; a longer one closes its connection.
	// Zero means 1048575 (0xFFFFF). From 1024 to 256 MiB. Beyond 32 MiB it must be the same on all servers
	// of a quorum.
	FrameBytesMax int

	// OutstandingMax is how many requests of one connection may be unanswered. When it is
	// reached the connection is not read until an answer has left. Zero means 1000.
	OutstandingMax int

	// InboxBytesMax bounds what waits to be sent to one connection. When it is exceeded the
	// connection is closed: an event cannot be refused, and the client re-arms its watches
	// from the last zxid it saw. Zero means 4 MiB. At least 64 KiB.
	InboxBytesMax int

	// RecentChangesMax is how many of the newest changes are kept, so that a client that
	// reconnects is told what its persistent watches missed. Zero means 32768.
	RecentChangesMax int

	// FourLetterWords are the four-letter words answered on the client port; "*" means all.
	// Nil means admin.DefaultWords, an empty list that none is answered.
	FourLetterWords []string

	// EnforceQuota refuses writes beyond a quota node's limits. DefaultConfig has true.
	EnforceQuota bool

	// SkipACL answers every permission check with yes. DefaultConfig has false.
	SkipACL bool

	// SuperDigest is the "user:base64(sha1(user:password))" whose owner passes every
	// permission check. Empty means nobody does.
	SuperDigest string

	// TLS is what the server shows to clients and demands of them: see trust.Files. Without a
	// certificate there is none. TLSAddrs are the host:port pairs where nothing else is spoken;
	// with them and no ClientAddrs there is no plain address at all. TLSPortUnification has
	// ClientAddrs take TLS beside plain connections. X509SuperUser is the name of the certificate
	// whose owner passes every permission check; empty means nobody does.
	TLS                trust.Files
	TLSAddrs           []string
	TLSPortUnification bool
	X509SuperUser      string

	// PeerTLS is what servers show each other. It needs a CA; without a certificate what they say
	// to each other is plain, and whoever reaches their addresses is believed.
	PeerTLS trust.Files

	// ContainerCheckMs is how often empty containers and overdue TTL nodes are looked for.
	// Zero means 60000. At most one day.
	ContainerCheckMs int

	// ContainersPerMinute bounds how many of them are removed in a minute. Zero means 10000.
	ContainersPerMinute int

	// ContainerNeverUsedMs is how long a container that never had a child is left alone
	// before it is removed too. Zero means for ever.
	ContainerNeverUsedMs int

	// CheckpointEvery is how many log entries are applied between two checkpoints, and so
	// about the most a restart replays. Zero means 100000.
	CheckpointEvery int

	// LogRetain is how many log entries below the checkpoint are kept for followers that are
	// a little behind. Zero means 10000; -1 means none.
	LogRetain int

	// Logger receives one line per change of state, none per request. Nil means silence.
	Logger *slog.Logger

	// Version is what srvr, stat and mntr say behind ZooKeeper's: letters, digits, points and
	// dashes only. Empty means "dev". Built is when the binary was made, if anybody knows.
	Version string
	Built   time.Time
}

// DefaultConfig returns the defaults that are not zero. Those that zero stands for follow from
// what is set beside them, and are Complete's business.
func DefaultConfig() Config {
	return Config{ConnectionsPerAddressMax: 60, EnforceQuota: true}
}

// Complete returns c with the default in every field whose zero stands for it.
func (c Config) Complete() Config {
	if len(c.ClientAddrs) == 0 && len(c.TLSAddrs) == 0 {
		c.ClientAddrs = []string{"127.0.0.1:2181"}
	}
	orInt(&c.TickMs, 2000)
	orInt(&c.RaftTickMs, 100)
	orInt(&c.SessionTimeoutMinMs, 2*c.TickMs)
	orInt(&c.SessionTimeoutMaxMs, 20*c.TickMs)
	orInt(&c.HandshakeTimeoutMs, 10_000)
	orInt(&c.FrameBytesMax, 0xFFFFF)
	orInt(&c.OutstandingMax, 1000)
	orInt(&c.InboxBytesMax, 4<<20)
	orInt(&c.RecentChangesMax, 32_768)
	orInt(&c.ContainerCheckMs, 60_000)
	orInt(&c.ContainersPerMinute, 10_000)
	orInt(&c.CheckpointEvery, 100_000)
	orInt(&c.LogRetain, 10_000)
	if c.FourLetterWords == nil {
		c.FourLetterWords = admin.DefaultWords()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	return c
}

func orInt(field *int, otherwise int) {
	if *field == 0 {
		*field = otherwise
	}
}

// ErrConfig is matched by every error of Validate.
var ErrConfig = errors.New("invalid setting")

// A ConfigError names the field that is out of bounds, what it is, and what it must be.
type ConfigError struct {
	Field string // as in Config
	Value string // as given
	Limit string // "must be …" without the must be
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s is %s: must be %s", e.Field, e.Value, e.Limit)
}

// Is matches ErrConfig.
func (e *ConfigError) Is(target error) bool { return target == ErrConfig }

const dayMs = 24 * 60 * 60 * 1000

// Validate returns a *ConfigError for the first field that is out of bounds. It judges a
// completed Config.
func (c Config) Validate() error {
	if c.Dir == "" {
		return &ConfigError{"Dir", `""`, "a directory"}
	}
	if err := c.validateAddrs(); err != nil {
		return err
	}
	if err := c.validateTrust(); err != nil {
		return err
	}
	for _, b := range c.bounds() {
		if b.value < b.low || b.value > b.high {
			return &ConfigError{b.field, strconv.Itoa(b.value), b.limit()}
		}
	}
	for _, word := range c.FourLetterWords {
		if word != "*" && !slices.Contains(admin.Words(), word) {
			return &ConfigError{"FourLetterWords", strconv.Quote(word), "* or one of " + strings.Join(admin.Words(), ", ")}
		}
	}
	if d := c.SuperDigest; d != "" && !digestForm(d) {
		return &ConfigError{"SuperDigest", "malformed", "user:base64(sha1(user:password))"} // not shown: it is a secret
	}
	return nil
}

// bound is the closed range one number must lie in.
type bound struct {
	field            string
	value, low, high int
}

func (b bound) limit() string { return fmt.Sprintf("from %d to %d", b.low, b.high) }

const maxInt = int(^uint32(0) >> 1) // 2147483647: the most that the wire and zoo.cfg can say

// bounds lists every number of the configuration once.
func (c Config) bounds() []bound {
	return []bound{
		{"ID", c.ID, 0, 255},
		{"TickMs", c.TickMs, 10, dayMs / 24},
		{"RaftTickMs", c.RaftTickMs, 5, 10_000},
		{"SessionTimeoutMaxMs", c.SessionTimeoutMaxMs, 1, maxInt}, // first: it bounds the next
		{"SessionTimeoutMinMs", c.SessionTimeoutMinMs, 1, c.SessionTimeoutMaxMs},
		{"HandshakeTimeoutMs", c.HandshakeTimeoutMs, 1, dayMs},
		{"ConnectionsPerAddressMax", c.ConnectionsPerAddressMax, 0, maxInt},
		{"ConnectionsMax", c.ConnectionsMax, 0, maxInt},
		{"FrameBytesMax", c.FrameBytesMax, 1024, 256 << 20},
		{"OutstandingMax", c.OutstandingMax, 1, maxInt},
		{"InboxBytesMax", c.InboxBytesMax, 64 << 10, maxInt},
		{"RecentChangesMax", c.RecentChangesMax, 1, 100_000_000},
		{"ContainerCheckMs", c.ContainerCheckMs, 1, dayMs},
		{"ContainersPerMinute", c.ContainersPerMinute, 1, maxInt},
		{"ContainerNeverUsedMs", c.ContainerNeverUsedMs, 0, maxInt},
		{"CheckpointEvery", c.CheckpointEvery, 1, maxInt},
		{"LogRetain", c.LogRetain, -1, maxInt},
	}
}

func (c Config) validateAddrs() error {
	for _, addr := range c.ClientAddrs {
		if !addrForm(addr) {
			return &ConfigError{"ClientAddrs", strconv.Quote(addr), addrLimit}
		}
	}
	if c.PeerAddr != "" && !addrForm(c.PeerAddr) {
		return &ConfigError{"PeerAddr", strconv.Quote(c.PeerAddr), addrLimit}
	}
	if _, there := c.Peers.Find(member.ID(c.ID)); len(c.Peers.Members) > 0 && !there {
		return &ConfigError{"ID", strconv.Itoa(c.ID), "the number of one of the peers"}
	}
	if c.AdminAddr != "" && !addrForm(c.AdminAddr) {
		return &ConfigError{"AdminAddr", strconv.Quote(c.AdminAddr), addrLimit}
	}
	return nil
}

const addrLimit = "host:port with a port from 0 to 65535"

func addrForm(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func digestForm(d string) bool {
	user, hash, ok := strings.Cut(d, ":")
	return ok && user != "" && hash != "" && !strings.Contains(hash, ":")
}
