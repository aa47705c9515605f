package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// world is a few servers over loopback.
type world struct {
	t  *testing.T
	mu sync.Mutex // guards the field below

	addresses map[uint8]string
	nodes     map[uint8]*node
}

// node is one server of a world: its Peers, and a Handler that remembers.
type node struct {
	*Peers
	w    *world
	id   uint64
	stop func()

	mu       sync.Mutex // guards the fields below
	messages []*pb.Message
	commands []string
	heard    []int64
	gone     []uint64
	lost     []uint64
	images   [][]byte
	sent     []bool
	log      bytes.Buffer

	onCommands func(from, term uint64, commands [][]byte) error
	onAsk      func(ctx context.Context, from uint64, kind uint8, body []byte) ([]byte, error)
	onImage    func(m *pb.Message, body io.Reader) error
	onLost     func(node uint64)
}

const testCluster = 77

func nodeOf(id uint8, incarnation uint64) uint64 { return incarnation<<8 | uint64(id) }

func newWorld(t *testing.T) *world {
	leakless(t)
	return &world{t: t, addresses: map[uint8]string{}, nodes: map[uint8]*node{}}
}

// leakless fails the test if goroutines of this package outlive it.
func leakless(t *testing.T) {
	t.Cleanup(func() {
		var stacks string
		for range 100 {
			buffer := make([]byte, 1<<20)
			stacks = string(buffer[:runtime.Stack(buffer, true)])
			if !strings.Contains(stacks, "peer.(*Peers)") && !strings.Contains(stacks, "peer.(*link)") {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("goroutines are left:\n%s", stacks)
	})
}

func (w *world) address(id uint8) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.addresses[id]
	return a, ok
}

func (w *world) setAddress(id uint8, a string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addresses[id] = a
}

// add starts a server; change may change its configuration before.
func (w *world) add(self uint64, change ...func(*Config, *node)) *node {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	n := &node{w: w, id: self}
	cfg := Config{
		Self: self, Cluster: testCluster, Listener: l,
		Address: w.address,
		Allowed: func(uint64) bool { return true },
		Handler: n,
		Image: func(m *pb.Message, out io.Writer) error {
			_, err := out.Write(m.GetSnapshot().GetData())
			return err
		},
		ImageSent: func(_ uint64, arrived bool) { n.note(func() { n.sent = append(n.sent, arrived) }) },
		Logger:    slog.New(slog.NewTextHandler(&lockedWriter{n: n}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Limits:    Limits{HandshakeTimeout: 2 * time.Second},
	}
	for _, f := range change {
		f(&cfg, n)
	}
	if a, ok := w.address(uint8(self)); !ok || a == "" {
		w.setAddress(uint8(self), l.Addr().String())
	}
	n.Peers = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run of %d: %v", self, err)
		}
	})
	w.t.Cleanup(n.stop)
	for n.mode() == nil {
		time.Sleep(time.Millisecond)
	}
	w.mu.Lock()
	w.nodes[uint8(self)] = n
	w.mu.Unlock()
	return n
}

// mode returns the context of a Peers that runs.
func (p *Peers) mode() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ctx
}

type lockedWriter struct{ n *node }

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	return l.n.log.Write(b)
}

func (n *node) note(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *node) logged() (s string) { n.note(func() { s = n.log.String() }); return s }

func (n *node) Messages(from uint64, messages []*pb.Message) {
	n.note(func() {
		for _, m := range messages {
			if m.GetFrom() != from {
				n.w.t.Errorf("a message from %d says it is from %d", from, m.GetFrom())
			}
		}
		n.messages = append(n.messages, messages...)
	})
}

func (n *node) Commands(from, term uint64, commands [][]byte) error {
	if n.onCommands != nil {
		return n.onCommands(from, term, commands)
	}
	n.note(func() {
		for _, c := range commands {
			n.commands = append(n.commands, fmt.Sprintf("%d:%s", term, c))
		}
	})
	return nil
}

func (n *node) Heard(_ uint64, sessions []int64) {
	n.note(func() { n.heard = append(n.heard, sessions...) })
}

func (n *node) Ask(ctx context.Context, from uint64, kind uint8, body []byte) ([]byte, error) {
	if n.onAsk != nil {
		return n.onAsk(ctx, from, kind, body)
	}
	return fmt.Appendf(nil, "%d/%d/%s", from, kind, body), nil
}

func (n *node) Image(_ context.Context, _ uint64, m *pb.Message, in io.Reader) error {
	if n.onImage != nil {
		return n.onImage(m, in)
	}
	b, err := io.ReadAll(in)
	if err == nil {
		n.note(func() { n.images = append(n.images, b) })
	}
	return err
}

func (n *node) Gone(node uint64) { n.note(func() { n.gone = append(n.gone, node) }) }

