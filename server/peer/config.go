package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// The reasons for which something is not carried. Match them with errors.Is.
var (
	// ErrFull says that the queue is full; nothing was taken.
	ErrFull = errors.New("peer: queue is full")
	// ErrLost says that what was sent to that server may be lost, and that Handler.Lost, which is
	// about to be called, comes first; nothing was taken.
	ErrLost = errors.New("peer: connection was lost")
	// ErrStopped says that Run has not begun, or has ended.
	ErrStopped = errors.New("peer: not running")
	// ErrUnknown says that no address is known for that server.
	ErrUnknown = errors.New("peer: no address is known")
	// ErrTooLarge says that something is longer than ever fits.
	ErrTooLarge = errors.New("peer: too large")
	// ErrBroken says that the connection ended before the answer came: who was asked may have
	// done what it was asked for.
	ErrBroken = errors.New("peer: connection ended before the answer")
	// ErrUnknownAsk is what a Handler returns for a kind of question it does not know, and what
	// who asked gets (wrapped in an AskError).
	ErrUnknownAsk = errors.New("peer: unknown kind of question")
)

// TLS is how connections are secured: both ends show a certificate.
type TLS struct {
	// Server is for connections accepted. It must demand and verify certificates of clients
	// (tls.RequireAndVerifyClientCert), directly or through GetConfigForClient.
	Server *tls.Config
	// Client is asked for the configuration of each connection dialled: whom to believe may have
	// changed. ServerName is set to the host of the address.
	Client func() *tls.Config
}

// Handler takes what arrives. Calls for one connection are in order, those for different
// connections are concurrent. from is a node, whose identity was established by the handshake.
type Handler interface {
	// Messages takes messages of Raft, all of them from from. The slice is reused after the call,
	// the messages are not; they are read-only.
	Messages(from uint64, messages []*pb.Message)
	// Commands takes commands which from believes to be for the leader of term. It may block: the
	// connection is not read meanwhile, which is the backpressure. An error closes the connection;
	// who sent them is told that they may be lost. The commands are read-only.
	Commands(from, term uint64, commands [][]byte) error
	// Heard takes sessions that from has heard of.
	Heard(from uint64, sessions []int64)
	// Ask answers a question. The context ends when who asked does not wait any more. An error is
	// sent back as text; *AskError with its code.
	Ask(ctx context.Context, from uint64, kind uint8, body []byte) ([]byte, error)
	// Image takes an image: m (a MsgSnap) names it, body ends with io.EOF after its last byte, and
	// with another error if it was cut. Nil says that it has arrived whole and was taken.
	Image(ctx context.Context, from uint64, m *pb.Message, body io.Reader) error
	// Gone is told that node's process has ended, as far as one can tell: the connection on which
	// its urgent messages came was closed by it, or reset, while we were reading. It must not block.
	Gone(node uint64)
	// Lost is told that messages to node may have been lost, and whether commands were. It is called
	// at once, and then at most every 100 ms for as long as more is lost. Until it has been called,
	// Forward to that node refuses: so what is forwarded afterwards can begin with what was lost. It must not
	// block, and may call Forward.
	Lost(node uint64, commands bool)
}

// Config is what a Peers is made of.
type Config struct {
	Self     uint64       // our node; its low byte is our number. Required
	Cluster  uint64       // 0: not known yet, see SetCluster
	Listener net.Listener // required; closed by Run
	TLS      *TLS         // nil: plain
	// Address returns where the server of a number listens. Required; it must not block.
	Address func(id uint8) (hostport string, ok bool)
	// Host returns the hosts of a server's addresses, one of which its certificate must name; none
	// if the number is in no table, whose certificate then only has to be one of the cluster's.
	// Nil: as if it returned none. Used with TLS only.
	Host func(id uint8) []string
	// Allowed says whether a node may send messages, commands and images: a member, a learner or a
	// candidate. It is asked often, from many goroutines, and must not block. Required.
	Allowed func(node uint64) bool
	// Removed says whether a node that is not allowed once was a member. Nil: nobody was.
	Removed func(node uint64) bool
	Handler Handler // required
	// Image writes the body of the image that m (a MsgSnap) names. It is called by a goroutine of
	// this package; ImageSent is then told whether it has arrived. Nil: none is sent.
	Image     func(m *pb.Message, w io.Writer) error
	ImageSent func(node uint64, arrived bool)
	// Refused is told that another server refused us, in a handshake, by a *RefusedError. Optional.
	// It must not block.
	Refused func(id uint8, err error)
	Logger  *slog.Logger // nil means silence
	Limits  Limits
}

