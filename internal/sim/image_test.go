package sim

import (
	"bytes"
	"errors"
	"maps"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/server/image"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
)

var errNoImage = errors.New("image is not here any more")

// imageOf writes a view down.
func imageOf(v *state.View) []byte {
	var b bytes.Buffer
	if err := image.Write(&b, v); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}

// machineOf is the inverse.
func machineOf(b []byte) (*state.Machine, error) { return image.Read(bytes.NewReader(b)) }

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

// Latest is part of replica.Images: the state as it is now.
func (n *server) Latest() (replica.Image, bool) {
	v, term, conf := n.feed.Latest()
	if len(conf) == 0 || v.Zxid == 0 {
		return replica.Image{}, false
	}
	n.pinned[uint64(v.Zxid)] = v
	return replica.Image{Index: uint64(v.Zxid), Term: term, ConfState: conf}, true
}

// imageBody writes the image that m names.
func (n *server) imageBody(m *pb.Message) ([]byte, error) {
	v := n.pinned[m.GetSnapshot().GetMetadata().GetIndex()]
	if v == nil {
		return nil, errNoImage
	}
	return imageOf(v), nil
}

// takeImage reads an image that has come, and then lets Raft know of it.
func (n *server) takeImage(m *pb.Message, body []byte) bool {
	machine, err := machineOf(body)
	if err != nil || uint64(machine.Zxid()) != m.GetSnapshot().GetMetadata().GetIndex() {
		n.s.note("torn image", uint64(n.id), uint64(len(body)), 0, "")
		return false
	}
	n.arrived[uint64(machine.Zxid())] = machine
	n.receive(m)
	return true
}

// Install is part of replica.Images. The state is on disk before anybody sees it.
func (n *server) Install(i replica.Image) error {
	machine := n.arrived[i.Index]
	if machine == nil {
		return errNoImage
	}
	maps.DeleteFunc(n.arrived, func(index uint64, _ *state.Machine) bool { return index <= i.Index })
	m := meta{n.node, i.Index, i.Term, i.ConfState, true}
	if err := n.writeCheckpoint(m, imageOf(machine.View())); err != nil {
		return err
	}
	n.meta = m
	n.s.note("install", uint64(n.id), i.Index, i.Term, "")
	n.s.mark(markImages)
	was := n.feed.View()
	n.feed.Install(machine, i.Term, i.ConfState)
	n.s.truth.compare(n, n.feed.View())
	for _, k := range n.conns {
		k.installed(was)
	}
	return nil
}

func (n *server) imageSent(peer uint64, arrived bool) {
	n.later(milli, func() {
		_ = n.rep.ImageSent(peer, arrived)
		n.kick()
	})
}
