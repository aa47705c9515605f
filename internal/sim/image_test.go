package sim

import (
	"errors"
	"fmt"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// imageOf writes a view down.
func imageOf(v *state.View) []byte {
	b := codec.AppendBytes(nil, state.AppendMeta(nil, v.Meta()))
	b = codec.AppendCount(b, v.Nodes.Len())
	v.Nodes.Walk(func(n *znode.Node) bool {
		b = codec.AppendBytes(b, znode.AppendNode(nil, n))
		return true
	})
	b = codec.AppendCount(b, v.Sessions.Len())
	v.Sessions.Walk(func(s session.Session) bool {
		b = codec.AppendBytes(b, session.AppendSession(nil, s))
		return true
	})
	return b
}

// machineOf is the inverse.
func machineOf(b []byte) (*state.Machine, error) {
	r := codec.NewReader(b)
	meta, err := state.DecodeMeta(r.Bytes())
	if err != nil {
		return nil, err
	}
	nodes, sessions := znode.New(), session.NewTable()
	for range r.Count(4) {
		n, err := znode.DecodeNode(r.Bytes())
		if err == nil {
			err = nodes.Restore(n)
		}
		if err != nil {
			return nil, err
		}
	}
	for range r.Count(4) {
		one, err := session.DecodeSession(r.Bytes())
		if err == nil {
			err = sessions.Restore(one)
		}
		if err != nil {
			return nil, err
		}
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	return state.Restore(meta, nodes, sessions)
}

// checkpointIfDue writes down what the feed finds worth it, a little later.
func (n *server) checkpointIfDue() {
	select {
	case p := <-n.feed.Checkpoints():
		m := meta{n.node, uint64(p.View.Zxid), p.Term, p.ConfState, false}
		n.later(n.slow*around(n.r, 5*milli), func() {
			if m.index <= n.meta.index {
				return // an image was installed meanwhile
			}
			if err := n.writeCheckpoint(m, imageOf(p.View)); err != nil {
				n.failed(err)
				return
			}
			n.meta = m
			n.s.note("checkpoint", uint64(n.id), m.index, 0, "")
			if below := m.index - min(m.index, n.s.opt.retain); below > 0 {
				_ = n.rep.Released(below)
				n.kick()
			}
		})
	default:
	}
}

// Latest is part of replica.Images.
func (n *server) Latest() (replica.Image, bool) { return replica.Image{}, false }

// Install is part of replica.Images.
func (n *server) Install(i replica.Image) error {
	return errors.New(fmt.Sprint("no images yet: ", i.Index))
}

func (n *server) imageSent(peer uint64, arrived bool) {
	n.later(milli, func() {
		_ = n.rep.ImageSent(peer, arrived)
		n.kick()
	})
}
