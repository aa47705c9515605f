package front

import "github.com/grovekeeper/grove/internal/wire"

// opBarrier is the operation of a request that the server makes of itself. It is answered by nobody
// being told: what stands behind it in the lane is answered by what a quorum has confirmed.
const opBarrier = wire.OpNotification

// enterBarrier puts a barrier into the lane: what enters after it is answered from a view that shows
// everything acknowledged before now. Called with mu held.
func (c *conn) enterBarrier() {
	c.feed.Sync(c.inbox, c.lane.enter(slot{op: opBarrier}))
}

// readsTree says whether an operation shows nodes of the tree to its client.
func readsTree(op wire.Op) bool {
	return op.Class() == wire.ClassRead && op != wire.OpCheckWatches && op != wire.OpWhoAmI
}

// guard puts a barrier before the reads of the batch at hand. One is enough: all of the batch had arrived
// before it is asked for. So is a sync of the client's own; and so is a write: it enters the log after
// all that was acknowledged when the batch arrived, and what stands behind it shows it.
func (c *conn) guard() {
	c.guarded = true
	c.enterBarrier()
}
