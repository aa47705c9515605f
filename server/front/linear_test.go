package front_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/state"
)

func linear(c *front.Config) { c.LinearizableReads = true }

// A read is answered from a view at or above what was agreed when it was sent, though this server had not
// applied it then. Without the option it would be answered at once.
func TestALinearizableReadIsNoOlderThanItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes(), front: linear}.build(t)
		k := h.open(t)
		for _, op := range []wire.Op{wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2} {
			h.log.hold()
			agreed := h.log.elsewhere(state.Command{Kind: state.Noop})
			xid := k.send(op, &wire.GetDataRequest{Path: "/"})
			if k.said(t) {
				t.Fatalf("%v is answered before the server has caught up", op)
			}
			h.log.release()
			if a := k.reply(); a.Xid != xid || a.Err != wire.CodeOK || a.Zxid < agreed {
				t.Fatalf("%v: xid %d %v @%d, want @%d or later", op, a.Xid, a.Err, a.Zxid, agreed)
			}
		}
		h.log.silence()
		k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/"})
		if k.said(t) {
			t.Fatal("answered, and nobody has confirmed it")
		}
		h.log.confirm()
		k.reply()
	})
}

// Pings and what concerns the connection alone ask nobody.
func TestWhatIsNoReadNeedsNoQuorum(t *testing.T) {
	h := newHouse(t, linear)
	k := h.open(t)
	h.log.silence()
	k.call(wire.OpWhoAmI, nil)
	k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/a"})
	if k.send(wire.OpPing, nil); k.reply().Err != wire.CodeOK {
		t.Fatal("no ping")
	}
	if asked, _ := h.log.questions(); asked != 0 {
		t.Errorf("%d questions", asked)
	}
}

// Reads that arrive together ask once; so do a write and the reads behind it: not at all.
func TestReadsThatArriveTogetherShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes(), front: linear}.build(t)
		k := h.open(t)
		var reads, mixed []byte
		for i := range int32(10) {
			reads = wire.AppendRequest(reads, i, wire.OpGetData, &wire.GetDataRequest{Path: "/"})
		}
		mixed = wire.AppendRequest(mixed, 10, wire.OpSetData, &wire.SetDataRequest{Path: "/", Data: []byte("x"), Version: -1})
		mixed = append(mixed, reads...)
		k.write(reads)
		for i := range int32(10) {
			if a := k.reply(); a.Xid != i {
				t.Fatalf("reply to %d, want %d", a.Xid, i)
			}
		}
		if asked, _ := h.log.questions(); asked != 1 {
			t.Errorf("%d questions for ten reads", asked)
		}
		k.write(mixed)
		wrote := k.reply()
		for range 10 {
			if a := k.reply(); a.Zxid < wrote.Zxid {
				t.Fatalf("a read @%d behind a write @%d", a.Zxid, wrote.Zxid)
			}
		}
		if asked, _ := h.log.questions(); asked != 1 {
			t.Errorf("%d more questions for a write and ten reads", asked-1)
		}
	})
}

// However reads, writes and syncs are mixed, each read shows the writes before it and none behind it.
func TestLinearizableReadsKeepTheirPlace(t *testing.T) {
	h := newHouse(t, linear)
	k := h.open(t)
	k.create("/a", "-", 0)
	chance := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var b []byte
		want := map[int32]string{}
		value := "-"
		n := int32(1 + chance.IntN(12))
		for i := range n {
			switch chance.IntN(5) {
			case 0, 1:
				value = fmt.Sprint(chance.Int())
				b = wire.AppendRequest(b, i, wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte(value), Version: -1})
			case 2:
				b = wire.AppendRequest(b, i, wire.OpSync, &wire.SyncRequest{Path: "/"})
			default:
				want[i] = value
				b = wire.AppendRequest(b, i, wire.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: chance.IntN(4) == 0})
			}
		}
		b = wire.AppendRequest(b, n, wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte("-"), Version: -1})
		for len(b) > 0 { // in pieces, so that it arrives in several batches
			cut := min(len(b), 1+chance.IntN(200))
			k.write(b[:cut])
			b = b[cut:]
		}
		last := int64(0)
		for i := int32(0); i <= n; {
			a := k.reply()
			if a.Zxid < last {
				t.Fatalf("@%d after @%d", a.Zxid, last)
			}
			last = a.Zxid
			if a.Xid == wire.XidNotification {
				continue
			}
			if a.Xid != i {
				t.Fatalf("reply to %d, want %d", a.Xid, i)
			}
			if value, read := want[i]; read {
				var m wire.GetDataResponse
				if m.Decode(&a.body); string(m.Data) != value {
					t.Fatalf("request %d reads %q, want %q", i, m.Data, value)
				}
			}
			i++
		}
	}
}
