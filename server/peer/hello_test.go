package peer

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

func TestHelloAndWelcomeComeBack(t *testing.T) {
	h := hello{version: version, channel: commands, id: 2, cluster: 3, from: 1 << 60, to: 5, features: 6}
	b := h.append(nil)
	if got, err := readHello(bytes.NewReader(b)); err != nil || got != h {
		t.Error(got, err)
	}
	a := welcome{version: 2, code: Busy, cluster: 3, node: 4, features: 5}
	if got, err := readWelcome(bytes.NewReader(a.append(nil))); err != nil || got != a {
		t.Error(got, err)
	}
	for n := range b {
		if _, err := readHello(bytes.NewReader(b[:n])); err == nil {
			t.Errorf("%d bytes of a hello were enough", n)
		}
	}
	// What a later version adds is ignored, and nothing beyond the hello is read.
	later := appendFrame([]byte(magic), kindHello, append(b[len(magic)+headBytes:len(b):len(b)], "more"...))
	in := bytes.NewReader(append(later, "frames"...))
	if got, err := readHello(in); err != nil || got != h || in.Len() != len("frames") {
		t.Error(got, err, in.Len())
	}
}

func TestWhoIsWelcome(t *testing.T) {
	self, other := nodeOf(2, 7), nodeOf(1, 9)
	good := hello{version: version, channel: bulk, id: 2, cluster: 3, from: other, to: self}
	for _, c := range []struct {
		name    string
		cluster uint64
		change  func(h *hello)
		want    Code
	}{
		{"as it should be", 3, func(*hello) {}, Welcome},
		{"any node of the number", 3, func(h *hello) { h.to = 0 }, Welcome},
		{"another cluster", 3, func(h *hello) { h.cluster = 4 }, WrongCluster},
		{"no cluster", 3, func(h *hello) { h.cluster = 0 }, WrongCluster},
		{"we have none", 0, func(*hello) {}, WrongCluster},
		{"neither has", 0, func(h *hello) { h.cluster = 0 }, WrongCluster},
		{"asks of another cluster", 3, func(h *hello) { h.cluster, h.channel = 4, asks }, WrongCluster},
		{"asks without cluster", 3, func(h *hello) { h.cluster, h.channel = 0, asks }, Welcome},
		{"asks, we have none", 0, func(h *hello) { h.channel = asks }, Welcome},
		{"asks, neither has", 0, func(h *hello) { h.cluster, h.channel = 0, asks }, Welcome},
		{"another number", 3, func(h *hello) { h.id = 3 }, WrongServer},
		{"another node", 3, func(h *hello) { h.to = nodeOf(2, 8) }, WrongServer},
		{"ourselves", 3, func(h *hello) { h.from = self }, NotMember},
		{"nobody", 3, func(h *hello) { h.from = 0 }, NotMember},
		{"another version", 3, func(h *hello) { h.version++ }, WrongVersion},
	} {
		h := good
		c.change(&h)
		if got := (identity{self, c.cluster}).judge(&h); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWhoAnswersMustBeWhoWasCalled(t *testing.T) {
	me, h := identity{1, 3}, hello{channel: bulk, id: 2, cluster: 3, from: 1, to: 2}
	for _, c := range []struct {
		name string
		h    func(*hello)
		w    welcome
		want Code
	}{
		{"fine", func(*hello) {}, welcome{version: version, cluster: 3, node: 2}, Welcome},
		{"refused", func(*hello) {}, welcome{version: version, code: Removed, cluster: 3, node: 2}, Removed},
		{"another node", func(*hello) {}, welcome{version: version, cluster: 3, node: nodeOf(2, 1)}, WrongServer},
		{"any node", func(h *hello) { h.to = 0 }, welcome{version: version, cluster: 3, node: nodeOf(2, 1)}, Welcome},
		{"another number", func(h *hello) { h.to = 0 }, welcome{version: version, cluster: 3, node: 3}, WrongServer},
		{"another cluster", func(*hello) {}, welcome{version: version, cluster: 4, node: 2}, WrongCluster},
		{"asks, not founded", func(h *hello) { h.channel = asks }, welcome{version: version, node: 2}, Welcome},
		{"asks, another", func(h *hello) { h.channel = asks }, welcome{version: version, cluster: 4, node: 2}, WrongCluster},
	} {
		h := h
		c.h(&h)
		var refused *RefusedError
		switch err := me.accept(&h, &c.w); {
		case c.want == Welcome && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != Welcome && (!errors.As(err, &refused) || refused.Code != c.want):
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestStrangersAreRefused: whatever calls is refused and logged once, and nobody else notices.
func TestStrangersAreRefused(t *testing.T) {
	w := newWorld(t)
	var removed atomic.Uint64
	b := w.add(2, func(c *Config, _ *node) {
		c.Limits.HandshakeTimeout = 300 * time.Millisecond
		c.Allowed = func(node uint64) bool { return node == 1 }
		c.Removed = func(node uint64) bool { return node == removed.Load() }
	})
	a := w.add(1)
	talk := func() {
		t.Helper()
		had := 0
		b.note(func() { had = len(b.messages) })
		a.Send([]*pb.Message{heartbeat(2, 1)})
		b.eventually("a message", func() bool { return len(b.messages) > had })
	}
	talk()
	address, _ := w.address(2)
	good := hello{version: version, channel: urgent, id: 2, cluster: testCluster, from: 5, to: 2}
	with := func(f func(*hello)) []byte { h := good; f(&h); return h.append(nil) }
	corrupt := good.append(nil)
	corrupt[30] ^= 1
	removed.Store(9)
	for _, c := range []struct {
		name string
		say  []byte
		log  string
		code Code // Welcome: no answer
	}{
		{"another cluster", with(func(h *hello) { h.cluster = 6 }), "another cluster", WrongCluster},
		{"another server", with(func(h *hello) { h.id = 6 }), "another server", WrongServer},
		{"not a member", with(func(*hello) {}), "not a member", NotMember},
		{"removed", with(func(h *hello) { h.from = 9 }), "reason=removed", Removed},
		{"another version", with(func(h *hello) { h.version = 9 }), "another version", WrongVersion},
		{"another channel", with(func(h *hello) { h.channel = 9 }), "another channel", WrongChannel},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "TLS is not configured", Welcome},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), "another protocol", Welcome},
		{"corrupt", corrupt, "checksum", Welcome},
		{"long", closeFrame(append([]byte(magic), make([]byte, headBytes+2000)...), len(magic), kindHello), "malformed hello", Welcome},
		{"silence", nil, "timeout", Welcome},
	} {
		for range 2 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			conn.Write(c.say)
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			got, err := readWelcome(conn)
			if c.code == Welcome && err == nil || c.code != Welcome && (err != nil || got.code != c.code || got.cluster != testCluster) {
				t.Errorf("%s: answered %+v, %v", c.name, got, err)
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the connection is still open", c.name)
			}
			conn.Close()
		}
		if !strings.Contains(b.logged(), c.log) {
			t.Errorf("%s: not logged:\n%s", c.name, b.logged())
		}
		talk()
	}
	if n := strings.Count(b.logged(), "not a member"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if s := a.Stats().Peers[0].Urgent; s.Dials != 1 {
		t.Errorf("others were disturbed: %+v", s)
	}
}

// TestBeforeTheClusterIsKnown: questions work in both directions, and nothing else does.
func TestBeforeTheClusterIsKnown(t *testing.T) {
	w := newWorld(t)
	a := w.add(1)
	b := w.add(nodeOf(2, 5), quick, func(c *Config, _ *node) { c.Cluster = 0 })
	ask := func() {
		t.Helper()
		if _, err := a.Peers.Ask(t.Context(), 2, 1, nil); err != nil {
			t.Error(err)
		}
		if _, err := b.Peers.Ask(t.Context(), 1, 1, nil); err != nil {
			t.Error(err)
		}
	}
	ask()
	a.Send([]*pb.Message{heartbeat(b.id, 1)})
	b.Send([]*pb.Message{heartbeat(1, 1)})
	a.eventually("refusal", func() bool { return strings.Contains(a.log.String(), "another cluster") })
	a.note(func() {
		if len(a.messages) != 0 {
			t.Error(a.messages)
		}
	})
	b.SetCluster(testCluster, nodeOf(2, 6))
	ask()
	b.Send([]*pb.Message{heartbeat(1, 1)})
	a.eventually("a message", func() bool { return len(a.messages) == 1 && a.messages[0].GetFrom() == nodeOf(2, 6) })
	a.Send([]*pb.Message{heartbeat(nodeOf(2, 6), 1)})
	b.eventually("a message", func() bool { return len(b.messages) == 1 })
	c := w.add(3, func(c *Config, _ *node) { c.Cluster = 5 })
	var refused *RefusedError
	if _, err := c.Peers.Ask(t.Context(), 1, 1, nil); !errors.As(err, &refused) || refused.Code != WrongCluster || refused.Cluster != testCluster {
		t.Error(err)
	}
}

// TestWhoIsNotAllowedAnyMoreIsCutOff: on the connections it already has.
func TestWhoIsNotAllowedAnyMoreIsCutOff(t *testing.T) {
	w := newWorld(t)
	var allowed atomic.Bool
	allowed.Store(true)
	a := w.add(1)
	b := w.add(2, func(c *Config, _ *node) { c.Allowed = func(uint64) bool { return allowed.Load() } })
	send := func() {
		a.Send([]*pb.Message{heartbeat(2, 1)})
		a.Forward(2, 1, [][]byte{[]byte("x")})
	}
	send()
	b.eventually("talk", func() bool { return len(b.messages) == 1 && len(b.commands) == 1 })
	allowed.Store(false)
	a.eventually("the end", func() bool {
		send()
		return slices.Contains(a.lost, 2) && strings.Contains(a.log.String(), "not a member")
	})
	b.note(func() {
		if len(b.messages) != 1 || len(b.commands) != 1 || len(b.gone) != 0 {
			t.Error(b.messages, b.commands, b.gone)
		}
	})
}

// TestCallersAreBounded: those beyond the bound are closed at once, and make room when they go.
func TestCallersAreBounded(t *testing.T) {
	for name, bound := range map[string]func(*Limits){
		"connections": func(l *Limits) { l.ConnectionsMax = 3 },
		"handshakes":  func(l *Limits) { l.OpeningsMax = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.add(2, func(c *Config, _ *node) { bound(&c.Limits) })
			a := w.add(1, quick)
			address, _ := w.address(2)
			var silent []net.Conn
			for range 3 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				silent = append(silent, c)
			}
			b.eventually("three callers", func() bool { return b.Stats().Inlets == 3 })
			if _, err := a.Peers.Ask(t.Context(), 2, 1, nil); err == nil {
				t.Error("a fourth was let in")
			}
			for _, c := range silent {
				c.Close()
			}
			a.eventually("room", func() bool { return b.Stats().Inlets == 0 })
			if _, err := a.Peers.Ask(t.Context(), 2, 1, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
