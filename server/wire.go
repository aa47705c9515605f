package server

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/peer"
	"github.com/grovekeeper/grove/server/reaper"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

const (
	// pendingBytesMax bounds the commands of this server between a connection and the applier.
	pendingBytesMax = 16 << 20
	// checkpointBytes of log are enough for a checkpoint, however few entries they are.
	checkpointBytes = 64 << 20
	// aloneID is the number of a server that was not given one.
	aloneID = 1
)

// identify says who this server is: what its directory says, or what is written there now. A cluster of
// 0 in the result means that the others must be found first.
func (s *Server) identify(machine *state.Machine) (checkpoint.Meta, error) {
	meta, written := s.disk.store.Meta()
	id := member.ID(s.cfg.ID)
	if written {
		s.node = member.Node(meta.Member)
		if id != 0 && id != s.node.ID() {
			return meta, fmt.Errorf("%s belongs to server %d, and this is server %d", s.cfg.Dir, s.node.ID(), id)
		}
		if len(s.cfg.Peers.Members) == 0 && len(meta.Members) == 0 {
			return meta, fmt.Errorf("%s belongs to server %d, which has not become part of a quorum yet, and no peers are given",
				s.cfg.Dir, s.node.ID())
		}
		return meta, nil
	}
	if len(s.cfg.Peers.Members) > 0 {
		s.node = member.NewNode(id, randomUint64())
		meta = checkpoint.Meta{Member: uint64(s.node)}
		return meta, s.disk.store.Write(machine.View(), checkpoint.Recent{}, meta)
	}
	// A cluster of this server alone. Its node has no incarnation: a directory that is lost takes the
	// whole cluster with it.
	s.node = member.Node(max(id, aloneID))
	var out state.Outcome
	start := replica.Bootstrap(uint64(s.node))
	machine.Apply(1, nil, &out) // the entry that a bootstrapped log begins after
	meta = checkpoint.Meta{
		Cluster: randomUint64(), Member: uint64(s.node), Incarnation: randomUint64(),
		Term: start.Term, Members: start.ConfState,
	}
	if err := s.disk.store.Write(machine.View(), checkpoint.Recent{}, meta); err != nil {
		return meta, err
	}
	meta, _ = s.disk.store.Meta()
	return meta, nil
}

// wire makes the parts that do not depend on the others of the quorum.
func (s *Server) wire(machine *state.Machine, meta checkpoint.Meta) {
	recent := s.disk.store.Recent()
	s.members = newMembers(s)
	s.images = &images{s: s, pinned: map[uint64]*state.View{}}
	s.feed = feed.New(feed.Config{
		Machine: machine, Log: courier{s}, Server: s.node.ID(), Term: meta.Term, ConfState: meta.Members,
		Recent: recent.Changes, RecentFrom: recent.From, RecentMax: s.cfg.RecentChangesMax,
		InboxBytesMax: s.cfg.InboxBytesMax, PendingBytesMax: pendingBytesMax,
		SkipACL:    s.cfg.SkipACL,
		OnSessions: func(changes []state.SessionChange) { s.reaper.Sessions(changes) },
		Checkpoint: feed.CheckpointPolicy{Entries: s.cfg.CheckpointEvery, Bytes: checkpointBytes},
	})
	s.front = front.New(s.frontConfig())
	s.reaper = reaper.New(reaper.Config{
		Settings: reaper.Settings{
			TickMs: int64(s.cfg.TickMs), ScanEveryMs: int64(s.cfg.ContainerCheckMs),
			ReapsPerMinute: s.cfg.ContainersPerMinute, NeverUsedMs: int64(s.cfg.ContainerNeverUsedMs),
		},
		Views: s.feed, Log: verdicts{s},
		Heard: func() []session.ID { return s.touches.take(s.front.Heard()) },
	})
}

func (s *Server) frontConfig() front.Config {
	var policy state.Policy
	if s.cfg.SkipACL {
		policy |= state.SkipACL
	}
	if s.cfg.EnforceQuota {
		policy |= state.EnforceQuota
	}
	return front.Config{
		Feed: s.feed, Log: s.log,
		FrameBytesMax: s.cfg.FrameBytesMax, OutstandingMax: s.cfg.OutstandingMax,
		ConnectionsPerAddressMax: s.cfg.ConnectionsPerAddressMax, ConnectionsMax: s.cfg.ConnectionsMax,
		HandshakeTimeout:    time.Duration(s.cfg.HandshakeTimeoutMs) * time.Millisecond,
		SessionTimeoutMinMs: int32(s.cfg.SessionTimeoutMinMs), SessionTimeoutMaxMs: int32(s.cfg.SessionTimeoutMaxMs),
		Policy: policy, SuperDigest: s.cfg.SuperDigest,
		LinearizableReads: s.cfg.LinearizableReads, ReconfigDisabled: s.cfg.NoReconfig,
		Reconfigure: s.members.reconfigure,
		Word:        func(word string, w io.Writer) error { return admin.FourLetter(word, s, w) },
		Random:      func(b []byte) { rand.Read(b) }, // never fails: crypto/rand ends the process instead
	}
}

// table is the membership as this server has it, or as it was given if it has none yet.
func (s *Server) table() member.Table {
	if n := s.feed.View().Nodes.Get(configPath); n != nil && len(n.Data()) > 0 {
		if t, err := member.ParseTable(n.Data()); err == nil {
			return t
		}
	}
	return s.cfg.Peers
}

// peerAddr returns where to listen for other servers, "" for a server alone.
func (s *Server) peerAddr() string {
	if s.cfg.PeerAddr != "" {
		return s.cfg.PeerAddr
	}
	if me, ok := s.table().Find(s.node.ID()); ok {
		return me.PeerAddr()
	}
	return ""
}

// connect makes the connections to other servers, if there are to be any.
func (s *Server) connect(meta checkpoint.Meta) error {
	if s.doors.peers == nil {
		return nil
	}
	s.peers = peer.New(peer.Config{
		Self: meta.Member, Cluster: meta.Cluster, Listener: s.doors.peers, TLS: s.doors.peerTLS(),
		Address: s.members.address, Allowed: s.members.allowed, Host: s.members.hosts,
		Handler: courier{s}, Logger: s.named(),
		Image: s.images.write, ImageSent: s.images.sent,
		Limits: peer.Limits{FrameBytesMax: peerFrameMax(s.cfg)},
	})
	return nil
}

// peerFrameMax is the longest frame between servers: a request of a client goes in one, as a command, which
// is of about its length. Less than the usual must not do: others may let their clients send more.
func peerFrameMax(c Config) int { return max(64<<20, 2*c.FrameBytesMax) }

func portOf(a net.Addr) int {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return -1
}
