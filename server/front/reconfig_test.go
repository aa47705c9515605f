package front_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// members plays who changes the membership: it keeps what it is asked.
type members struct {
	mu    sync.Mutex
	asked []front.ReconfigRequest
	ends  []context.Context
	done  []func(znode.Zxid, error)
}

func (m *members) reconfigure(ctx context.Context, req front.ReconfigRequest, done func(znode.Zxid, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked, m.ends, m.done = append(m.asked, req), append(m.ends, ctx), append(m.done, done)
}

// last returns the newest request and what answers it.
func (m *members) last(t *testing.T, n int) (front.ReconfigRequest, context.Context, func(znode.Zxid, error)) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) != n {
		t.Fatalf("%d changes were asked for, want %d", len(m.asked), n)
	}
	return m.asked[n-1], m.ends[n-1], m.done[n-1]
}

func (m *members) house(t *testing.T) *house {
	return plan{listen: newPipes(), front: func(c *front.Config) {
		c.Reconfigure, c.SuperDigest = m.reconfigure, front.Digest([]byte("super:secret"))
	}}.build(t)
}

func (h *house) super(t *testing.T) *client {
	t.Helper()
	k := h.open(t)
	k.write(wire.AppendRequest(nil, wire.XidAuth, wire.OpAuth, &wire.AuthRequest{Scheme: "digest", Auth: []byte("super:secret")}))
	if a := k.reply(); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
	return k
}

// A change of the membership is a write of its connection: it begins when all before it is answered, is
// answered from a view that shows it, and so is what stands behind it.
func TestReconfigKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m members
		h := m.house(t)
		k := h.super(t)
		h.log.hold()
		k.send(wire.OpCreate, &wire.CreateRequest{Path: "/before", ACL: anyone})
		k.send(wire.OpReconfig, &wire.ReconfigRequest{Joining: "server.2=b:1:2;3", Leaving: "1", CurrentVersion: -1})
		k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/zookeeper/config"})
		k.send(wire.OpCreate, &wire.CreateRequest{Path: "/behind", ACL: anyone})
		k.send(wire.OpPing, nil)
		m.mu.Lock()
		if len(m.asked) != 0 {
			t.Error("begun before what is in front of it was answered")
		}
		m.mu.Unlock()
		synctest.Wait()
		h.log.release()
		if a := k.reply(); a.Xid != 1 || a.Err != wire.CodeOK {
			t.Fatalf("xid %d %v", a.Xid, a.Err)
		}
		req, ctx, done := m.last(t, 1)
		if req.Joining != "server.2=b:1:2;3" || req.Leaving != "1" || req.Members != "" || req.From != -1 {
			t.Errorf("asked for %+v", req)
		}
		if !(znode.Identity{Scheme: "super"} == req.IDs[len(req.IDs)-1]) {
			t.Errorf("asked by %v", req.IDs)
		}
		if k.said(t) || h.feed.View().Nodes.Get("/behind") != nil {
			t.Fatal("what stands behind did not wait")
		}
		h.log.hold()
		table := "server.2=b:1:2:participant;0.0.0.0:3\n"
		zxid := h.log.elsewhere(state.Command{Kind: state.Configure, Op: state.Op{Kind: state.Configure, Data: []byte(table)}})
		done(znode.Zxid(zxid), nil)
		done(0, wire.CodeBadArguments) // only the first word counts
		if k.said(t) {
			t.Fatal("answered by a server that has not seen the change")
		}
		h.log.release()
		want := fmt.Sprintf("%sversion=%x", table, zxid)
		for xid := int32(2); xid <= 3; xid++ {
			a := k.reply()
			var got wire.GetDataResponse
			if got.Decode(&a.body); a.Xid != xid || a.Err != wire.CodeOK || a.Zxid < zxid || string(got.Data) != want || got.Stat.Mzxid != zxid {
				t.Fatalf("xid %d %v @%d: %q %+v, want %q", a.Xid, a.Err, a.Zxid, got.Data, got.Stat, want)
			}
		}
		for _, xid := range []int32{4, wire.XidPing} {
			if a := k.reply(); a.Xid != xid || a.Err != wire.CodeOK {
				t.Fatalf("xid %d %v, want %d", a.Xid, a.Err, xid)
			}
		}
		if synctest.Wait(); ctx.Err() == nil {
			t.Error("the context of the change lives on")
		}
	})
}

