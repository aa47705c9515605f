package admin

import (
	"net/netip"
	"time"
)

// Source is what a server lets its operators see. Every method returns values of its own that
// nobody changes afterwards, may be called from any goroutine at any time, also while the server
// is starting or stopping, and must not make clients wait. Two calls may show two moments.
type Source interface {
	Stats() Stats
	Settings() Settings
	Connections() []Connection // any order
	Sessions() []Session       // any order
	Ephemerals() []Ephemeral   // any order
	Watches() []Watch          // any order; one row a watch, so as long as there are watches
	ResetServer()              // srst: packet, byte and latency figures of the server start anew
	ResetConnections()         // crst: those of each connection
}

// Stats is the server at one moment. Counters start at zero with the process or at ResetServer.
type Stats struct {
	Version  string    // Grove's own: letters, digits, points and dashes only, as "0.2.0"
	Built    time.Time // zero if nobody knows
	Mode     string    // "standalone", "leader", "follower", "observer", "read-only"
	Serving  bool      // false until the log has been replayed, and again while closing
	ReadOnly bool
	UptimeMs int64

	Load    Load
	Latency Latency
	Tree    Tree
	Watch   WatchSummary
	Disk    Disk
	Quorum  *Quorum // nil: the server is alone
}

// Quorum is how a server stands to the others.
type Quorum struct {
	Voters     int64 // members that vote
	Leader     int64 // number of the server that leads; 0: nobody known
	LeaderHost string

	Pending  int64 // commands of this server that are not applied yet
	Refused  int64 // handshakes with other servers that failed, ever; the next two likewise
	Corrupt  int64 // frames with a wrong checksum
	Lost     int64 // times that messages may have been lost
	Diverged int64 // times that the state was not that of another server: an alarm

	// On the leader, otherwise zero.
	Leading         bool
	SyncedFollowers int64 // other voters that keep up
	SyncedObservers int64
	Learners        int64 // all others, in step or not
	LeaderUptimeMs  int64
}

// Load counts what went through the client ports.
type Load struct {
	PacketsReceived int64 // frames and four-letter words
	PacketsSent     int64 // replies and events
	BytesReceived   int64
	BytesSent       int64
	Outstanding     int64 // requests admitted and not yet answered
	LocalSessions   int64 // of read-only clients: nobody else knows them

	Connections   int64 // open now, four-letter words included
	Accepted      int64 // ever
	Rejected      int64 // closed at once: over a limit of connections
	Dropped       int64 // closed by the server for any other reason
	Unspoken      int64 // of those: sent no connect request in time
	FramesTooLong int64 // of those: announced a frame beyond the limit
	AuthFailed    int64
}

// Latency is how long requests and disks took, in milliseconds. A nil Summary is not measured,
// and not shown.
type Latency struct {
	MinMs, MaxMs int64 // from frame read to reply queued
	AvgMs        float64

	Read       *Summary // of read requests
	Update     *Summary // of write requests
	Fsync      *Summary // of one log batch
	Checkpoint *Summary // of one checkpoint
	Start      *Summary // from opening the checkpoint to the end of the replay
}

// Summary is a distribution, in milliseconds or whatever unit its owner counts.
type Summary struct {
	Count               int64
	Sum                 float64
	Min, Max            float64
	P50, P95, P99, P999 float64 // shown for Read and Update only
}

// Tree is the size of the applied state.
type Tree struct {
	Zxid            int64 // newest applied
	Nodes           int64
	Ephemerals      int64
	DataBytes       int64 // paths and data, about
	Sessions        int64
	SessionsExpired int64 // since the start
	EntriesReplayed int64 // at the start
}

// WatchSummary counts watches of every kind.
type WatchSummary struct {
	Watches     int64
	Connections int64 // that hold at least one
	Paths       int64 // that have at least one

	Created, Deleted, Changed, Children *Summary // connections told of one change, by its type
}

// Disk is what the data directory takes, in bytes.
type Disk struct {
	CheckpointBytes int64
	LogBytes        int64
}

// Settings are the configuration in force.
type Settings struct {
	ClientPort      int // of the first client address; -1 if there is none
	DataDir         string
	LogDir          string
	TickMs          int
	SessionMinMs    int
	SessionMaxMs    int
	PerAddressMax   int
	ServerID        int64
	FourLetterWords []string // the whitelist; "*" stands for all
	Member          *Member  // nil: the server is alone
}

// Member is what a member of a quorum is configured with.
type Member struct {
	QuorumPort, ElectionPort int
	InitLimit, SyncLimit     int // in ticks
	Observer                 bool
	Table                    string // the members, as /zookeeper/config has them
}

// Connection is one client connection.
type Connection struct {
	Remote   netip.AddrPort
	Session  int64 // 0 before the handshake
	Paused   bool  // its requests are not being read: too many are unanswered
	Queued   int64 // requests unanswered
	Received int64
	Sent     int64

	EstablishedMs  int64  // Unix time
	ExpiresMs      int64  // Unix time at which it is closed if it stays silent
	TimeoutMs      int64  // of its session
	LastOp         string // four letters of wire.Ops, "NA" if none
	LastCxid       int64  // -1 if none
	LastZxid       int64  // -1 if none
	LastResponseMs int64  // Unix time of the last reply; 0 if none

	LastMs, MinMs, AvgMs, MaxMs int64 // latency
}

// Session is one live session.
type Session struct {
	ID        int64
	TimeoutMs int64
	ExpiresMs int64 // Unix time, the end of its bucket; sessions of a bucket show the same
}

// Ephemeral is one ephemeral node.
type Ephemeral struct {
	Owner int64
	Path  string
}

// Watch says that a session watches a path, in whatever way.
type Watch struct {
	Session int64
	Path    string
}
