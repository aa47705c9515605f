package server

import (
	"slices"
	"time"

	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
)

// mode is what the server is to its quorum, in ZooKeeper's words.
func (s *Server) mode() string {
	switch r := s.replica.Load(); {
	case s.peers == nil:
		return "standalone"
	case r == nil:
		return "follower"
	case s.front.Mode() == front.ReadOnly:
		return "read-only"
	default:
		return role(r.Status())
	}
}

func role(status replica.Status) string {
	switch {
	case status.Role == replica.Leader:
		return "leader"
	case slices.Contains(status.Learners, status.ID):
		return "observer"
	}
	return "follower"
}

// quorum shows the quorum as it looks from here, nil if the server is alone.
func (s *Server) quorum() *admin.Quorum {
	r := s.replica.Load()
	if s.peers == nil || r == nil {
		return nil
	}
	status := r.Status()
	q := &admin.Quorum{
		Voters: int64(len(status.Voters)), Leader: int64(member.Node(status.Leader).ID()),
		Leading: status.Role == replica.Leader,
	}
	pending, _ := s.feed.Pending()
	figures := s.peers.Stats()
	q.Pending, q.Diverged = int64(pending), s.meters.diverged.Load()
	q.Refused, q.Corrupt, q.Lost = int64(figures.Refused), int64(figures.Corrupt), int64(figures.Lost)
	if one, ok := s.members.find(member.Node(status.Leader).ID()); ok {
		q.LeaderHost = one.Addrs[0].Host
	}
	if !q.Leading {
		return q
	}
	q.LeaderUptimeMs = time.Since(s.members.ledSince()).Milliseconds()
	for node, p := range status.Progress {
		if node == status.ID {
			continue
		}
		inStep := p.Active && p.Match+behindMax >= status.LastIndex
		switch q.Learners++; {
		case inStep && p.Learner:
			q.SyncedObservers++
		case inStep:
			q.SyncedFollowers++
		}
	}
	return q
}

// behindMax is how many entries a member may be behind and still count as in step.
const behindMax = 10_000

// place is what this server is configured with as a member, nil if it is alone.
func (s *Server) place() *admin.Member {
	if s.peers == nil {
		return nil
	}
	t := s.table()
	m := &admin.Member{Table: t.String()}
	if me, ok := t.Find(s.node.ID()); ok {
		m.QuorumPort, m.ElectionPort = me.Addrs[0].QuorumPort, me.Addrs[0].ElectionPort
		m.Observer = me.Role == member.Observer
	}
	return m
}