func (n *node) Lost(node uint64, _ bool) {
	n.note(func() { n.lost = append(n.lost, node) })
	if n.onLost != nil {
		n.onLost(node)
	}
}

// eventually waits for something that happens on other goroutines and sockets.
func (n *node) eventually(what string, f func() bool) {
	n.w.t.Helper()
	if !n.happens(f) {
		n.w.t.Fatalf("%s did not happen at %#x; log:\n%s", what, n.id, n.logged())
	}
}

func (n *node) happens(f func() bool) bool {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		ok := false
		n.note(func() { ok = f() })
		if ok || time.Now().After(deadline) {
			return ok
		}
	}
}

func heartbeat(to, term uint64) *pb.Message {
	return &pb.Message{Type: pb.MsgHeartbeat.Enum(), To: new(to), From: new(uint64(9)), Term: new(term),
		Commit: new(uint64(5)), Context: []byte("12345678")}
}

func appends(to, index uint64, n, size int) *pb.Message {
	m := &pb.Message{Type: pb.MsgApp.Enum(), To: new(to), Term: new(uint64(3)), LogTerm: new(uint64(2)),
		Index: new(index), Commit: new(index - 1)}
	for i := range n {
		m.Entries = append(m.Entries, &pb.Entry{Type: pb.EntryNormal.Enum(), Term: new(uint64(3)),
			Index: new(index + 1 + uint64(i)), Data: bytes.Repeat([]byte{byte(i)}, size)})
	}
	return m
}

func TestThreeServersTalk(t *testing.T) {
	w := newWorld(t)
	ids := []uint64{nodeOf(1, 0), nodeOf(2, 0xabc), nodeOf(3, 0xdef)}
	var nodes []*node
	for _, id := range ids {
		nodes = append(nodes, w.add(id))
	}
	for i, n := range nodes {
		for j, to := range ids {
			if i == j {
				continue
			}
			n.Send([]*pb.Message{heartbeat(to, 4), appends(to, 10, 3, 100)})
			if err := n.Forward(to, 4, [][]byte{[]byte("a"), {}, []byte("b")}); err != nil {
				t.Fatal(err)
			}
			if err := n.Hear(to, []int64{1, -2}); err != nil {
				t.Fatal(err)
			}
			got, err := n.Peers.Ask(t.Context(), uint8(to), 5, []byte("why"))
			if want := fmt.Sprintf("%d/5/why", n.id); err != nil || string(got) != want {
				t.Fatalf("%q, %v; want %q", got, err, want)
			}
		}
	}
	for _, n := range nodes {
		n.eventually("all of it", func() bool {
			return len(n.messages) == 4 && len(n.commands) == 6 && len(n.heard) == 4
		})
		n.note(func() {
			for _, m := range n.messages {
				if m.GetTo() != n.id || m.GetType() == pb.MsgApp && string(m.Entries[2].Data) != strings.Repeat("\x02", 100) {
					t.Error(m)
				}
			}
			if !slices.Equal(n.commands[:3], []string{"4:a", "4:", "4:b"}) {
				t.Error(n.commands)
			}
		})
	}
	s := nodes[0].Stats()
	if len(s.Peers) != 2 || !s.Peers[0].Urgent.Connected || s.Peers[0].Commands.Sent != 3 || s.Peers[0].ReceivedMessages != 2 {
		t.Errorf("%+v", s)
	}
}

func TestAnImageArrivesWhole(t *testing.T) {
	w := newWorld(t)
	a, b := w.add(1), w.add(2)
	image := bytes.Repeat([]byte("image"), 50_000)
	snap := func() *pb.Message {
		return &pb.Message{Type: pb.MsgSnap.Enum(), To: new(uint64(2)), Term: new(uint64(7)), Snapshot: &pb.Snapshot{
			Data: image, Metadata: &pb.SnapshotMetadata{Index: new(uint64(9)), Term: new(uint64(6)),
				ConfState: &pb.ConfState{Voters: []uint64{1, 2}}}}}
	}
	a.Send([]*pb.Message{snap()})
	a.eventually("the report", func() bool { return slices.Equal(a.sent, []bool{true}) })
	b.note(func() {
		if len(b.images) != 1 || !bytes.Equal(b.images[0], image) {
			t.Errorf("%d images arrived", len(b.images))
		}
		b.onImage = func(m *pb.Message, in io.Reader) error {
			if m.GetSnapshot().GetMetadata().GetIndex() != 9 || m.GetTerm() != 7 || m.GetFrom() != 1 {
				t.Error(m)
			}
			io.CopyN(io.Discard, in, 10)
			return errors.New("no room")
		}
	})
	a.Send([]*pb.Message{snap()})
	a.eventually("the second report", func() bool { return slices.Equal(a.sent, []bool{true, false}) })
	b.stop()
	a.Send([]*pb.Message{snap()})
	a.eventually("the third report", func() bool { return slices.Equal(a.sent, []bool{true, false, false}) })
}
