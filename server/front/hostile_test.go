package front_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
)

// TestMain wants every goroutine to have ended with the house it belongs to.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	m.Run()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		return // the fuzzer has goroutines of its own
	}
	for begun := time.Now(); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Since(begun) > 5*time.Second {
			stacks := make([]byte, 1<<20)
			panic(fmt.Sprintf("%d goroutines are left:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)]))
		}
	}
}

// bodies has a request of every operation that clients send with a record, as long as it makes sense.
func bodies() map[wire.Op][]byte {
	create := wire.CreateRequest{Path: "/a", Data: []byte("data"), ACL: append(anyone, wire.ACL{Perms: 1, Scheme: "ip", ID: "10.0.0.1"})}
	look := &wire.PathWatchRequest{Path: "/a", Watch: true}
	back := wire.SetWatchesRequest{RelativeZxid: 1, Data: []string{"/a"}, Exist: []string{"/b", "/c"}, Child: []string{"/"}}
	records := map[wire.Op]wire.Record{
		wire.OpCreate: &create, wire.OpCreate2: &create, wire.OpCreateContainer: &create,
		wire.OpCreateTTL: &wire.CreateTTLRequest{CreateRequest: create, TTL: 1000},
		wire.OpDelete:    &wire.DeleteRequest{Path: "/a", Version: -1},
		wire.OpExists:    look, wire.OpGetData: look, wire.OpGetChildren: look, wire.OpGetChildren2: look,
		wire.OpSetData: &wire.SetDataRequest{Path: "/a", Data: []byte("data"), Version: -1},
		wire.OpGetACL:  &wire.PathRequest{Path: "/a"}, wire.OpGetAllChildrenNumber: &wire.PathRequest{Path: "/"},
		wire.OpSetACL: &wire.SetACLRequest{Path: "/a", ACL: anyone, Version: -1},
		wire.OpSync:   &wire.SyncRequest{Path: "/a"},
		wire.OpMulti: &wire.MultiRequest{Ops: []wire.MultiOp{
			{Op: wire.OpCreate, Path: "/m", Data: []byte("x"), ACL: anyone}, {Op: wire.OpSetData, Path: "/m", Version: 0},
			{Op: wire.OpCheck, Path: "/m", Version: 1}, {Op: wire.OpDelete, Path: "/m", Version: -1},
		}},
		wire.OpMultiRead:     &wire.MultiReadRequest{Ops: []wire.MultiReadOp{{Op: wire.OpGetData, Path: "/"}, {Op: wire.OpGetChildren, Path: "/"}}},
		wire.OpCheckWatches:  &wire.WatchesRequest{Path: "/a", Type: wire.WatcherAny},
		wire.OpRemoveWatches: &wire.WatchesRequest{Path: "/a", Type: wire.WatcherAny},
		wire.OpAuth:          &wire.AuthRequest{Scheme: "digest", Auth: []byte("u:p")},
		wire.OpSetWatches:    &back,
		wire.OpSetWatches2:   &wire.SetWatches2Request{SetWatchesRequest: back, Persistent: []string{"/p"}, PersistentRecursive: []string{"/"}},
		wire.OpGetEphemerals: &wire.GetEphemeralsRequest{Prefix: "/a"},
		wire.OpAddWatch:      &wire.AddWatchRequest{Path: "/a", Mode: wire.ModePersistentRecursive},
		wire.OpSASL:          &wire.SASLRequest{Token: []byte("token")},
		wire.OpReconfig:      &wire.ReconfigRequest{Joining: "x"},
	}
	all := map[wire.Op][]byte{}
	for op, m := range records {
		all[op] = m.Append(nil)
	}
	return all
}

// answered sends a request and wants a reply to it, after whatever events there are; or, if it may, that
// the server hangs up, and then opens anew.
func (h *house) answered(t *testing.T, k *client, op wire.Op, body []byte, mayEnd bool) (*client, wire.Code) {
	t.Helper()
	k.xid++
	k.write(wire.AppendRequest(nil, k.xid, op, bytesOf(body)))
	for {
		frame, err := k.next()
		if err != nil {
			if !mayEnd {
				t.Fatalf("%v %x: %v", op, body, err)
			}
			return h.open(t), wire.CodeConnectionLoss
		}
		xid := int32(binary.BigEndian.Uint32(frame))
		if xid == wire.XidNotification && len(frame) > 16 {
			continue
		}
		if xid != k.xid {
			t.Fatalf("%v %x: reply to %d, want %d", op, body, xid, k.xid)
		}
		return k, wire.Code(binary.BigEndian.Uint32(frame[12:]))
	}
}

// Each operation with a request record is among those that the tests below take apart.
func TestEveryRecordIsAmongTheBodies(t *testing.T) {
	all := bodies()
	for _, row := range wire.Ops() {
		if row.Live && row.Request != nil && all[row.Op] == nil {
			t.Errorf("%s is missing", row.Name)
		}
	}
}

