package front_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
)

// A small request can ask for the largest node as often as it fits into a frame. What would be too much
// to answer is refused before it is gathered.
func TestAnAnswerHasABound(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	k.create("/large", strings.Repeat("x", 1<<20-1000), 0)
	ask := wire.MultiReadRequest{}
	for range 10_000 {
		ask.Ops = append(ask.Ops, wire.MultiReadOp{Op: wire.OpGetData, Path: "/large"})
	}
	if a := k.call(wire.OpMultiRead, &ask); a.Err != wire.CodeBadArguments || a.body.Len() != 0 {
		t.Fatalf("10 GB of answer: %v and %d bytes", a.Err, a.body.Len())
	}
	ask.Ops = ask.Ops[:10]
	if a := k.call(wire.OpMultiRead, &ask); a.Err != wire.CodeOK || a.body.Len() < 10<<20-20_000 {
		t.Fatalf("10 MB of answer: %v and %d bytes", a.Err, a.body.Len())
	}
}

// Every entry of an access list is compared with those before it, by the one goroutine that applies.
func TestAnAccessListHasABound(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	list := make([]wire.ACL, 300)
	for i := range list {
		list[i] = wire.ACL{Perms: int32(i), Scheme: "world", ID: "anyone"}
	}
	many := func(n int) []wire.ACL { return list[:n] }
	multi := func(n int) wire.Record {
		return &wire.MultiRequest{Ops: []wire.MultiOp{
			{Op: wire.OpCreate, Path: "/m", ACL: anyone},
			{Op: wire.OpCreate, Path: "/m/n", ACL: many(n)},
		}}
	}
	before := h.feed.View().Zxid
	for _, w := range []struct {
		op wire.Op
		m  wire.Record
	}{
		{wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: many(257)}},
		{wire.OpCreate2, &wire.CreateRequest{Path: "/a", ACL: many(257)}},
		{wire.OpCreateContainer, &wire.CreateRequest{Path: "/a", ACL: many(257), Flags: 4}},
		{wire.OpCreateTTL, &wire.CreateTTLRequest{CreateRequest: wire.CreateRequest{Path: "/a", ACL: many(257), Flags: 5}, TTL: 1}},
		{wire.OpSetACL, &wire.SetACLRequest{Path: "/", ACL: many(257), Version: -1}},
		{wire.OpMulti, multi(257)},
	} {
		if a := k.call(w.op, w.m); a.Err != wire.CodeInvalidACL {
			t.Errorf("%v with 257 entries: %v", w.op, a.Err)
		}
	}
	if now := h.feed.View().Zxid; now != before {
		t.Errorf("the log has %d entries of what was refused", now-before)
	}
	if a := k.call(wire.OpMulti, multi(256)); a.Err != wire.CodeOK {
		t.Errorf("multi with 256 entries: %v", a.Err)
	}
	if a := k.call(wire.OpSetACL, &wire.SetACLRequest{Path: "/m", ACL: many(256), Version: -1}); a.Err != wire.CodeOK {
		t.Errorf("setACL with 256 entries: %v", a.Err)
	}
}

// Whatever a connection has proved to be goes into the log with each of its writes.
func TestTheIdentitiesOfAConnectionHaveABound(t *testing.T) {
	h := newHouse(t, nil)
	proofs := map[string]func(i int) string{
		"many":  func(i int) string { return fmt.Sprintf("u%d:p", i) },
		"large": func(i int) string { return fmt.Sprintf("u%d%s:p", i, strings.Repeat("x", 4000)) },
	}
	for name, proof := range proofs {
		t.Run(name, func(t *testing.T) {
			k := h.open(t)
			for i := range 100 {
				a := k.call(wire.OpAuth, &wire.AuthRequest{Scheme: "digest", Auth: []byte(proof(i))})
				if a.Err == wire.CodeOK {
					continue
				}
				if a.Err != wire.CodeAuthFailed || i < 3 {
					t.Fatalf("proof %d: %v", i, a.Err)
				}
				k.closed()
				return
			}
			t.Fatal("100 identities are believed")
		})
	}
}

