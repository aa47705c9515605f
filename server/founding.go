package server

import (
	"context"
	"fmt"
	"time"

	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
)

// The times of a server that looks for its cluster.
const (
	askEvery      = 100 * time.Millisecond
	askPatience   = time.Second
	complainEvery = 5 * time.Second
)

// join finds the cluster that this server belongs to, or founds it with the others: then the server has a
// place to start from on disk, and a replica. It also returns nil when ctx ends, which is no failure of
// its own. docs/design/membership.md tells the rules.
func (s *Server) join(ctx context.Context) error {
	complained := time.Now()
	for {
		v := s.round(ctx)
		switch v.Kind {
		case member.Bootstrap:
			return s.bootstrap(v)
		case member.Join:
			return s.adopt(v)
		case member.Refuse:
			return v.Err
		}
		s.members.see(v.Sees)
		if now := time.Now(); now.Sub(complained) > complainEvery {
			complained = now
			s.log.Info("the first start waits for all servers", "missing", v.Missing, "unsure", v.Unsure, "err", v.Err)
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// round asks every other server who it is, and decides.
func (s *Server) round(ctx context.Context) member.Verdict {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	mine := s.members.answer()
	answers := map[member.ID]member.Answer{}
	for id, body := range s.askEach(ctx, s.cfg.Peers, askWho, mine.Append(nil)) {
		if a, err := member.DecodeAnswer(body); err == nil {
			answers[id] = a
		}
	}
	return member.Found(mine, s.cfg.Peers, answers)
}

// bootstrap founds the cluster: every founder writes the same first state.
func (s *Server) bootstrap(v member.Verdict) error {
	start := replica.BootstrapWith(toNodes(v.Voters), toNodes(v.Learners))
	c := configure(v.Table)
	s.feed.Apply([]replica.Entry{{
		Index: start.Index, Term: start.Term, ConfState: start.ConfState, Data: state.AppendCommand(nil, &c),
	}})
	s.log.Info("cluster founded", "cluster", fmt.Sprintf("%016x", v.Cluster), "members", len(v.Table.Members))
	return s.begin(checkpoint.Meta{
		Cluster: v.Cluster, Member: uint64(s.node), Term: start.Term, Members: start.ConfState,
	})
}

// adopt makes this server one of a cluster that exists. It has nothing until the leader sends an image.
func (s *Server) adopt(v member.Verdict) error {
	s.log.Info("joining", "cluster", fmt.Sprintf("%016x", v.Cluster), "node", s.node, "known", v.Known)
	return s.begin(checkpoint.Meta{Cluster: v.Cluster, Member: uint64(s.node)})
}

// begin writes down where this server starts, and opens the log there.
func (s *Server) begin(meta checkpoint.Meta) error {
	if err := s.disk.store.Write(s.feed.View(), checkpoint.Recent{}, meta); err != nil {
		return err
	}
	meta, _ = s.disk.store.Meta()
	s.peers.SetCluster(meta.Cluster, uint64(s.node))
	return s.openReplica(meta)
}

func toNodes(list []member.Node) []uint64 {
	out := make([]uint64, len(list))
	for i, n := range list {
		out[i] = uint64(n)
	}
	return out
}