func TestBodiesCutAtEveryByte(t *testing.T) {
	h := newHouse(t, nil)
	for op, body := range bodies() {
		want := wire.CodeMarshallingError
		if op == wire.OpSASL || op == wire.OpReconfig {
			want = wire.CodeUnimplemented
		}
		k := h.open(t)
		for n := range body {
			var code wire.Code
			if k, code = h.answered(t, k, op, body[:n], false); code != want {
				t.Errorf("%v cut to %d of %d bytes: %v", op, n, len(body), code)
			}
		}
		if _, code := h.answered(t, k, op, body, false); code == wire.CodeMarshallingError {
			t.Errorf("%v as a whole: %v", op, code)
		}
	}
}

// Lengths, counts, types and flags that lie, wherever they are.
func TestBodiesWithLiesAtEveryByte(t *testing.T) {
	h := newHouse(t, nil)
	prior := heap()
	for op, body := range bodies() {
		k := h.open(t)
		for _, lie := range []uint32{0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x00ffffff, 0, 1} {
			for at := 0; at+4 <= len(body); at++ {
				crafted := append([]byte(nil), body...)
				binary.BigEndian.PutUint32(crafted[at:], lie)
				k, _ = h.answered(t, k, op, crafted, op == wire.OpAuth)
			}
		}
	}
	if grown := heap() - prior; grown > 8<<20 {
		t.Errorf("%d MiB are kept", grown>>20)
	}
	if a := h.open(t).create("/after", "x", 0); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
}

