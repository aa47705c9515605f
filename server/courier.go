package server

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/session"
)

// courier carries between the feed, the replica of this server and those of the others: commands to
// whoever leads, and what arrives from peers to whom it is for.
type courier struct{ *Server }

var (
	_ feed.Log          = courier{}
	_ replica.Transport = courier{}
)

// Propose is part of feed.Log.
func (c courier) Propose(leader, term uint64, commands [][]byte) error {
	if leader != uint64(c.node) {
		return c.peers.Forward(leader, term, commands)
	}
	r := c.replica.Load()
	if r == nil {
		return replica.ErrStopped
	}
	return r.Propose(term, commands)
}

// ReadIndex is part of feed.Log.
func (c courier) ReadIndex(done func(index uint64, err error)) error {
	r := c.replica.Load()
	if r == nil {
		return replica.ErrStopped
	}
	return r.ReadIndex(done)
}

// Send is part of replica.Transport.
func (c courier) Send(messages []*pb.Message) {
	if c.peers != nil {
		c.peers.Send(messages)
	}
}

// Messages is part of peer.Handler. What finds no room is dropped, which Raft repairs.
func (c courier) Messages(_ uint64, messages []*pb.Message) {
	if r := c.replica.Load(); r != nil {
		_ = r.Receive(messages...)
	}
}

// retryProposal is how long a forwarded batch waits for room among the proposals before it asks again.
const retryProposal = time.Millisecond

// Commands is part of peer.Handler. To wait here is what slows a follower down that sends too much.
func (c courier) Commands(_, term uint64, commands [][]byte) error {
	for {
		r := c.replica.Load()
		if r == nil {
			return replica.ErrStopped
		}
		err := r.Propose(term, commands)
		if !errors.Is(err, replica.ErrOverloaded) {
			return err
		}
		select {
		case <-time.After(retryProposal):
		case <-c.signals.stopping:
			return replica.ErrStopped
		}
	}
}

// Heard is part of peer.Handler.
func (c courier) Heard(_ uint64, sessions []int64) { c.touches.add(sessions) }

// Ask is part of peer.Handler.
func (c courier) Ask(ctx context.Context, from uint64, kind uint8, body []byte) ([]byte, error) {
	return c.answer(ctx, from, kind, body)
}

// Image is part of peer.Handler.
func (c courier) Image(ctx context.Context, _ uint64, m *pb.Message, body io.Reader) error {
	return c.images.take(ctx, m, body)
}

// Gone is part of peer.Handler.
func (c courier) Gone(node uint64) {
	if r := c.replica.Load(); r != nil {
		_ = r.Gone(node)
	}
}

// Lost is part of peer.Handler.
func (c courier) Lost(node uint64, commands bool) {
	r := c.replica.Load()
	if r == nil {
		return
	}
	_ = r.Unreachable(node)
	if commands && r.Status().Leader == node {
		c.feed.Resend()
	}
}

// touches are sessions that other servers heard of since the reaper last asked. Bound: touchesMax; what
// is beyond it is heard of again within a third of its time-out.
type touches struct {
	mu  sync.Mutex // guards ids
	ids []session.ID
}

const touchesMax = 1 << 21

func (t *touches) add(sessions []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range sessions[:min(len(sessions), touchesMax-len(t.ids))] {
		t.ids = append(t.ids, session.ID(id))
	}
}

// take returns what was added, with own before it, and forgets it.
func (t *touches) take(own []session.ID) []session.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append(own, t.ids...)
	t.ids = nil
	return all
}
