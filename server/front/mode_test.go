package front_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/state"
)

var readOnlyHello = wire.ConnectRequest{
	TimeoutMs: 10000, Password: make([]byte, 16), ReadOnly: true, HasReadOnly: true,
}

// readOnly opens a session of a server that has no quorum.
func (h *house) readOnly(t *testing.T) *client {
	t.Helper()
	k := h.dial(t)
	a := k.hello(readOnlyHello)
	if a.SessionID <= 0 || a.SessionID>>56 != 0 || !a.ReadOnly || a.TimeoutMs != 10000 || string(a.Password) == string(make([]byte, 16)) {
		t.Fatalf("%+v", a)
	}
	return k
}

// A server without a quorum serves reads to who asked for that, and refuses the rest.
func TestReadOnlyMode(t *testing.T) {
	h := newHouse(t, nil)
	h.open(t).create("/a", "one", 0)
	h.front.SetMode(front.ReadOnly)
	before := h.feed.View().Zxid
	k := h.readOnly(t)
	write := wire.CreateRequest{Path: "/b", ACL: anyone}
	for op, m := range map[wire.Op]wire.Record{
		wire.OpCreate: &write, wire.OpCreate2: &write, wire.OpCreateContainer: &write,
		wire.OpCreateTTL: &wire.CreateTTLRequest{CreateRequest: write, TTL: 1},
		wire.OpDelete:    &wire.DeleteRequest{Path: "/a", Version: -1},
		wire.OpSetData:   &wire.SetDataRequest{Path: "/a", Version: -1},
		wire.OpSetACL:    &wire.SetACLRequest{Path: "/a", ACL: anyone, Version: -1},
		wire.OpSync:      &wire.SyncRequest{Path: "/"},
		wire.OpMulti:     &wire.MultiRequest{Ops: []wire.MultiOp{{Op: wire.OpCheck, Path: "/", Version: -1}}},
		wire.OpReconfig:  &wire.ReconfigRequest{},
	} {
		if a := k.call(op, m); a.Err != wire.CodeNotReadOnly || a.Zxid != int64(before) {
			t.Errorf("%v: %v @%d", op, a.Err, a.Zxid)
		}
	}
	for op, m := range map[wire.Op]wire.Record{
		wire.OpExists: &wire.ExistsRequest{Path: "/a", Watch: true}, wire.OpGetData: &wire.GetDataRequest{Path: "/a"},
		wire.OpGetChildren: &wire.GetChildrenRequest{Path: "/"}, wire.OpGetACL: &wire.PathRequest{Path: "/a"},
		wire.OpGetAllChildrenNumber: &wire.PathRequest{Path: "/"}, wire.OpWhoAmI: nil,
		wire.OpMultiRead:     &wire.MultiReadRequest{Ops: []wire.MultiReadOp{{Op: wire.OpGetData, Path: "/a"}}},
		wire.OpGetEphemerals: &wire.GetEphemeralsRequest{},
		wire.OpAddWatch:      &wire.AddWatchRequest{Path: "/a"},
		wire.OpAuth:          &wire.AuthRequest{Scheme: "digest", Auth: []byte("u:p")},
	} {
		if a := k.call(op, m); a.Err != wire.CodeOK {
			t.Errorf("%v: %v", op, a.Err)
		}
	}
	if k.send(wire.OpPing, nil); k.reply().Err != wire.CodeOK {
		t.Error("no ping")
	}
	if load, _ := h.front.Figures(); load.LocalSessions != 1 {
		t.Errorf("%d local sessions are counted", load.LocalSessions)
	}
	if n := len(h.front.Heard()); n != 1 {
		t.Errorf("%d sessions are heard of, want the one of the beginning", n)
	}
	if a := k.call(wire.OpCloseSession, nil); a.Err != wire.CodeOK {
		t.Error(a.Err)
	}
	k.closed()
	if now := h.feed.View().Zxid; now != before || h.feed.View().Sessions.Len() != 1 {
		t.Error("something was replicated")
	}
}

// Who wants to write, or comes with a session, is sent on to a server that has a quorum.
func TestReadOnlyModeIsForThoseWhoAskedForIt(t *testing.T) {
	h := newHouse(t, nil)
	old := h.open(t)
	h.front.SetMode(front.ReadOnly)
	for name, change := range map[string]func(*wire.ConnectRequest){
		"a writer":           func(m *wire.ConnectRequest) { m.ReadOnly = false },
		"an old client":      func(m *wire.ConnectRequest) { m.ReadOnly, m.HasReadOnly = false, false },
		"a session":          func(m *wire.ConnectRequest) { m.SessionID, m.Password = old.id, old.pass },
		"an unknown session": func(m *wire.ConnectRequest) { m.SessionID = 77 },
		"one who saw more":   func(m *wire.ConnectRequest) { m.LastZxidSeen = 1000 },
	} {
		m := readOnlyHello
		change(&m)
		k := h.dial(t)
		k.greeting(m)
		if b, err := k.next(); err == nil {
			t.Errorf("%s is answered: %x", name, b)
		}
	}
	if old.send(wire.OpPing, nil); old.reply().Err != wire.CodeOK {
		t.Error("an earlier connection is disturbed")
	}
}

