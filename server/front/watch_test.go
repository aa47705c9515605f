package front_test

import (
	"fmt"
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
)

// Between a read and the watch that it leaves, no change gets lost: a client that reads again whenever it
// is told ends with the last value.
func TestNoChangeIsLostBetweenReadAndWatch(t *testing.T) {
	const writes = 3000
	h := newHouse(t, nil)
	w, k := h.open(t), h.open(t)
	w.create("/a", "", 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range writes {
			w.send(wire.OpSetData, &wire.SetDataRequest{Path: "/a", Version: -1})
			if i%10 == 9 {
				for range 10 {
					w.reply()
				}
			}
		}
	}()
	told, seen := 0, int32(0)
	for seen < writes {
		a := k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: true})
		var m wire.GetDataResponse
		m.Decode(&a.body)
		if seen = m.Stat.Version; seen == writes {
			break
		}
		ev := k.reply() // there is a later version, so it must come
		if ev.Xid != wire.XidNotification || ev.Zxid <= a.Zxid {
			t.Fatalf("xid %d @%d, want an event of a change after %d", ev.Xid, ev.Zxid, a.Zxid)
		}
		told++
	}
	<-done
	t.Logf("told %d times of %d changes", told, writes)
}

// A client with lasting watches that loses its connection again and again, and returns as clients do,
// is told of every change: by the watch, or as missed. Beyond the ring it knows at least how it ended.
func TestLastingWatchesOutliveConnections(t *testing.T) {
	const writes, lives = 4000, 25
	for _, ring := range []int{100_000, 50} {
		t.Run(fmt.Sprintf("ring=%d", ring), func(t *testing.T) {
			h := plan{feed: func(c *feed.Config) { c.RecentMax = ring }}.build(t)
			w, k := h.open(t), h.open(t)
			w.create("/a", "", 0)
			w.create("/a/b", "", 0)
			first := k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/a", Mode: wire.ModePersistentRecursive}).Zxid
			done := make(chan []int64)
			go func() {
				var zxids []int64
				for i := range writes {
					w.send(wire.OpSetData, &wire.SetDataRequest{Path: []string{"/a", "/a/b"}[i%2], Version: -1})
					if i%20 == 19 {
						for range 20 {
							zxids = append(zxids, w.reply().Zxid)
						}
					}
				}
				done <- zxids
			}()
			told, last := map[int64]bool{}, first
			var zxids []int64
			for life := 0; zxids == nil || life < lives; life++ {
				if life > 0 {
					k = k.back(h, last)
				}
				for i := range 40 { // frames, in the middle of which it leaves
					if i%4 == 0 {
						k.send(wire.OpPing, nil)
					}
					a := k.reply()
					if a.Xid == wire.XidNotification {
						told[a.Zxid] = true
					} else {
						last = a.Zxid
					}
					if a.Xid != wire.XidNotification && a.Xid != wire.XidPing {
						break // it has caught up
					}
				}
				k.c.Close()
				select {
				case zxids = <-done:
				default:
				}
			}
			k = k.back(h, last)
			for {
				a := k.reply()
				if a.Xid != wire.XidNotification {
					break
				}
				told[a.Zxid] = true
			}
			if ring < writes {
				zxids = zxids[len(zxids)-ring:]
			}
			for _, z := range zxids {
				if !told[z] {
					t.Fatalf("the change @%d was not told, by %d told in %d lives", z, len(told), lives)
				}
			}
		})
	}
}

// back attaches to the session through a new connection and asks for the watch again. The reply to that
// is not taken.
func (k *client) back(h *house, last int64) *client {
	k.t.Helper()
	now := h.dial(k.t)
	if r := now.hello(wire.ConnectRequest{TimeoutMs: 10000, SessionID: k.id, Password: k.pass, LastZxidSeen: last}); r.SessionID != k.id {
		k.t.Fatalf("no return to %#x", k.id)
	}
	now.xid = 100
	now.send(wire.OpSetWatches2, &wire.SetWatches2Request{
		SetWatchesRequest:   wire.SetWatchesRequest{RelativeZxid: last},
		PersistentRecursive: []string{"/a"},
	})
	return now
}
