package front_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
)

// A log that has failed never answers. The server must end all the same, or it would keep its port and
// its lock for ever and nobody could start the next one.
func TestAFrontEndsThoughTheLogIsSilent(t *testing.T) {
	waits := []struct {
		name string
		at   func(h *house, t *testing.T)
	}{
		{"for a session", func(h *house, t *testing.T) {
			h.log.hold()
			h.dial(t).greeting(wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16)})
		}},
		{"for room for one more request", func(h *house, t *testing.T) {
			k := h.open(t)
			h.log.hold()
			for range 5 {
				k.send(wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: anyone})
			}
		}},
		{"to answer what came before a bad frame", func(h *house, t *testing.T) {
			k := h.open(t)
			h.log.hold()
			k.send(wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: anyone})
			k.write([]byte{0x7f, 0xff, 0xff, 0xff})
		}},
		{"to answer what came before the last request", func(h *house, t *testing.T) {
			k := h.open(t)
			h.log.hold()
			k.send(wire.OpCloseSession, nil)
		}},
		{"for the next request", func(h *house, t *testing.T) { h.open(t) }},
		{"for the first request", func(h *house, t *testing.T) { h.dial(t) }},
	}
	for _, w := range waits {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := plan{listen: newPipes(), front: func(c *front.Config) { c.OutstandingMax = 4 }}.build(t)
				w.at(h, t)
				synctest.Wait() // everything waits for something
				h.stop()
			})
		})
	}
}

// A connection that has gone leaves no watch behind, though its last requests were being answered
// when it went. Such a watch would belong to nobody, or to whoever is given the number next.
func TestNoWatchIsArmedForAConnectionThatHasGone(t *testing.T) {
	const reads = 20_000
	h := newHouse(t, func(c *front.Config) { c.OutstandingMax = 2 * reads })
	var b []byte
	for i := range int32(reads) {
		b = wire.AppendRequest(b, i, wire.OpExists, &wire.ExistsRequest{Path: fmt.Sprintf("/%d", i), Watch: true})
	}
	for turn := range 12 {
		k := h.open(t)
		h.log.hold()
		k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1})
		k.write(b)
		h.until(t, func() bool { return h.outstanding() == reads+1 })
		h.log.release()
		for begun := time.Now(); time.Since(begun) < time.Duration(turn)*400*time.Microsecond; {
			// so that it goes at another place each time
		}
		k.c.Close()
		h.until(t, func() bool { return len(h.front.Connections()) == 0 })
	}
	h.stop()
	if n, _, _ := h.feed.WatchCounts(); n != 0 {
		t.Fatalf("%d watches of connections that have gone", n)
	}
}