// When the quorum is back, read-only clients are sent away to come back for a session; watches of theirs
// work until then.
func TestReadOnlyModeEnds(t *testing.T) {
	for _, next := range []front.Mode{front.Serving, front.Closed} {
		h := newHouse(t, nil)
		old := h.open(t)
		h.front.SetMode(front.ReadOnly)
		k := h.readOnly(t)
		k.call(wire.OpExists, &wire.ExistsRequest{Path: "/a", Watch: true})
		h.log.elsewhere(state.Command{Kind: state.Noop})
		old.create("/a", "", 0) // its leader lives, though this server has not heard of it
		if ev := k.reply(); ev.Xid != wire.XidNotification {
			t.Fatalf("xid %d, want the event", ev.Xid)
		}
		h.front.SetMode(next)
		k.closed()
		if old.send(wire.OpPing, nil); old.reply().Err != wire.CodeOK {
			t.Error("a real session is disturbed")
		}
		h.until(t, func() bool { return len(h.front.Connections()) == 1 })
	}
}

// A silent read-only client is closed by this server: no reaper knows its session.
func TestAReadOnlySessionTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		h.front.SetMode(front.ReadOnly)
		k := h.readOnly(t)
		for range 5 {
			time.Sleep(9 * time.Second)
			if k.send(wire.OpPing, nil); k.reply().Err != wire.CodeOK {
				t.Fatal("no ping")
			}
		}
		last := time.Now()
		k.closed()
		if silent := time.Since(last); silent != 10*time.Second {
			t.Errorf("after %v", silent)
		}
	})
}

// A closed server hangs up on clients, and tells operators why.
func TestClosedMode(t *testing.T) {
	h := newHouse(t, func(c *front.Config) {
		c.Word = func(word string, w io.Writer) error { _, err := io.WriteString(w, "told "+word); return err }
	})
	old := h.open(t)
	for _, m := range []front.Mode{front.ReadOnly, front.Closed} {
		h.front.SetMode(m)
		k := h.dial(t)
		k.write([]byte("srvr"))
		if text, err := io.ReadAll(k.r); err != nil || string(text) != "told srvr" {
			t.Errorf("%v: %q %v", m, text, err)
		}
	}
	k := h.dial(t)
	k.greeting(readOnlyHello)
	k.closed()
	if old.send(wire.OpPing, nil); old.reply().Err != wire.CodeOK {
		t.Error("an earlier connection is disturbed")
	}
	h.front.SetMode(front.Serving)
	h.open(t)
}

// A client is let go when a third of its timeout has passed without a leader, so that it has the rest to
// find one elsewhere; until then its pings are answered.
func TestConnectionsWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		k := h.open(t) // 10 s
		patient := h.dial(t)
		patient.hello(wire.ConnectRequest{TimeoutMs: 40000, Password: make([]byte, 16)})
		h.log.hold()
		waiting := h.dial(t)
		waiting.greeting(wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16)})
		time.Sleep(time.Minute)
		h.front.Leaderless(0)
		h.front.Leaderless(3333 * time.Millisecond)
		if k.send(wire.OpPing, nil); k.reply().Err != wire.CodeOK {
			t.Fatal("no ping")
		}
		k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1})
		synctest.Wait()
		h.front.Leaderless(3334 * time.Millisecond)
		k.closed()
		waiting.closed()
		if patient.send(wire.OpPing, nil); patient.reply().Err != wire.CodeOK {
			t.Fatal("no ping")
		}
		// Who has just come has not been without a leader for long.
		h.log.release()
		k = h.open(t)
		h.front.Leaderless(10 * time.Second)
		if k.send(wire.OpPing, nil); k.reply().Err != wire.CodeOK {
			t.Fatal("no ping")
		}
		h.front.SetMode(front.ReadOnly)
		old := h.readOnly(t)
		time.Sleep(9 * time.Second)
		h.front.Leaderless(20 * time.Second)
		patient.closed()
		if old.send(wire.OpPing, nil); old.reply().Err != wire.CodeOK {
			t.Fatal("a session that needs no leader is ended for want of one")
		}
	})
}

// A connection that cannot even hand its commands over, because too many wait for a leader, is ended all
// the same.
func TestAConnectionStuckWithoutALeaderIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes(), feed: func(c *feed.Config) { c.PendingBytesMax = 100 }}.build(t)
		k := h.open(t)
		h.log.hold()
		for range 2 { // the second does not fit
			k.send(wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1})
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		for range 3 {
			h.front.Leaderless(time.Minute)
			synctest.Wait()
		}
		k.closed()
		h.log.release()
		if synctest.Wait(); len(h.front.Connections()) != 0 {
			t.Error("something of the connection is left")
		}
	})
}
