package server

import (
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
)

// What a client may send goes through a quorum, from whichever server, however long it is: nothing that
// follows it waits for ever.
func TestTheLongestRequestGoesThrough(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a gigabyte")
	}
	q := newQuorum(t, 3)
	q.tune = func(c *Config) { c.FrameBytesMax = 80 << 20; c.TickMs = 2000 }
	q.start(1, 2, 3)
	q.await(1, 2, 3)
	leader := q.leader()
	c := q.dial(q.other(leader), nil)
	c.create("/q", 0)
	c.ask(wire.OpSetData, &wire.SetDataRequest{Path: "/q", Data: make([]byte, 70<<20), Version: -1})
	c.create("/q/a", 0)
	q.agree(c.zxid)
}
