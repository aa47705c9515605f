package front_test

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// propose puts a command of nobody's connection into the log.
func (h *house) propose(t testing.TB, c state.Command) {
	t.Helper()
	c.Origin = h.feed.Origin()
	if err := h.feed.Submit(nil, []feed.Submission{{Command: state.AppendCommand(nil, &c)}}); err != nil {
		t.Fatal(err)
	}
}

// heap returns the bytes of live objects.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A client that takes nothing is cut off, whichever goroutine of its connection is stuck in a Write and
// whatever it is that piles up.
func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	const inboxMax = 256 << 10
	idle := func(*client) {}
	flood := func(k *client) { // until nothing more is read from it: then its reader is in a Write
		k.c.SetWriteDeadline(time.Now().Add(time.Second))
		for b := pings(1000); ; {
			if _, err := k.c.Write(b); err != nil {
				return
			}
		}
	}
	storm := func(t *testing.T, h *house, _ *client) {
		path := "/" + strings.Repeat("x", 1000)
		h.propose(t, state.Command{Kind: state.OpenSession, TimeoutMs: 4000})
		synctest.Wait()
		owner := session.ID(1<<56 | h.feed.View().Zxid)
		make := state.Command{Kind: state.Create, Session: owner, Epoch: 1, Op: state.Op{Kind: state.Create, Path: path, ACL: open31}}
		h.propose(t, make)
		set := state.Command{Kind: state.Set, Session: owner, Epoch: 1, Op: state.Op{Kind: state.Set, Path: path, Version: -1}}
		for range 4000 {
			h.propose(t, set)
			synctest.Wait()
		}
	}
	expire := func(t *testing.T, h *house, k *client) {
		h.propose(t, state.Command{Kind: state.ExpireSession, Session: session.ID(k.id), Epoch: 1})
	}
	for _, tc := range []struct {
		name   string
		before func(*client)
		cause  func(*testing.T, *house, *client)
	}{
		{"events, the responder stuck", idle, storm},
		{"events, the reader stuck", flood, storm},
		{"the session expires, the reader stuck", flood, expire},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := plan{
					listen: newPipes(),
					front:  func(c *front.Config) { c.OutstandingMax = 100 },
					feed:   func(c *feed.Config) { c.InboxBytesMax, c.RecentMax = inboxMax, 1 },
				}.build(t)
				k := h.open(t)
				k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/", Mode: wire.ModePersistentRecursive})
				tc.before(k)
				prior := heap()
				tc.cause(t, h, k)
				// What was written, what is gathered to be written, and what waits in the inbox, each in
				// buffers of up to twice the size.
				if grown := heap() - prior; grown > 8*inboxMax {
					t.Errorf("%d KiB are kept for a client that takes nothing", grown>>10)
				}
				time.Sleep(5 * time.Second)
				if n := len(h.front.Connections()); n != 0 {
					t.Fatal("the connection is still open")
				}
			})
		})
	}
}

// pings returns n pings in their frames.
func pings(n int) (b []byte) {
	for range n {
		b = wire.AppendRequest(b, wire.XidPing, wire.OpPing, nil)
	}
	return b
}

// Requests that wait behind a write are kept, and whatever follows their records is ignored: together
// that must not be a way to fill the memory.
func TestRequestsThatWaitTakeLittleMemory(t *testing.T) {
	h := newHouse(t, func(c *front.Config) { c.OutstandingMax = 1000 })
	k := h.open(t)
	h.log.hold()
	k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1})
	prior := heap()
	read, mark := wire.BeginFrame(nil)
	read = append(read, wire.AppendRequest(nil, 7, wire.OpExists, &wire.ExistsRequest{Path: "/"})[4:]...)
	read = wire.EndFrame(append(read, make([]byte, wire.MaxFrame-100)...), mark)
	k.c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	sent := 0
	for ; sent < 100; sent++ {
		if _, err := k.c.Write(read); err != nil {
			break // it is not read any more, which is as good
		}
	}
	if grown := heap() - prior; grown > 6<<20 {
		t.Errorf("%d MiB are kept for %d requests", grown>>20, sent)
	}
	h.log.release()
}
