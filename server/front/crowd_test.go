package front_test

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
)

// memory returns the bytes of live objects and of stacks.
func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// crowd connects n times. What it returns has no memory of its own but the connections.
func (h *house) crowd(t testing.TB, n int) []net.Conn {
	t.Helper()
	all := make([]net.Conn, n)
	for i := range all {
		c, err := net.Dial("tcp", h.listen.Addr().String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		all[i] = c
	}
	h.until(t, func() bool { load, _ := h.front.Figures(); return load.Accepted == int64(n) })
	return all
}

// Thousands of connections that say nothing take little memory and no turn from anybody, and are gone
// after the handshake time-out.
func TestACrowdThatSaysNothing(t *testing.T) {
	const crowd = 3000
	h := newHouse(t, func(c *front.Config) { c.HandshakeTimeout = time.Hour })
	prior := memory()
	all := h.crowd(t, crowd)
	// The other end of each connection is in this process too, and is in the figure.
	each := (memory() - prior) / crowd
	t.Logf("%d bytes each", each)
	if each > 8<<10 && !raceOn {
		t.Errorf("a silent connection takes %d bytes", each)
	}
	if a := h.open(t).create("/a", "x", 0); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
	for _, c := range all {
		c.Close()
	}

	h = newHouse(t, func(c *front.Config) { c.HandshakeTimeout = 300 * time.Millisecond })
	all = h.crowd(t, crowd/3)
	k := h.open(t)
	h.until(t, func() bool { return len(h.front.Connections()) == 1 })
	for _, c := range all {
		c.Close()
	}
	if load, _ := h.front.Figures(); load.Unspoken != crowd/3 {
		t.Errorf("%d are noted as silent", load.Unspoken)
	}
	if a := k.create("/a", "x", 0); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
}

// A connection that was busy is small again when it has calmed down.
func TestABusyConnectionCalmsDown(t *testing.T) {
	const clients = 50
	h := newHouse(t, func(c *front.Config) { c.OutstandingMax = 1000 })
	var all []*client
	for range clients {
		k := h.open(t)
		k.call(wire.OpExists, &wire.ExistsRequest{Path: "/large"})
		all = append(all, k)
	}
	all[0].create("/large", string(make([]byte, 200<<10)), 0)
	all[0].call(wire.OpAddWatch, &wire.AddWatchRequest{Path: "/x"})
	prior := memory()
	for _, k := range all {
		var b []byte
		for i := range 400 {
			b = wire.AppendRequest(b, int32(i), wire.OpExists, &wire.ExistsRequest{Path: "/none"})
		}
		b = wire.AppendRequest(b, 401, wire.OpSetData, &wire.SetDataRequest{Path: "/none", Version: -1})
		for i := range 200 {
			b = wire.AppendRequest(b, int32(i), wire.OpCreate, &wire.CreateRequest{Path: "/none/none", ACL: anyone})
		}
		b = wire.AppendRequest(b, 402, wire.OpGetData, &wire.GetDataRequest{Path: "/large"})
		k.write(b)
		for range 602 {
			k.reply()
		}
		for range 20 {
			k.call(wire.OpExists, &wire.ExistsRequest{Path: "/none"})
		}
	}
	each := (memory() - prior) / clients
	t.Logf("%d bytes more each", each)
	if each > 16<<10 && !raceOn {
		t.Errorf("a connection that was busy keeps %d bytes", each)
	}
}

// Pings that nobody reads the answers of: the flood is stopped by not reading it, and nothing is lost.
func TestAFloodOfPings(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	prior := memory()
	k.c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	sent := 0
	flood := pings(10_000)
	for {
		n, err := k.c.Write(flood)
		sent += n
		if err != nil {
			break
		}
	}
	if grown := memory() - prior; grown > 4<<20 && !raceOn {
		t.Errorf("%d KiB are kept for %d pings", grown>>10, sent/12)
	}
	other := h.open(t)
	if a := other.create("/a", "x", 0); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
	for range sent / 12 {
		if a := k.reply(); a.Xid != wire.XidPing || a.Err != wire.CodeOK {
			t.Fatalf("xid %d, %v", a.Xid, a.Err)
		}
	}
}
