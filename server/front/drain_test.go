package front_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// drain lets go of the clients and returns when it has; it must not need its whole time.
func (h *house) drain(t *testing.T) (done <-chan struct{}) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if h.front.Drain(ctx); ctx.Err() != nil {
			t.Error("not drained in time")
		}
	}()
	return ended
}

// gently wants the end of a connection to be one, and no reset.
func (k *client) gently() {
	k.t.Helper()
	if b, err := k.next(); err != io.EOF {
		k.t.Fatalf("%x, %v, want the end", b, err)
	}
	k.c.Close()
}

// A server that leaves answers what it has admitted, closes without an error, and its clients' sessions
// go on elsewhere.
func TestDraining(t *testing.T) {
	h := newHouse(t, nil)
	idle, busy, fresh := h.open(t), h.open(t), h.dial(t)
	h.until(t, func() bool { return len(h.front.Connections()) == 3 })
	h.log.hold()
	busy.send(wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: anyone})
	busy.send(wire.OpGetData, &wire.GetDataRequest{Path: "/a"})
	h.until(t, func() bool { return h.outstanding() == 2 })
	ended := h.drain(t)
	idle.gently()
	fresh.gently()
	if c, err := net.Dial("tcp", h.listen.Addr().String()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
	// Sent after the reader has stopped: never admitted, never answered.
	busy.send(wire.OpCreate, &wire.CreateRequest{Path: "/late", ACL: anyone})
	h.log.release()
	for xid := range int32(2) {
		if a := busy.reply(); a.Xid != xid+1 || a.Err != wire.CodeOK {
			t.Fatalf("xid %d %v", a.Xid, a.Err)
		}
	}
	busy.gently()
	<-ended
	v := h.feed.View()
	if v.Nodes.Get("/late") != nil {
		t.Error("a request was taken in after the end")
	}
	if v.Sessions.Len() != 2 {
		t.Errorf("%d sessions are left", v.Sessions.Len())
	}
	h.stop()
}

// What is not answered in time is cut.
func TestDrainingHasAnEnd(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	h.log.hold()
	k.send(wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: anyone})
	h.until(t, func() bool { return h.outstanding() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	h.front.Drain(ctx)
	k.closed()
	h.until(t, func() bool { return len(h.front.Connections()) == 0 })
}

// Without clients there is nothing to wait for, also the second time.
func TestDrainingNobody(t *testing.T) {
	h := newHouse(t, nil)
	<-h.drain(t)
	<-h.drain(t)
}

// Clients that keep the server busy until the last moment get whole replies and then the end.
func TestDrainingABusyFront(t *testing.T) {
	h := newHouse(t, nil)
	ends := make(chan error)
	const clients = 8
	for i := range clients {
		k := h.open(t)
		go func() {
			for n := int32(1); ; n++ {
				op, m := wire.OpGetData, wire.Record(&wire.GetDataRequest{Path: "/"})
				if (n+int32(i))%2 == 0 {
					op, m = wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1}
				}
				if _, err := k.c.Write(wire.AppendRequest(nil, n, op, m)); err != nil {
					ends <- nil // it reads the end next
					return
				}
				if _, err := k.next(); err != nil {
					ends <- err
					k.c.Close()
					return
				}
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	ended := h.drain(t)
	for range clients {
		if err := <-ends; err != nil && err != io.EOF {
			t.Errorf("ended with %v", err)
		}
	}
	<-ended
}