func TestWatchesHaveABound(t *testing.T) {
	h := newHouse(t, func(c *front.Config) { c.WatchesPerConnectionMax, c.WatchesMax = 5, 12 })
	watchers := []*client{h.open(t), h.open(t), h.open(t)}
	exists := func(k *client, i int) wire.Code {
		return k.call(wire.OpExists, &wire.ExistsRequest{Path: fmt.Sprintf("/%d", i), Watch: true}).Err
	}
	for n, room := range []int{5, 5, 2} {
		k := watchers[n]
		for i := range room {
			if err := exists(k, i); err != wire.CodeNoNode {
				t.Fatalf("watch %d of client %d: %v", i, n, err)
			}
		}
		if err := exists(k, 9); err != wire.CodeBadArguments {
			t.Errorf("client %d, one too many: %v", n, err)
		}
		if a := k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/9"}); a.Err != wire.CodeBadArguments {
			t.Errorf("client %d, a lasting one too many: %v", n, a.Err)
		}
		if a := k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/", Watch: true}); a.Err != wire.CodeBadArguments {
			t.Errorf("client %d, a data watch too many: %v", n, a.Err)
		}
		if a := k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/"}); a.Err != wire.CodeOK {
			t.Errorf("client %d, without a watch: %v", n, a.Err)
		}
		if err := exists(k, 0); err != wire.CodeNoNode {
			t.Errorf("client %d, one it has: %v", n, err)
		}
		if a := k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/0"}); a.Err != wire.CodeOK {
			t.Errorf("client %d, another kind where it has one: %v", n, a.Err)
		}
	}
	if n, _, _ := h.feed.WatchCounts(); n != 12 {
		t.Errorf("%d watches", n)
	}
	watchers[0].c.Close()
	h.until(t, func() bool { n, _, _ := h.feed.WatchCounts(); return n == 7 })
	if err := exists(watchers[2], 3); err != wire.CodeNoNode {
		t.Errorf("after another has gone: %v", err)
	}
	long := "/" + strings.Repeat("x", 4096)
	if a := watchers[2].call(wire.OpExists, &wire.ExistsRequest{Path: long, Watch: true}); a.Err != wire.CodeBadArguments {
		t.Errorf("a watch on a path of 4097 bytes: %v", a.Err)
	}
	if a := watchers[2].call(wire.OpExists, &wire.ExistsRequest{Path: long}); a.Err != wire.CodeNoNode {
		t.Errorf("a path of 4097 bytes without a watch: %v", a.Err)
	}
}

// A client that comes back with more watches than it may have is not told that all is well, and loses
// none silently: its connection closes, and it tries again.
func TestComingBackWithTooManyWatchesClosesTheConnection(t *testing.T) {
	h := newHouse(t, func(c *front.Config) { c.WatchesPerConnectionMax = 5 })
	six := []string{"/1", "/2", "/3", "/4", "/5", "/6"}
	for name, m := range map[string]wire.SetWatches2Request{
		"one-shot":  {SetWatchesRequest: wire.SetWatchesRequest{Exist: six}},
		"lasting":   {Persistent: six},
		"recursive": {PersistentRecursive: six},
		"mixed":     {SetWatchesRequest: wire.SetWatchesRequest{Exist: six[:3]}, Persistent: six[3:]},
	} {
		t.Run(name, func(t *testing.T) {
			k := h.open(t)
			k.send(wire.OpSetWatches2, &m)
			k.closed()
		})
	}
	h.until(t, func() bool { n, _, _ := h.feed.WatchCounts(); return n == 0 })
	k := h.open(t)
	m := wire.SetWatches2Request{Persistent: six[:5], PersistentRecursive: six[:5]} // five paths
	if a := k.call(wire.OpSetWatches2, &m); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
}
