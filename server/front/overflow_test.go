package front_test

import (
	"encoding/binary"
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// A connection that is about to be cut off, because more events came than may wait for it, is shown
// nothing that those events belonged before: what it saw last decides what it is told when it comes back.
func TestNothingIsShownWithoutTheEventsThatWereDropped(t *testing.T) {
	h := plan{feed: func(c *feed.Config) { c.InboxBytesMax = 600 }}.build(t)
	writer := h.open(t)
	writer.create("/n", "", 0)
	for range 40 {
		k := h.open(t)
		at := k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/n"}).Zxid
		var reads []byte
		for range 3000 {
			k.xid++
			reads = wire.AppendRequest(reads, k.xid, wire.OpGetData, &wire.PathWatchRequest{Path: "/n"})
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = k.c.Write(reads) // until it is cut off
		}()
		for range 100 {
			h.log.elsewhere(state.Command{
				Kind: state.Set, Session: session.ID(writer.id), Epoch: 1,
				Op: state.Op{Kind: state.Set, Path: "/n", Version: -1},
			})
		}
		told := at
		for {
			b, err := k.next()
			if err != nil {
				break
			}
			xid, zxid := int32(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint64(b[4:]))
			if xid == wire.XidNotification {
				told = zxid
			} else if zxid > told {
				t.Fatalf("shown %d, told up to %d", zxid, told)
			}
		}
		k.c.Close()
		<-sent
	}
}
