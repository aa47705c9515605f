package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/peer"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/znode"
)

// What servers ask one another. The numbers are on the wire: none is used again.
const (
	askWho         uint8 = 1 // an empty server: who are you? Answer both ways
	askAdmit       uint8 = 2 // a server without a place: let me in. Candidate; nothing comes back
	askReconfigure uint8 = 3 // a server whose client asks: change the membership. The leader answers
	askDigest      uint8 = 4 // a follower: is my state yours?
	askMembers     uint8 = 5 // a server without a place or a leader: who are the members? See hearsay
)

// answer answers what another server asks.
func (s *Server) answer(ctx context.Context, from uint64, kind uint8, body []byte) ([]byte, error) {
	switch kind {
	case askWho:
		return s.members.answer().Append(nil), nil
	case askAdmit:
		c, err := member.DecodeCandidate(body)
		if err == nil && uint64(c.Node) != from {
			err = fmt.Errorf("%v asks for %v", member.Node(from), c.Node)
		}
		if err == nil {
			s.members.admit(c, time.Now())
		}
		return nil, err
	case askReconfigure:
		return s.members.answerReconfigure(ctx, body)
	case askDigest:
		return s.compareDigest(member.Node(from), body)
	case askMembers:
		return s.members.seen().append(nil), nil
	}
	return nil, peer.ErrUnknownAsk
}

// askEach asks every other server of a table the same, all at once, and returns what those that answered
// before ctx ended had to say.
func (s *Server) askEach(ctx context.Context, t member.Table, kind uint8, body []byte) map[member.ID][]byte {
	var mu sync.Mutex // guards answers
	answers := map[member.ID][]byte{}
	g, ctx := group.New(ctx)
	for _, one := range t.Members {
		if one.ID == s.node.ID() {
			continue
		}
		g.Go("ask", func() error {
			answer, err := s.peers.Ask(ctx, one.ID, kind, body)
			if err != nil {
				s.log.Debug("no answer", "peer", one.ID, "kind", kind, "err", err)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			answers[one.ID] = answer
			return nil
		})
	}
	_ = g.Wait() // none fails
	return answers
}

// reconfigure is front.Reconfigure. Bound: one a connection.
func (m *members) reconfigure(ctx context.Context, req front.ReconfigRequest, done func(znode.Zxid, error)) {
	m.s.errands.Go("reconfigure", func() error {
		done(m.change(ctx, request(req), req.IDs))
		return nil
	})
}

func request(req front.ReconfigRequest) member.Request {
	return member.Request{Joining: req.Joining, Leaving: req.Leaving, Members: req.Members, From: req.From}
}

var errNoLeader = errors.New("nobody leads")

// change has the membership changed, here or by the leader.
func (m *members) change(ctx context.Context, req member.Request, ids []znode.Identity) (znode.Zxid, error) {
	if m.s.peers == nil {
		return 0, wire.CodeUnimplemented // as Apache ZooKeeper has it on a server alone
	}
	if m.s.cfg.NoReconfig {
		return 0, wire.CodeReconfigDisabled
	}
	status := m.s.replica.Load().Status()
	switch status.Leader {
	case 0:
		return 0, errNoLeader
	case uint64(m.s.node):
		return m.lead(ctx, req, ids)
	}
	// Without a deadline an answer is worked on for less than a change may take.
	ctx, cancel := context.WithTimeout(ctx, reconfigureTime+askPatience)
	defer cancel()
	answer, err := m.s.peers.Ask(ctx, member.Node(status.Leader).ID(), askReconfigure, appendReconfigure(nil, req, ids))
	if err != nil {
		return 0, err
	}
	r := codec.NewReader(answer)
	code, zxid := wire.Code(r.Int32()), r.Int64()
	if r.Err() != nil {
		return 0, r.Err()
	}
	return znode.Zxid(zxid), code.Err()
}

// lead changes the membership as the leader.
func (m *members) lead(ctx context.Context, req member.Request, ids []znode.Identity) (znode.Zxid, error) {
	m.mu.Lock()
	g := m.registrar
	m.mu.Unlock()
	switch {
	case g != nil:
	case m.s.replica.Load().Status().Role == replica.Leader:
		return 0, wire.CodeReconfigInProgress // it has begun to lead this moment
	default:
		return 0, errNoLeader
	}
	outcome := make(chan reconfigured, 1)
	select {
	case g.in <- reconfiguration{req, ids, time.Now().Add(reconfigureTime), outcome}:
	case <-time.After(2 * registerEvery):
		return 0, wire.CodeReconfigInProgress
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case r := <-outcome:
		return r.zxid, told(r.err)
	case <-ctx.Done():
		return 0, ctx.Err() // it goes on
	}
}

// mayChange says whether who asks may write the table.
func (m *members) mayChange(ids []znode.Identity) bool {
	n := m.s.feed.View().Nodes.Get(configPath)
	return m.s.cfg.SkipACL || n != nil && n.ACL().Allows(ids, znode.PermWrite)
}

// told puts an error of the planner in a client's terms, as far as there is one. For a change that its
// leader could not bring to an end there is none: that client's connection ends.
func told(err error) error {
	if errors.Is(err, member.ErrAbandoned) || errors.Is(err, errTooLong) {
		return wire.CodeNewConfigNoQuorum
	}
	if code, ok := front.RefusalOf(err); ok {
		return code
	}
	return err
}

// answerReconfigure is change for another server.
func (m *members) answerReconfigure(ctx context.Context, body []byte) ([]byte, error) {
	req, ids, err := decodeReconfigure(body)
	if err != nil {
		return nil, err
	}
	if m.s.replica.Load() == nil {
		return nil, replica.ErrNotLeader
	}
	zxid, err := m.lead(ctx, req, ids)
	var code wire.Code
	if err != nil && !errors.As(err, &code) {
		return nil, err
	}
	return codec.AppendInt64(codec.AppendInt32(nil, int32(code)), int64(zxid)), nil
}

func appendReconfigure(b []byte, req member.Request, ids []znode.Identity) []byte {
	for _, text := range []string{req.Joining, req.Leaving, req.Members} {
		b = codec.AppendString(b, text)
	}
	b = codec.AppendInt64(b, req.From)
	b = codec.AppendCount(b, len(ids))
	for _, id := range ids {
		b = codec.AppendString(codec.AppendString(b, id.Scheme), id.ID)
	}
	return b
}

func decodeReconfigure(b []byte) (member.Request, []znode.Identity, error) {
	r := codec.NewReader(b)
	req := member.Request{Joining: r.String(), Leaving: r.String(), Members: r.String(), From: r.Int64()}
	const least = 8 // two empty strings
	ids := make([]znode.Identity, 0, min(r.Count(least), 64))
	for r.Err() == nil && r.Len() > 0 {
		ids = append(ids, znode.Identity{Scheme: r.String(), ID: r.String()})
	}
	return req, ids, r.Err()
}

// compareDigest says whether the sender's state at some zxid is this server's, as far as that one is kept.
func (s *Server) compareDigest(from member.Node, body []byte) ([]byte, error) {
	r := codec.NewReader(body)
	zxid, theirs := znode.Zxid(r.Int64()), r.Uint64()
	if r.Err() != nil {
		return nil, r.Err()
	}
	ours, kept := s.feed.DigestAt(zxid)
	if kept && ours != theirs {
		s.meters.diverged.Add(1)
		s.log.Error("states differ", "zxid", zxid, "peer", from)
	}
	return codec.AppendBool(codec.AppendBool(nil, kept), ours == theirs), nil
}
