package peer

import (
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/mailbox"
)

// frameSlack is what a frame has beside its longest part, generously.
const frameSlack = 4 << 10

// imagesQueued bounds the messages that name images and wait for the one that is being sent. Raft
// sends one at a time; there are more only after changes of term.
const imagesQueued = 4

// remote is what belongs to one node.
type remote struct {
	p    *Peers
	node uint64

	urgent, bulk, commands *link
	// images holds the images to be sent. Bound: imagesQueued. When full, the image is said not to
	// have arrived.
	images *mailbox.Mailbox[*pb.Message]
	sender atomic.Bool  // images has a consumer
	unsent atomic.Int32 // images that were refused and are still to be said so

	used atomic.Bool // something was sent since the last sweep
	lost atomic.Bool // something may have been lost and Lost is due
	seen received

	reported time.Time // when Lost was called last; the reporter's
	idle     time.Time // when used or allowed was seen last; the reporter's
}

// received counts what came from a node.
type received struct{ messages, commands, bytes atomic.Uint64 }

func newRemote(p *Peers, node uint64) *remote {
	r := &remote{p: p, node: node, idle: time.Now()}
	r.urgent = newLink(r, urgent, p.cfg.Limits.UrgentBytes)
	r.bulk = newLink(r, bulk, p.cfg.Limits.QueueBytes)
	r.commands = newLink(r, commands, p.cfg.Limits.CommandBytes)
	r.images = mailbox.New[*pb.Message]("images", imagesQueued)
	return r
}

func (r *remote) close() {
	for _, l := range r.links() {
		l.box.Close()
	}
	r.images.Close()
}

func (r *remote) links() []*link { return []*link{r.urgent, r.bulk, r.commands} }

// send puts a message into the queue of its lane.
func (r *remote) send(m *pb.Message) {
	l := r.urgent
	switch laneOf(m.GetType()) {
	case laneUrgent:
	case laneBulk:
		l = r.bulk
	case laneImage:
		r.sendImage(m)
		return
	default:
		r.p.totals.dropped.Add(1)
		r.p.cfg.Logger.Error("message does not travel", "type", m.GetType(), "peer", r.node)
		return
	}
	weight := weigh(m)
	if weight > r.p.cfg.Limits.FrameBytesMax-frameSlack {
		r.p.totals.dropped.Add(1)
		if r.p.refusals.first(time.Now(), "send", "too large") {
			r.p.cfg.Logger.Error("message is too large to be sent", "type", m.GetType(), "peer", r.node, "bytes", weight)
		}
		r.lose()
		return
	}
	if l.offer(item{m: m}, weight) != nil {
		l.dropped.Add(1)
		r.lose()
	}
}

// lose says that something may have been lost. It never blocks.
func (r *remote) lose() {
	r.lost.Store(true)
	r.p.poke()
}

// poke makes the reporter look.
func (p *Peers) poke() {
	select {
	case p.losses <- struct{}{}:
	default:
	}
}

// kick makes links that pause before they dial again do so now: the node is there.
func (r *remote) kick() {
	for _, l := range r.links() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}
