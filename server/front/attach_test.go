package front_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// stranger is a session of another server, as its client presents it here.
func (h *house) stranger() wire.ConnectRequest {
	random := [16]byte{1, 2, 3}
	zxid := h.log.elsewhere(state.Command{Kind: state.OpenSession, TimeoutMs: 10000, Random: random})
	return wire.ConnectRequest{TimeoutMs: 10000, SessionID: 2<<56 | zxid, Password: random[:]}
}

// said says whether the server has said anything by now.
func (k *client) said(t *testing.T) bool {
	t.Helper()
	synctest.Wait()
	k.c.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := k.r.Peek(1)
	k.c.SetReadDeadline(time.Time{})
	return err == nil
}

// A client may be faster than the log: its session was opened elsewhere, and this server has not heard of
// it. It must not be told that the session is gone.
func TestASessionThatIsNotKnownYetIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		h.log.hold()
		m := h.stranger()
		k := h.dial(t)
		k.greeting(m)
		if time.Sleep(5 * time.Second); k.said(t) {
			t.Fatal("answered by a server that has not heard of the session")
		}
		h.log.release()
		if a := k.welcome(k.frame()); a.SessionID != m.SessionID || a.TimeoutMs != 10000 {
			t.Fatalf("%+v", a)
		}
		if a := k.create("/e", "", 1); a.Err != wire.CodeOK {
			t.Fatal(a.Err)
		}
	})
}

// When a quorum has confirmed how far this server must be, and the session is not there, it is gone.
func TestASessionThatNobodyKnowsIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		h.log.silence()
		k := h.dial(t)
		k.greeting(wire.ConnectRequest{TimeoutMs: 10000, SessionID: 77, Password: make([]byte, 16)})
		if time.Sleep(5 * time.Second); k.said(t) {
			t.Fatal("answered, and nobody has confirmed it")
		}
		h.log.confirm()
		if a := k.welcome(k.frame()); a.SessionID != 0 || a.TimeoutMs != 0 {
			t.Fatalf("%+v", a)
		}
		k.closed()
	})
}

// Without a quorum nobody is told anything: the connection closes, and the client asks elsewhere.
func TestNoSessionIsGoneWithoutAQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		h.log.silence()
		k := h.dial(t)
		begun := time.Now()
		k.greeting(wire.ConnectRequest{TimeoutMs: 10000, SessionID: 77, Password: make([]byte, 16)})
		k.closed()
		if took := time.Since(begun); took > 11*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// However many sessions are made up, the quorum is asked one question at a time, and each of the crowd is
// answered after two at the most.
func TestACrowdOfUnknownSessionsSharesItsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		h.log.silence()
		ask := wire.ConnectRequest{TimeoutMs: 10000, SessionID: 77, Password: make([]byte, 16)}
		var crowd []*client
		for range 200 {
			k := h.dial(t)
			k.greeting(ask)
			crowd = append(crowd, k)
		}
		time.Sleep(time.Second)
		if asked, waiting := h.log.questions(); asked != 1 || waiting != 1 {
			t.Fatalf("%d questions, %d of them open", asked, waiting)
		}
		h.log.confirm()
		for _, k := range crowd {
			if a := k.welcome(k.frame()); a.SessionID != 0 {
				t.Fatalf("%+v", a)
			}
		}
		if asked, _ := h.log.questions(); asked != 2 {
			t.Errorf("%d questions", asked)
		}
	})
}

// One who asks and goes does not take the question of the others along.
func TestAQuestionIsAskedAgainWhenItsAskerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes(), front: func(c *front.Config) { c.HandshakeTimeout = 4 * time.Second }}.build(t)
		h.log.silence()
		ask := wire.ConnectRequest{TimeoutMs: 10000, SessionID: 77, Password: make([]byte, 16)}
		lost, k := h.dial(t), h.dial(t)
		lost.greeting(ask)
		time.Sleep(3 * time.Second)
		k.greeting(ask)
		lost.closed()
		time.Sleep(time.Second)
		if asked, _ := h.log.questions(); asked != 2 {
			t.Fatalf("%d questions", asked)
		}
		h.log.confirm()
		if a := k.welcome(k.frame()); a.SessionID != 0 {
			t.Fatalf("%+v", a)
		}
	})
}

// Who has seen more than this server waits for it, for two seconds.
func TestAServerThatIsBehindCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		h.log.hold()
		m := wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16)}
		m.LastZxidSeen = h.log.elsewhere(state.Command{Kind: state.Noop})
		early, late := h.dial(t), h.dial(t)
		begun := time.Now()
		late.greeting(m)
		time.Sleep(time.Second)
		early.greeting(m)
		late.closed()
		if took := time.Since(begun); took < 2*time.Second || took > 2100*time.Millisecond {
			t.Errorf("sent away after %v", took)
		}
		h.log.release()
		if a := early.welcome(early.frame()); a.SessionID == 0 {
			t.Fatalf("%+v", a)
		}
	})
}

// A session that is attached elsewhere ends its connection here: what was under way took effect before
// the move or never, and nothing that was asked after it is answered.
func TestASessionThatMovesElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		k := h.open(t)
		h.log.hold()
		k.send(wire.OpCreate, &wire.CreateRequest{Path: "/before", ACL: anyone})
		synctest.Wait()
		password := session.Password(k.pass)
		moved := h.log.elsewhere(state.Command{Kind: state.AttachSession, Session: session.ID(k.id), Password: password, TimeoutMs: 10000})
		k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/before"})
		k.send(wire.OpCreate, &wire.CreateRequest{Path: "/after", ACL: anyone})
		k.send(wire.OpSync, &wire.SyncRequest{Path: "/"})
		k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/"})
		synctest.Wait()
		h.log.release()
		if a := k.reply(); a.Xid != 1 || a.Err != wire.CodeOK || a.Zxid >= moved {
			t.Fatalf("xid %d %v @%d, want 1 before @%d", a.Xid, a.Err, a.Zxid, moved)
		}
		k.closed()
		nodes := h.feed.View().Nodes
		if nodes.Get("/before") == nil || nodes.Get("/after") != nil {
			t.Error("a request of the old connection took effect after the move, or one before it did not")
		}
		if h.feed.Attached() != 0 {
			t.Error("the connection is still attached")
		}
	})
}

// The same with nothing under way, and with a client that goes on asking.
func TestASessionThatMovesElsewhereWhileItIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		k := h.open(t)
		h.log.elsewhere(state.Command{
			Kind: state.AttachSession, Session: session.ID(k.id), Password: session.Password(k.pass), TimeoutMs: 10000,
		})
		k.closed()
	})
}
