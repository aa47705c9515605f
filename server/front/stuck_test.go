package front_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/grovekeeper/grove/internal/wire"
)

// These tests stop a connection in the middle of an answer, because the client does not take it, and see
// what happens in the meantime.

// Writes keep their order, also when one is withheld by a read that is stuck in being sent.
func TestAWithheldWriteIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		k := h.open(t)
		k.create("/large", strings.Repeat("x", 300<<10), 0)
		k.create("/a", "0", 0)
		set := func(data string) {
			k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte(data), Version: -1})
		}
		h.log.hold()
		set("1")
		k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/large", Watch: true}) // withholds
		set("2")
		h.log.release()
		synctest.Wait() // the large answer is being sent
		set("3")
		synctest.Wait()
		for range 4 {
			if a := k.reply(); a.Err != wire.CodeOK {
				t.Fatal(a.Err)
			}
		}
		a := k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/a"})
		var m wire.GetDataResponse
		if m.Decode(&a.body); string(m.Data) != "3" {
			t.Fatalf("the last of 1, 2 and 3 is %s", m.Data)
		}
	})
}

// returning makes a client miss events of 400 KiB, and asks for them. The reply is not taken.
func (h *house) returning(t *testing.T, w, k *client, behind bool) {
	t.Helper()
	since := w.create("/"+strings.Repeat("x", 1000), "", 0).Zxid
	var paths []string
	for i := range 400 {
		paths = append(paths, fmt.Sprintf("/%0900d", i))
		w.create(paths[i], "", 0)
	}
	for i := range 600 { // a second batch
		paths = append(paths, fmt.Sprintf("/zzz%d", i))
	}
	if behind {
		h.log.hold()
		k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1})
	}
	k.send(wire.OpSetWatches2, &wire.SetWatches2Request{
		SetWatchesRequest: wire.SetWatchesRequest{RelativeZxid: since}, Persistent: paths,
	})
	if behind {
		synctest.Wait()
		h.log.release()
	}
	synctest.Wait() // what was missed is being sent
}

// What was missed is told before anything later, however long the telling takes.
func TestNewsWaitsUntilTheMissedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		w, k := h.open(t), h.open(t)
		h.returning(t, w, k, false)
		news := w.call(wire.OpSetData, &wire.SetDataRequest{Path: fmt.Sprintf("/%0900d", 7), Version: -1}).Zxid
		synctest.Wait()
		for i := range 400 {
			if a := k.reply(); a.Xid != wire.XidNotification || a.Zxid >= news {
				t.Fatalf("frame %d: xid %d @%d, want an event before @%d", i, a.Xid, a.Zxid, news)
			}
		}
		if a := k.reply(); a.Zxid != news || a.Xid != wire.XidNotification {
			t.Fatalf("xid %d @%d, want the event @%d", a.Xid, a.Zxid, news)
		}
		if a := k.reply(); a.Xid == wire.XidNotification {
			t.Fatal("another event")
		}
	})
}

// A client that goes while it is told what it missed leaves none of the watches that were still to be armed.
func TestNoWatchIsArmedForAClientThatGoesWhileItReturns(t *testing.T) {
	for _, behind := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := plan{listen: newPipes()}.build(t)
			w, k := h.open(t), h.open(t)
			h.returning(t, w, k, behind)
			if n, _, _ := h.feed.WatchCounts(); n == 0 {
				t.Fatal("nothing is armed")
			}
			k.c.Close()
			synctest.Wait()
			if n, _, _ := h.feed.WatchCounts(); n != 0 {
				t.Fatalf("%d watches are left", n)
			}
		})
	}
}

// An event waits for the answer to an older write, though the answer came while the connection was stuck.
func TestNoEventOvertakesAnOlderReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		k, other := h.open(t), h.open(t)
		k.create("/large", strings.Repeat("x", 300<<10), 0)
		k.create("/a", "0", 0)
		k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/a"})
		set := &wire.SetDataRequest{Path: "/large", Data: []byte("x"), Version: -1}
		h.log.hold()
		k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1})
		k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/large"})
		h.log.release()
		synctest.Wait() // the large answer is being sent
		k.send(wire.OpSetData, set)
		k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/a"})
		synctest.Wait()
		other.call(wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte("1"), Version: -1})
		synctest.Wait()
		var last int64
		for range 5 {
			a := k.reply()
			if a.Zxid < last {
				t.Fatalf("xid %d @%d after @%d", a.Xid, a.Zxid, last)
			}
			last = a.Zxid
		}
	})
}
