package server

import (
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/znode"
)

// hearsay is the membership as another server has applied it. Who was away while it changed, or never
// knew it, would not let in who leads now, nor find the way there; and only from there could it learn.
type hearsay struct {
	zxid  znode.Zxid
	table member.Table
	nodes []uint64 // voters, old and new, and learners
}

// askEveryone is how often a server that has no place or no leader asks the others about both.
const askEveryone = candidateLife / 6

// seen is the membership as this server has applied it; its zxid is 0 if there is none.
func (m *members) seen() hearsay {
	v, _, conf := m.s.feed.Latest()
	h := hearsay{zxid: v.Zxid}
	if n := v.Nodes.Get(configPath); n != nil {
		h.table, _ = member.ParseTable(n.Data()) // look complains
	}
	var state pb.ConfState
	if proto.Unmarshal(conf, &state) != nil || len(state.GetVoters()) == 0 {
		return hearsay{}
	}
	h.nodes = slices.Concat(state.GetVoters(), state.GetVotersOutgoing(), state.GetLearners(), state.GetLearnersNext())
	return h
}

func (h hearsay) append(b []byte) []byte {
	b = codec.AppendInt64(b, int64(h.zxid))
	b = codec.AppendBytes(b, h.table.Append(nil))
	b = codec.AppendCount(b, len(h.nodes))
	for _, n := range h.nodes {
		b = codec.AppendUint64(b, n)
	}
	return b
}

func decodeHearsay(b []byte) (h hearsay, err error) {
	r := codec.NewReader(b)
	h.zxid = znode.Zxid(r.Int64())
	text := r.Bytes()
	for range r.Count(8) {
		h.nodes = append(h.nodes, r.Uint64())
	}
	if r.Err() != nil {
		return hearsay{}, r.Err()
	}
	h.table, err = member.ParseTable(text)
	return h, err
}

// inquire asks everybody known what the membership is, and notes what is newer than what is known here.
// It returns an error if this server belongs to it no more: nobody else will ever tell it.
func (m *members) inquire(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	for id, body := range m.s.askEach(asking, m.everyone(), askMembers, nil) {
		h, err := decodeHearsay(body)
		if err != nil {
			m.s.log.Warn("answer about the membership is not understood", "peer", id, "err", err)
			continue
		}
		if err := m.hear(id, h); err != nil {
			return err
		}
	}
	return nil
}

// hear takes note of what another server said. A node that was a member, and is none in a later state,
// has been removed and is never taken back.
func (m *members) hear(from member.ID, h hearsay) error {
	own, node := m.seen(), uint64(m.s.node)
	if h.zxid > own.zxid && slices.Contains(own.nodes, node) && !slices.Contains(h.nodes, node) {
		return fmt.Errorf("%s is of no member any more, says server %d; with an empty directory this server can ask "+
			"to be let in: %w", m.s.cfg.Dir, from, replica.ErrRemoved)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.zxid > max(own.zxid, m.told.zxid) {
		m.told = h
	}
	return nil
}

// news returns what others said, as long as it is newer than what this server has applied. The caller
// holds mu.
func (m *members) news() hearsay {
	if m.told.zxid > m.s.feed.View().Zxid {
		return m.told
	}
	return hearsay{}
}

// everyone is all that this server could ask, each number once, from the best source.
func (m *members) everyone() member.Table {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all member.Table
	for _, t := range []member.Table{m.told.table, m.table, m.s.cfg.Peers} {
		for _, one := range t.Members {
			same := func(m member.Member) bool { return m.ID == one.ID }
			if !slices.ContainsFunc(all.Members, same) {
				all.Members = append(all.Members, one)
			}
		}
	}
	return all
}
