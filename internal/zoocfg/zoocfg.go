// Package zoocfg reads an unmodified zoo.cfg of Apache ZooKeeper: Java properties, of which every
// key is either honoured, ignored for a reason that is kept, or unknown. It refuses a file whose
// syntax is broken or in which an honoured key has no sensible value, and never one that merely
// says more than it understands, unless that could be what keeps people out. It reads bytes, not
// files, and decides nothing about the server.
package zoocfg

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// File is what a zoo.cfg says, in its own words and with ZooKeeper's defaults where it is silent.
type File struct {
	DataDir           string // required there; "" here if it is missing
	DynamicConfigFile string // where the server lines are if they are not here
	ClientPort        int    // 0 if missing
	ClientPortAddress string // "" for every interface

	SecureClientPort        int    // 0 if missing
	SecureClientPortAddress string // "" for every interface

	TickTime          int // ms; 3000 if missing
	MinSessionTimeout int // ms; 0 for 2 ticks
	MaxSessionTimeout int // ms; 0 for 20 ticks

	Limits     Limits
	Containers Containers
	Admin      Admin
	Security   Security
	TLS        TLS // for clients
	QuorumTLS  TLS // for servers among each other

	Keys    int      // how many keys the file has, known or not
	Members []Member // server.N lines, by N
	Ignored []Remark // known keys without effect here, in the order of the file
	Unknown []Remark // keys neither of us knows, in the order of the file
}

// Limits are the numbers that keep ZooKeeper within bounds.
type Limits struct {
	MaxClientCnxns         int // per address; 60 if missing, 0 for no bound
	MaxCnxns               int // 0 for no bound
	GlobalOutstandingLimit int // 1000 if missing
	JuteMaxBuffer          int // bytes; 1048575 if missing
	SessionlessTimeout     int // ms; 10000 if missing
	SnapCount              int // 100000 if missing
}

// Containers says when container and TTL nodes are looked after.
type Containers struct {
	CheckIntervalMs        int // 60000 if missing
	MaxPerMinute           int // 10000 if missing
	MaxNeverUsedIntervalMs int // 0, for never, if missing
}

// Admin is what operators may ask.
type Admin struct {
	Asked         bool     // any of the three below was given
	Enabled       bool     // true if missing
	ServerAddress string   // "" if missing
	ServerPort    int      // 8080 if missing
	Whitelist     []string // four-letter words; nil if missing, "*" for all
}

// Security is who may do what.
type Security struct {
	SkipACL      bool
	SuperDigest  string
	EnforceQuota *bool // nil if missing

	X509SuperUser   string // the name of a certificate
	PortUnification bool   // clientPort takes TLS too
	SSLQuorum       bool   // servers speak TLS among each other
}

// A Member is one server.N line: who votes or observes, and where.
type Member struct {
	ID         int64
	Addrs      []MemberAddr // one unless the line lists alternatives
	Observer   bool
	ClientHost string // "" if the line does not say
	ClientPort int    // 0 if the line does not say
}

// A MemberAddr is where other servers reach a member.
type MemberAddr struct {
	Host         string
	QuorumPort   int
	ElectionPort int
}

// A Remark is a key that has no effect, and why.
type Remark struct {
	Key    string
	Line   int // from 1
	Why    string
	Weaker bool // it asked for protection that is not given
}

// An Error is a line that cannot be read, or a value that cannot be meant.
type Error struct {
	Line int    // from 1; 0 if it takes two lines to be wrong
	Key  string // "" if there is none to be read
	Why  string
}

func (e *Error) Error() string {
	switch {
	case e.Key == "":
		return fmt.Sprintf("line %d: %s", e.Line, e.Why)
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.Key, e.Why)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Key, e.Why)
}

// Parse reads a zoo.cfg, or the file that its dynamicConfigFile names. The error is an *Error.
func Parse(text []byte) (*File, error) {
	properties, err := readProperties(text)
	if err != nil {
		return nil, err
	}
	f := &File{
		Keys:     len(properties),
		TickTime: 3000,
		Limits: Limits{
			MaxClientCnxns: 60, GlobalOutstandingLimit: 1000, JuteMaxBuffer: 0xFFFFF,
			SessionlessTimeout: 10_000, SnapCount: 100_000,
		},
		Containers: Containers{CheckIntervalMs: 60_000, MaxPerMinute: 10_000},
		Admin:      Admin{Enabled: true, ServerPort: 8080},
	}
	for _, p := range properties {
		if err := f.take(p); err != nil {
			return nil, err
		}
	}
	return f, f.sortMembers()
}

// ClientAddr is the host:port for clients: of clientPort, or of the only member's own line.
// It is empty if neither says.
func (f *File) ClientAddr() string {
	switch {
	case f.ClientPort != 0:
		return joined(f.ClientPortAddress, f.ClientPort)
	case len(f.Members) == 1 && f.Members[0].ClientPort != 0:
		m := f.Members[0]
		return net.JoinHostPort(m.ClientHost, strconv.Itoa(m.ClientPort))
	}
	return ""
}

// SecureClientAddr is the host:port of secureClientPort, and empty without one.
func (f *File) SecureClientAddr() string {
	if f.SecureClientPort == 0 {
		return ""
	}
	return joined(f.SecureClientPortAddress, f.SecureClientPort)
}

func joined(host string, port int) string {
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}
