package front_test

import (
	"errors"
	"io"
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
)

func TestAWriteIsReadBack(t *testing.T) {
	k := newHouse(t, nil).open(t)
	if a := k.create("/a", "one", 0); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
	a := k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/a"})
	var m wire.GetDataResponse
	m.Decode(&a.body)
	if a.Err != wire.CodeOK || string(m.Data) != "one" || m.Stat.Czxid != a.Zxid {
		t.Fatalf("got %q %+v at %d (%v)", m.Data, m.Stat, a.Zxid, a.Err)
	}
}

func TestRepliesKeepTheOrderOfRequests(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	h.log.hold()
	k.send(wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: anyone})
	k.send(wire.OpPing, nil)
	k.send(wire.OpExists, &wire.ExistsRequest{Path: "/a"})
	k.write(wire.AppendRequest(nil, wire.XidAuth, wire.OpAuth, &wire.AuthRequest{Scheme: "digest", Auth: []byte("u:p")}))
	k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/none"})
	h.log.release()
	want := []struct {
		xid int32
		err wire.Code
	}{{1, 0}, {wire.XidPing, 0}, {3, 0}, {wire.XidAuth, 0}, {4, wire.CodeNoNode}}
	for _, w := range want {
		if a := k.reply(); a.Xid != w.xid || a.Err != w.err {
			t.Fatalf("got xid %d %v, want %d %v", a.Xid, a.Err, w.xid, w.err)
		}
	}
}

func TestEventsComeBeforeTheReplyOfTheWriteThatCausedThem(t *testing.T) {
	k := newHouse(t, nil).open(t)
	k.create("/a", "one", 0)
	k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: true})
	k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: []byte("two"), Version: -1})
	ev := k.reply()
	var m wire.WatcherEvent
	m.Decode(&ev.body)
	if ev.Xid != wire.XidNotification || m.Type != wire.EventNodeDataChanged || m.Path != "/a" {
		t.Fatalf("first frame: xid %d %+v, want the event", ev.Xid, m)
	}
	if a := k.reply(); a.Err != wire.CodeOK || a.Zxid != ev.Zxid {
		t.Fatalf("second frame: %v at %d, want the reply at the event's %d", a.Err, a.Zxid, ev.Zxid)
	}
}

func TestCloseSessionIsAnsweredAndEndsTheConnection(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	k.create("/e", "", 1)
	k.send(wire.OpCloseSession, nil)
	k.send(wire.OpPing, nil)
	if a := k.reply(); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
	if _, err := k.next(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the reply: %v, want the end", err)
	}
	if a := h.open(t).call(wire.OpExists, &wire.ExistsRequest{Path: "/e"}); a.Err != wire.CodeNoNode {
		t.Fatalf("ephemeral of a closed session: %v", a.Err)
	}
}

func TestASessionMovesToTheConnectionThatKnowsItsPassword(t *testing.T) {
	h := newHouse(t, nil)
	old := h.open(t)
	old.create("/e", "", 1)
	back := wire.ConnectRequest{TimeoutMs: 10000, SessionID: old.id, Password: old.pass}

	bad := back
	bad.Password = make([]byte, 16)
	if r := h.dial(t).hello(bad); r.SessionID != 0 || r.TimeoutMs != 0 {
		t.Fatalf("wrong password: %+v", r)
	}
	if old.send(wire.OpPing, nil); old.reply().Err != 0 {
		t.Fatal("a wrong password disturbed the holder")
	}

	now := h.dial(t)
	if r := now.hello(back); r.SessionID != old.id {
		t.Fatalf("attach: %+v", r)
	}
	if _, err := old.next(); err == nil {
		t.Fatal("the old connection lives on")
	}
	if a := now.call(wire.OpExists, &wire.ExistsRequest{Path: "/e"}); a.Err != wire.CodeOK {
		t.Fatal("the ephemeral did not move with its session")
	}
}

func TestEveryLiveOpIsAnswered(t *testing.T) {
	h := newHouse(t, nil)
	for _, row := range wire.Ops() {
		if !row.Live || row.Op == wire.OpReconfig || row.Op == wire.OpSASL {
			continue
		}
		k := h.open(t)
		var m wire.Record
		if row.Request != nil {
			m = row.Request()
		}
		if w, ok := m.(*wire.WatchesRequest); ok {
			w.Type = wire.WatcherAny
		}
		xid := k.send(row.Op, m)
		if row.Op == wire.OpPing {
			xid = wire.XidPing
		}
		if a := k.reply(); a.Xid != xid || a.Err == wire.CodeUnimplemented {
			t.Errorf("%s: xid %d, %v", row.Name, a.Xid, a.Err)
		}
	}
}
