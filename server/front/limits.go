package front

import (
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// What one request may ask for. No client in good faith comes near these numbers; without them a small
// request could take the memory of the server, or the time of the one goroutine that applies.
const (
	aclEntriesMax    = 256      // of one list: each is compared with all before it
	identitiesMax    = 64       // of one connection: every command carries them
	identityBytesMax = 16 << 10 // likewise, together
	replyBytesMax    = 32 << 20 // of one reply
	watchPathMax     = 4 << 10  // bytes of a path that is watched: the table keeps it
)

// What clients may hold when Config does not say otherwise.
const (
	watchesPerConnectionMax = 100_000
	watchesMax              = 5_000_000
)

// arm arms a watch for the connection, unless it has as many as it may, or all together have, or it has
// left: then its number may be another's.
func (c *conn) arm(w *watch.Table, path string, kind watch.Kind) bool {
	if c.ending {
		return false
	}
	id, cfg := c.inbox.ID(), &c.front.cfg
	full := w.Held(id) >= cfg.WatchesPerConnectionMax || w.Watches() >= cfg.WatchesMax || len(path) > watchPathMax
	if full && !w.Armed(id, path, watch.All) {
		return false
	}
	return w.Arm(id, path, kind)
}

// tooLong says whether the reply begun at mark is more than a client is sent.
func tooLong(b []byte, mark int) bool { return len(b)-mark > replyBytesMax }

// listsTooMuch says whether an access list of the command is longer than one may be.
func listsTooMuch(c *state.Command) bool {
	for i := range c.Multi {
		if len(c.Multi[i].ACL) > aclEntriesMax {
			return true
		}
	}
	return len(c.Op.ACL) > aclEntriesMax
}

// carry says whether commands may carry so many identities.
func carry(ids []znode.Identity) bool {
	bytes := 0
	for _, id := range ids {
		bytes += len(id.Scheme) + len(id.ID)
	}
	return len(ids) <= identitiesMax && bytes <= identityBytesMax
}