// Each reason not to change the membership has its code; one that leaves the outcome open ends the
// connection.
func TestReconfigIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m members
		h := m.house(t)
		k := h.super(t)
		n := 0
		for _, tc := range []struct {
			err  error
			want wire.Code
		}{
			{wire.CodeReconfigDisabled, -123}, {wire.CodeReconfigInProgress, -14}, {wire.CodeBadVersion, -103},
			{wire.CodeBadArguments, -8}, {wire.CodeMarshallingError, -5}, {wire.CodeNewConfigNoQuorum, -13},
			{wire.CodeNoAuth, -102}, {wire.CodeUnimplemented, -6},
			{fmt.Errorf("reconfigure: %w", wire.CodeNewConfigNoQuorum), -13},
			{fmt.Errorf("write: %w", znode.ErrNoAuth), -102},
			{member.ErrBadArguments, -8}, {fmt.Errorf("server x: %w", member.ErrUnreadable), -5},
			{member.ErrVersion, -103}, {member.ErrInProgress, -14}, {member.ErrNoQuorum, -13},
		} {
			n++
			k.send(wire.OpReconfig, &wire.ReconfigRequest{Leaving: "1"})
			k.send(wire.OpGetData, &wire.GetDataRequest{Path: "/"})
			_, _, done := m.last(t, n)
			done(0, tc.err)
			if a := k.reply(); a.Err != tc.want || a.Xid != k.xid-1 {
				t.Errorf("%v: xid %d %v, want %d", tc.err, a.Xid, a.Err, int32(tc.want))
			}
			if a := k.reply(); a.Err != wire.CodeOK || a.Xid != k.xid {
				t.Errorf("behind %v: xid %d %v", tc.err, a.Xid, a.Err)
			}
		}
		k.send(wire.OpReconfig, &wire.ReconfigRequest{Leaving: "1"})
		_, _, done := m.last(t, n+1)
		done(0, member.ErrUndecided)
		k.closed()
	})
}

// Who may not write the membership is refused here, and troubles nobody.
func TestReconfigNeedsPermission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m members
		h := m.house(t)
		k := h.open(t)
		if a := k.call(wire.OpReconfig, &wire.ReconfigRequest{Leaving: "1"}); a.Err != wire.CodeNoAuth {
			t.Errorf("an ordinary client: %v", a.Err)
		}
		h.log.hold()
		k.send(wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: anyone})
		k.send(wire.OpReconfig, &wire.ReconfigRequest{Leaving: "1"})
		k.send(wire.OpExists, &wire.ExistsRequest{Path: "/a"})
		synctest.Wait()
		h.log.release()
		for _, want := range []wire.Code{wire.CodeOK, wire.CodeNoAuth, wire.CodeOK} {
			if a := k.reply(); a.Err != want {
				t.Errorf("xid %d: %v, want %v", a.Xid, a.Err, want)
			}
		}
		s := h.super(t)
		acl := []wire.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
		if a := s.call(wire.OpSetACL, &wire.SetACLRequest{Path: "/zookeeper/config", ACL: acl, Version: -1}); a.Err != wire.CodeOK {
			t.Fatal(a.Err)
		}
		k.send(wire.OpReconfig, &wire.ReconfigRequest{Leaving: "1"})
		_, ctx, done := m.last(t, 1)
		k.c.Close()
		if synctest.Wait(); ctx.Err() == nil {
			t.Error("the context lives longer than the connection")
		}
		done(0, wire.CodeBadArguments) // nobody listens
	})
}

// What cannot be read, and what is not on offer.
func TestReconfigThatIsNone(t *testing.T) {
	var m members
	h := newHouse(t, func(c *front.Config) { c.Reconfigure = m.reconfigure })
	if a := h.open(t).call(wire.OpReconfig, bytesOf{0, 0, 0, 9}); a.Err != wire.CodeMarshallingError {
		t.Errorf("cut: %v", a.Err)
	}
	h = newHouse(t, func(c *front.Config) { c.Reconfigure, c.ReconfigDisabled = m.reconfigure, true })
	if a := h.open(t).call(wire.OpReconfig, bytesOf{0, 0, 0, 9}); a.Err != wire.CodeReconfigDisabled {
		t.Errorf("disabled: %v", a.Err)
	}
}
