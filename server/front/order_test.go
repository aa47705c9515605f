package front_test

import (
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
)

// Requests of one session take effect in the order sent: a read sees every write before it, and none
// after it, also when the log decides all of them at once.
func TestAReadSeesWhatWasSentBeforeItAndNothingSentAfter(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	k.create("/a", "0", 0)
	for range 20 {
		h.log.hold()
		set := func(data string) {
			k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte(data), Version: -1})
		}
		get := func() { k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/a"}) }
		want := []string{"", "1", "", "", "3", "", "4", ""}
		set("1")
		get()
		set("2")
		set("3")
		get()
		set("4")
		get()
		set("5")
		h.until(t, func() bool { return h.outstanding() == int64(len(want)) })
		h.log.release()
		var zxid int64
		for i, data := range want {
			a := k.reply()
			if a.Err != wire.CodeOK || a.Zxid < zxid {
				t.Fatalf("reply %d: %v at %d, after %d", i, a.Err, a.Zxid, zxid)
			}
			zxid = a.Zxid
			if data == "" {
				continue
			}
			var m wire.GetDataResponse
			if m.Decode(&a.body); string(m.Data) != data {
				t.Fatalf("request %d reads %q, want %q", i, m.Data, data)
			}
		}
	}
}

// A request is judged by who its connection had proved to be when it came, not when its turn comes.
func TestAnIdentityCountsFromTheRequestAfterItsProof(t *testing.T) {
	h := newHouse(t, nil)
	owner := h.open(t)
	owner.auth("digest", "u:p")
	secret := []wire.ACL{{Perms: 31, Scheme: "auth"}}
	owner.call(wire.OpCreate, &wire.CreateRequest{Path: "/secret", ACL: secret})

	k := h.open(t)
	h.log.hold()
	get := &wire.GetDataRequest{Path: "/secret"}
	set := &wire.SetDataRequest{Path: "/secret", Version: -1}
	k.send(wire.OpSetData, set)
	k.send(wire.OpGetData, get)
	k.send(wire.OpSetData, set)
	k.write(wire.AppendRequest(nil, wire.XidAuth, wire.OpAuth, &wire.AuthRequest{Scheme: "digest", Auth: []byte("u:p")}))
	k.send(wire.OpGetData, get)
	k.send(wire.OpSetData, set)
	h.log.release()
	for i, want := range []wire.Code{wire.CodeNoAuth, wire.CodeNoAuth, wire.CodeNoAuth, wire.CodeOK, wire.CodeOK, wire.CodeOK} {
		if a := k.reply(); a.Err != want {
			t.Errorf("reply %d: %v, want %v", i, a.Err, want)
		}
	}
}

// Events and replies leave in the order of their zxids, also when the log decides much at once.
func TestAReplyIsNotOvertakenByLaterNews(t *testing.T) {
	h := newHouse(t, nil)
	k, other := h.open(t), h.open(t)
	k.create("/a", "0", 0)
	k.create("/b", "0", 0)
	k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/a"})
	h.log.hold()
	k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/b", Data: []byte("1"), Version: -1})
	k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/a"})
	h.until(t, func() bool { return h.outstanding() == 2 })
	other.send(wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte("1"), Version: -1})
	h.until(t, func() bool { return h.outstanding() == 3 })
	k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/b", Data: []byte("2"), Version: -1})
	h.until(t, func() bool { return h.outstanding() == 4 })
	h.log.release()
	var zxid int64
	for range 4 { // three replies and one event
		a := k.reply()
		if a.Zxid < zxid {
			t.Fatalf("frame of zxid %d (xid %d) after one of %d", a.Zxid, a.Xid, zxid)
		}
		zxid = a.Zxid
	}
}

// A sync that is confirmed before a write in front of it is decided is answered after it, and does not
// take the reads behind it back to the time of its confirmation.
func TestASyncDoesNotTakeAReadBack(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	k.create("/a", "0", 0)
	h.log.hold()
	k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte("1"), Version: -1})
	k.write(wire.AppendRequest(nil, 7, wire.OpSync, &wire.SyncRequest{Path: "/"}))
	k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/a"})
	h.until(t, func() bool { return h.outstanding() == 3 })
	h.log.release()
	write, sync, read := k.reply(), k.reply(), k.reply()
	var m wire.GetDataResponse
	m.Decode(&read.body)
	if sync.Zxid < write.Zxid || read.Zxid < sync.Zxid || string(m.Data) != "1" {
		t.Fatalf("write @%d, sync @%d, read %q @%d", write.Zxid, sync.Zxid, m.Data, read.Zxid)
	}
}