// A frame of 100 bytes that announces 2^31-1 elements costs nothing.
func TestCountsThatLieCostNothing(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	many := "7fffffff"
	for _, hostile := range []struct {
		op   wire.Op
		body string
	}{
		{wire.OpSetACL, "000000022f61" + many},
		{wire.OpCreate, "000000022f61" + "00000000" + many},
		{wire.OpSetWatches, "0000000000000001" + many},
		{wire.OpSetWatches2, "0000000000000001" + strings.Repeat("00000000", 4) + many},
		{wire.OpMulti, "00000001" + "00" + "ffffffff" + "000000022f61" + "00000000" + many},
		{wire.OpGetData, many + "2f61" + "00"},
		{wire.OpSetData, "000000022f61" + many + "00"},
		{wire.OpAuth, "00000000" + many},
	} {
		body := append(unhex(hostile.body), make([]byte, 60)...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var code wire.Code
		for range 100 {
			if k, code = h.answered(t, k, hostile.op, body, false); code != wire.CodeMarshallingError {
				t.Errorf("%v: %v", hostile.op, code)
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / 100; each > 16<<10 {
			t.Errorf("%v allocates %d bytes", hostile.op, each)
		}
	}
}

func TestMultisOfEverySize(t *testing.T) {
	h := newHouse(t, nil)
	k := h.open(t)
	check := (&wire.MultiRequest{Ops: []wire.MultiOp{{Op: wire.OpCheck, Path: "/", Version: -1}}}).Append(nil)
	op, end := check[:len(check)-9], check[len(check)-9:]
	most := strings.Repeat(string(op), (wire.MaxFrame-8-9)/len(op))

	if _, code := h.answered(t, k, wire.OpMulti, []byte(most), false); code != wire.CodeMarshallingError {
		t.Errorf("without an end: %v", code)
	}
	if _, code := h.answered(t, k, wire.OpMulti, []byte(most+string(end)), false); code != wire.CodeOK {
		t.Errorf("as long as a frame: %v", code)
	}
	nested := end
	for range 1000 {
		nested = append([]byte("\x00\x00\x00\x0e\x00\xff\xff\xff\xff"), nested...)
	}
	if _, code := h.answered(t, k, wire.OpMulti, nested, false); code != wire.CodeMarshallingError {
		t.Errorf("nested: %v", code)
	}
}

// A frame that ends early ends the connection, wherever it is cut.
func TestFramesThatEndEarly(t *testing.T) {
	h := newHouse(t, nil)
	hello, mark := wire.BeginFrame(nil)
	hello = wire.EndFrame((&wire.ConnectRequest{TimeoutMs: 5000, Password: make([]byte, 16)}).Append(hello), mark)
	whole := append(hello, wire.AppendRequest(nil, 1, wire.OpExists, &wire.ExistsRequest{Path: "/"})...)
	for n := range whole {
		k := h.dial(t)
		k.write(whole[:n])
		k.c.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(k.r)
		if err != nil {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		if want := map[bool]int{true: 40, false: 0}[n >= len(hello)]; len(got) != want {
			t.Errorf("cut to %d bytes: answered %d, want %d", n, len(got), want)
		}
	}
	h.until(t, func() bool { return len(h.front.Connections()) == 0 })
}

// Before the handshake, frames are short, and lengths that are none are no reason to wait.
func TestFirstFramesThatAreNone(t *testing.T) {
	h := newHouse(t, nil)
	for name, first := range map[string][]byte{
		"negative": {0xff, 0xff, 0xff, 0xff}, "huge": {0x7f, 0xff, 0xff, 0xff}, "as long as a request may be": {0, 0x0f, 0xff, 0xff},
		"more than a kilobyte": {0, 0, 4, 1}, "empty": {0, 0, 0, 0}, "HTTP": []byte("GET / HTTP/1.1\r\n\r\n"),
		"telnet": {0xff, 0xf4, 0xff, 0xfd}, "TLS": {0x16, 3, 1, 2, 0, 1},
		"too short":                        append([]byte{0, 0, 0, 20}, make([]byte, 20)...),
		"a password longer than the frame": append([]byte{0, 0, 0, 28}, append(make([]byte, 24), 0x7f, 0xff, 0xff, 0xff)...),
	} {
		t.Run(name, func(t *testing.T) {
			k := h.dial(t)
			k.write(first)
			k.closed()
		})
	}
	if a := h.open(t).create("/after", "x", 0); a.Err != wire.CodeOK {
		t.Fatal(a.Err)
	}
}

// Who says nothing, or a byte now and then, is sent away when the handshake has taken too long.
func TestTheHandshakeHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes(), front: func(c *front.Config) { c.HandshakeTimeout = 10 * time.Second }}.build(t)
		begun := time.Now()
		silent, dripping := h.dial(t), h.dial(t)
		go func() {
			for i := 0; ; i++ {
				if _, err := dripping.c.Write([]byte{[...]byte{0, 0, 0, 45, 0}[min(i, 4)]}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		silent.closed()
		dripping.closed()
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("after %v", took)
		}
		if load, _ := h.front.Figures(); load.Unspoken != 2 {
			t.Errorf("%d are noted", load.Unspoken)
		}
		// Who has a session may be silent for as long as that lives: that is for others to judge.
		k := h.open(t)
		time.Sleep(time.Hour)
		k.send(wire.OpPing, nil)
		if a := k.reply(); a.Xid != wire.XidPing {
			t.Error("no answer after an hour")
		}
	})
}

func TestConnectionsAreLimited(t *testing.T) {
	h := newHouse(t, func(c *front.Config) { c.ConnectionsPerAddressMax = 3 })
	all := []*client{h.open(t), h.open(t), h.dial(t)}
	h.until(t, func() bool { return len(h.front.Connections()) == 3 })
	for range 5 {
		h.refused(t)
	}
	all[1].c.Close()
	h.until(t, func() bool { return len(h.front.Connections()) == 2 })
	h.open(t)
	if load, _ := h.front.Figures(); load.Rejected != 5 || load.Accepted != 9 {
		t.Errorf("%d of %d are noted as refused", load.Rejected, load.Accepted)
	}

	h = newHouse(t, func(c *front.Config) { c.ConnectionsMax = 1 })
	h.open(t)
	h.refused(t)
}

// refused wants a connection to be hung up on before it has said anything. That may be so fast that it
// is not even seen to be made.
func (h *house) refused(t *testing.T) {
	t.Helper()
	c, err := net.Dial("tcp", h.listen.Addr().String())
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(stopTimeout))
	var late net.Error
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.As(err, &late) && late.Timeout() {
		t.Fatalf("not refused: %v", err)
	}
}

// A password that is not the session's is refused before it costs an entry in the log, and whoever holds
// the session does not notice.
func TestWrongPasswords(t *testing.T) {
	h := newHouse(t, nil)
	k, other := h.open(t), h.open(t)
	before := h.feed.View().Zxid
	for name, m := range map[string]wire.ConnectRequest{
		"none":         {SessionID: k.id},
		"empty":        {SessionID: k.id, Password: []byte{}},
		"zeros":        {SessionID: k.id, Password: make([]byte, 16)},
		"another's":    {SessionID: k.id, Password: other.pass},
		"cut":          {SessionID: k.id, Password: k.pass[:15]},
		"and more":     {SessionID: k.id, Password: append(append([]byte(nil), k.pass...), 0)},
		"of nobody":    {SessionID: 77, Password: k.pass},
		"of a number":  {SessionID: -1, Password: k.pass},
		"the smallest": {SessionID: -1 << 63, Password: k.pass},
	} {
		m.TimeoutMs = 10000
		d := h.dial(t)
		if a := d.hello(m); a.SessionID != 0 || a.TimeoutMs != 0 || len(a.Password) != 16 {
			t.Errorf("%s: %+v", name, a)
		}
		d.closed()
	}
	if now := h.feed.View().Zxid; now != before {
		t.Errorf("the log has %d entries of it", now-before)
	}
	k.send(wire.OpPing, nil)
	if a := k.reply(); a.Err != wire.CodeOK {
		t.Error(a.Err)
	}
}