// Limits bound what is kept and how long is waited. Zero means the default.
type Limits struct {
	// UrgentBytes bounds what waits on one urgent connection, sessions heard of included. When it
	// is full, messages are dropped and Hear refuses. Zero means 4 MiB.
	UrgentBytes int
	// QueueBytes bounds what waits on one bulk connection. When it is full, messages are dropped.
	// It should exceed what Raft has in flight to one peer. Zero means 32 MiB.
	QueueBytes int
	// CommandBytes bounds what waits on one command connection. When it is full, Forward refuses
	// with ErrFull. Zero means 32 MiB.
	CommandBytes int
	// FrameBytesMax is the longest frame that is taken, so the longest command, entry or sum of
	// entries in one message of Raft. A longer one is refused, or dropped, by who would send it.
	// It must not differ between servers. Zero means 64 MiB.
	FrameBytesMax int
	// AskBytesMax is the longest question and the longest answer. Zero means 1 MiB.
	AskBytesMax int
	// AsksMax is how many questions of one connection are worked on at a time; when there are more,
	// the connection is not read. Zero means 64.
	AsksMax int
	// ImagesMax is how many images are received at a time; another sender is told to try again.
	// Zero means 2.
	ImagesMax int
	// ConnectionsMax is how many accepted connections there may be. Beyond it, a new one is closed
	// at once. Zero means 1024.
	ConnectionsMax int
	// OpeningsMax is how many of those may be in their handshake. Zero means 128.
	OpeningsMax int
	// PeersMax is how many nodes there may be that we send to. Messages to more are dropped. Zero
	// means 512: a number has more than one node for a while after a replacement.
	PeersMax int

	// HandshakeTimeout is how long a handshake may take, on either side. Zero means 10 s.
	HandshakeTimeout time.Duration
	// DialTimeout is how long connecting may take. Zero means 2 s.
	DialTimeout time.Duration
	// StallTimeout is how long a connection may take nothing of what is written. Zero means 5 s.
	StallTimeout time.Duration
	// ImageTimeout is how long a receiver may take to install an image after its last byte, and
	// a sender to continue. Zero means 10 minutes.
	ImageTimeout time.Duration
	// RedialMin and RedialMax bound the pause before a connection is dialled again; it doubles, and
	// is shortened by chance by up to a half. Zero means 20 ms and 1 s.
	RedialMin, RedialMax time.Duration
}

func (l Limits) complete() Limits {
	for _, f := range []struct {
		field     *int
		otherwise int
	}{
		{&l.UrgentBytes, 4 << 20},
		{&l.QueueBytes, 32 << 20},
		{&l.CommandBytes, 32 << 20},
		{&l.FrameBytesMax, 64 << 20},
		{&l.AskBytesMax, 1 << 20},
		{&l.AsksMax, 64},
		{&l.ImagesMax, 2},
		{&l.ConnectionsMax, 1024},
		{&l.OpeningsMax, 128},
		{&l.PeersMax, 512},
	} {
		if *f.field == 0 {
			*f.field = f.otherwise
		}
	}
	for _, f := range []struct {
		field     *time.Duration
		otherwise time.Duration
	}{
		{&l.HandshakeTimeout, 10 * time.Second},
		{&l.DialTimeout, 2 * time.Second},
		{&l.StallTimeout, 5 * time.Second},
		{&l.ImageTimeout, 10 * time.Minute},
		{&l.RedialMin, 20 * time.Millisecond},
		{&l.RedialMax, time.Second},
	} {
		if *f.field == 0 {
			*f.field = f.otherwise
		}
	}
	return l
}

func (c Config) complete() Config {
	c.Limits = c.Limits.complete()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Host == nil {
		c.Host = func(uint8) []string { return nil }
	}
	if c.Removed == nil {
		c.Removed = func(uint64) bool { return false }
	}
	if c.Refused == nil {
		c.Refused = func(uint8, error) {}
	}
	if c.ImageSent == nil {
		c.ImageSent = func(uint64, bool) {}
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Self == 0:
		return errors.New("peer: Self is 0")
	case c.Listener == nil:
		return errors.New("peer: Listener is missing")
	case c.Address == nil:
		return errors.New("peer: Address is missing")
	case c.Allowed == nil:
		return errors.New("peer: Allowed is missing")
	case c.Handler == nil:
		return errors.New("peer: Handler is missing")
	case c.TLS == nil:
		return nil
	case c.TLS.Server == nil || c.TLS.Client == nil:
		return errors.New("peer: TLS needs both its sides")
	case c.TLS.Server.GetConfigForClient == nil && c.TLS.Server.ClientAuth != tls.RequireAndVerifyClientCert:
		return errors.New("peer: TLS does not demand certificates of clients")
	}
	return nil
}
