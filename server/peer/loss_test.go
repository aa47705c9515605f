package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// proxy stands between servers and cuts connections.
type proxy struct {
	net.Listener
	target string

	mu   sync.Mutex // guards the fields below
	cuts []cut      // of the next connections; then none
	open []net.Conn
	shut bool
}

// cut says after how many bytes a connection is reset, in which direction.
type cut struct {
	after int
	back  bool // counting what the server answers
	reset bool
	flip  bool // do not cut: turn a bit of the next byte
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, target: target}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.relay(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.shut = true
		p.mu.Unlock()
		p.end()
		wg.Wait()
	})
	return p
}

// end closes every connection.
func (p *proxy) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}

func (p *proxy) next(c ...cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts = c
}

func (p *proxy) take(c, s net.Conn) cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, c, s)
	if p.shut {
		c.Close()
	}
	if len(p.cuts) == 0 {
		return cut{after: -1}
	}
	first := p.cuts[0]
	p.cuts = p.cuts[1:]
	return first
}

func (p *proxy) relay(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	k := p.take(client, server)
	var wg sync.WaitGroup
	wg.Go(func() { pass(server, client, k, !k.back) })
	pass(client, server, k, k.back)
	wg.Wait()
}

func pass(to, from net.Conn, k cut, counted bool) {
	defer to.Close()
	defer from.Close()
	if counted && k.after >= 0 {
		if _, err := io.CopyN(to, from, int64(k.after)); err != nil {
			return
		}
		if !k.flip {
			if k.reset {
				to.(*net.TCPConn).SetLinger(0)
				from.(*net.TCPConn).SetLinger(0)
			}
			return
		}
		var one [1]byte
		if _, err := io.ReadFull(from, one[:]); err != nil {
			return
		}
		one[0] ^= 0x10
		to.Write(one[:])
	}
	io.Copy(to, from)
}

func quick(c *Config, _ *node) {
	c.Limits.RedialMin, c.Limits.RedialMax = time.Millisecond, 5*time.Millisecond
}

// ledger is what feeds commands in the house, in small: it numbers them and keeps them until they
// are applied, and applies on the other side what comes next, ignoring repeats and gaps.
type ledger struct {
	n  *node
	to uint64

	mu      sync.Mutex // guards the fields below
	next    int
	pending []int
	applied []int
}

func (l *ledger) submit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	l.pending = append(l.pending, l.next)
	l.forward(l.pending[len(l.pending)-1:])
}

func (l *ledger) forward(numbers []int) {
	var out [][]byte
	for _, n := range numbers {
		out = append(out, strconv.AppendInt(nil, int64(n), 10))
	}
	if err := l.n.Forward(l.to, 1, out); err != nil && !errors.Is(err, ErrLost) && !errors.Is(err, ErrStopped) {
		l.n.w.t.Error(err)
	}
}

func (l *ledger) resend(uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > 0 {
		l.forward(l.pending)
	}
}

func (l *ledger) apply(_, _ uint64, commands [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range commands {
		n, err := strconv.Atoi(string(c))
		if err != nil {
			return err
		}
		if n == len(l.applied)+1 {
			l.applied = append(l.applied, n)
			l.pending = slices.DeleteFunc(l.pending, func(p int) bool { return p == n })
		}
	}
	return nil
}

func (l *ledger) done() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.applied) == l.next && len(l.pending) == 0
}

// TestCommandsSurviveEveryCut: wherever the connection is cut, on the way there or back, in order
// and once is what remains, with a ledger that sends again what it has not seen applied.
func TestCommandsSurviveEveryCut(t *testing.T) {
	w := newWorld(t)
	there := len((&hello{}).append(nil)) + 2*(headBytes+5)
	back := len((&welcome{}).append(nil))
	var cuts []cut
	for i := range there {
		cuts = append(cuts, cut{after: i, reset: i%2 == 0})
	}
	for i := range back {
		cuts = append(cuts, cut{after: i, back: true, reset: i%2 == 0})
	}
	// Losses are reported at intervals, so it is waiting that takes time: pairs wait together.
	const pairs = 16
	var wg sync.WaitGroup
	for i := range pairs {
		l := &ledger{to: uint64(2*i + 2)}
		l.n = w.add(uint64(2*i+1), quick, func(_ *Config, n *node) { n.onLost = l.resend })
		b := w.add(l.to, quick, func(_ *Config, n *node) { n.onCommands = l.apply })
		target, _ := w.address(uint8(l.to))
		p := newProxy(t, target)
		w.setAddress(uint8(l.to), p.Addr().String())
		wg.Go(func() {
			for j := i; j < len(cuts); j += pairs {
				p.next(cuts[j])
				p.end() // the next one begins
				for range 3 {
					l.submit()
				}
				if !l.n.happens(l.done) {
					t.Errorf("no recovery from %+v; log:\n%s", cuts[j], l.n.logged())
					return
				}
			}
			if s := b.Stats(); s.Corrupt != 0 {
				t.Errorf("%d corrupt frames: nothing was", s.Corrupt)
			}
		})
	}
	wg.Wait()
}

// TestAWrongBitIsNeverHandedOut: it closes the connection, is counted and logged, and the next
// connection works.
func TestAWrongBitIsNeverHandedOut(t *testing.T) {
	w := newWorld(t)
	a, b := w.add(1, quick), w.add(2, quick)
	target, _ := w.address(2)
	p := newProxy(t, target)
	w.setAddress(2, p.Addr().String())
	start := len((&hello{}).append(nil))
	m := appends(2, 10, 2, 10)
	frame := len(appendMessages(nil, []*pb.Message{m})) + headBytes
	for i := range frame {
		var had int
		b.note(func() { had = len(b.messages) })
		before := b.Stats().Corrupt
		p.next(cut{after: start + i, flip: true})
		a.Send([]*pb.Message{m})
		b.eventually(fmt.Sprintf("refusal of byte %d", i), func() bool { return b.Stats().Corrupt == before+1 })
		a.eventually("end of the connection", func() bool { return !a.Stats().Peers[0].Bulk.Connected })
		b.note(func() {
			if len(b.messages) != had {
				t.Errorf("byte %d: a wrong message was handed out", i)
			}
		})
	}
	a.Send([]*pb.Message{m})
	b.eventually("a message", func() bool { return len(b.messages) == 1 })
	a.eventually("losses", func() bool { return slices.Contains(a.lost, 2) })
}

// TestGoneIsSaidOfWhoEnds: of the other, once, and not when we end, or are cut off ourselves.
func TestGoneIsSaidOfWhoEnds(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.add(1), w.add(2), w.add(3)
	for _, x := range []*node{a, b, c} {
		for to := uint64(1); to <= 3; to++ {
			if to != x.id {
				x.Send([]*pb.Message{heartbeat(to, 1), appends(to, 1, 1, 1)})
			}
		}
	}
	for _, x := range []*node{a, b, c} {
		x.eventually("talk", func() bool { return len(x.messages) == 4 })
	}
	began := time.Now()
	a.stop()
	for _, x := range []*node{b, c} {
		x.eventually("the news", func() bool { return slices.Equal(x.gone, []uint64{1}) })
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	a.note(func() {
		if len(a.gone) != 0 {
			t.Errorf("who ended itself heard that %v have", a.gone)
		}
	})
	// It comes back: under the same address, and is talked to.
	address, _ := w.address(1)
	again := w.add(nodeOf(1, 7), func(c *Config, _ *node) {
		c.Listener.Close()
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.Listener = l
	})
	b.Send([]*pb.Message{heartbeat(again.id, 2)})
	again.eventually("a message", func() bool { return len(again.messages) == 1 })
}

// TestBackpressure: a receiver that blocks stops the flow, Forward then refuses, and nothing is
// lost; when its connection ends, Forward refuses until Lost was called.
func TestBackpressure(t *testing.T) {
	w := newWorld(t)
	hold := make(chan struct{})
	var got int
	a := w.add(1, quick, func(c *Config, _ *node) { c.Limits.CommandBytes = 1 << 20 })
	b := w.add(2, func(_ *Config, n *node) {
		n.onCommands = func(_, _ uint64, commands [][]byte) error {
			<-hold
			n.note(func() { got += len(commands) })
			return nil
		}
	})
	t.Cleanup(func() {
		select {
		case <-hold:
		default:
			close(hold)
		}
	})
	command := [][]byte{bytes.Repeat([]byte("x"), 1<<16)}
	sent := 0
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := a.Forward(2, 1, command)
		if errors.Is(err, ErrFull) && a.Stats().Peers[0].Commands.Sent > 0 {
			break
		}
		if err == nil {
			sent++
		} else {
			time.Sleep(time.Millisecond)
		}
		if time.Now().After(deadline) {
			t.Fatal("it never was full")
		}
	}
	close(hold)
	b.eventually("all of it", func() bool { return got == sent })
	if err := a.Forward(2, 1, [][]byte{make([]byte, 65<<20)}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// TestLostComesBeforeMore: after commands were dropped, none are taken before Lost was called.
func TestLostComesBeforeMore(t *testing.T) {
	w := newWorld(t)
	a := w.add(1, quick)
	w.setAddress(2, "127.0.0.1:1") // nobody
	if err := a.Forward(2, 1, [][]byte{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	var order []string
	a.note(func() {
		a.onLost = func(uint64) {
			a.note(func() { order = append(order, "lost") })
			if err := a.Forward(2, 1, [][]byte{[]byte("x")}); err != nil {
				t.Error(err)
			}
		}
	})
	began := time.Now()
	a.eventually("four losses", func() bool { return len(a.lost) >= 4 })
	if took := time.Since(began); took < 2*lostEvery {
		t.Errorf("four in %v", took)
	}
}

// TestAStalledPeerIsLetGo: one that reads nothing does not hold what is sent to it for ever.
func TestAStalledPeerIsLetGo(t *testing.T) {
	w := newWorld(t)
	a := w.add(1, quick, func(c *Config, _ *node) { c.Limits.StallTimeout = 200 * time.Millisecond })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.setAddress(2, l.Addr().String())
	held := make(chan net.Conn, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(held)
				return
			}
			readHello(c)
			c.Write((&welcome{version: version, cluster: testCluster, node: 2}).append(nil))
			held <- c // and never reads again
		}
	})
	for range 12 {
		a.Send([]*pb.Message{appends(2, 1, 16, 1<<16)})
	}
	a.eventually("the end", func() bool { return slices.Contains(a.lost, 2) && !a.Stats().Peers[0].Bulk.Connected })
	l.Close()
	wg.Wait()
	for c := range held {
		c.Close()
	}
}

func TestAsks(t *testing.T) {
	w := newWorld(t)
	a := w.add(1)
	release := make(chan struct{})
	b := w.add(2, func(c *Config, n *node) {
		c.Limits.AsksMax = 8
		n.onAsk = func(ctx context.Context, _ uint64, kind uint8, body []byte) ([]byte, error) {
			switch kind {
			case 1:
				return body, nil
			case 2:
				return nil, &AskError{Code: AskOwn + 1, Text: "no"}
			case 3:
				return make([]byte, 2<<20), nil
			case 4:
				<-ctx.Done()
				close(release)
				return nil, ctx.Err()
			case 5:
				return nil, errors.New("broken")
			default:
				return nil, fmt.Errorf("%w", ErrUnknownAsk)
			}
		}
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			want := fmt.Sprint(i)
			if got, err := a.Peers.Ask(t.Context(), 2, 1, []byte(want)); err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := b.Stats().Inlets; n != 1 {
		t.Errorf("%d connections for 50 questions", n)
	}
	var own *AskError
	if _, err := a.Peers.Ask(t.Context(), 2, 2, nil); !errors.As(err, &own) || own.Code != AskOwn+1 || own.Text != "no" {
		t.Error(err)
	}
	if _, err := a.Peers.Ask(t.Context(), 2, 3, nil); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := a.Peers.Ask(t.Context(), 2, 5, nil); !errors.As(err, &own) || own.Text != "broken" {
		t.Error(err)
	}
	if _, err := a.Peers.Ask(t.Context(), 2, 6, nil); !errors.Is(err, ErrUnknownAsk) {
		t.Error(err)
	}
	if _, err := a.Peers.Ask(t.Context(), 2, 1, make([]byte, 2<<20)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := a.Peers.Ask(t.Context(), 9, 1, nil); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Peers.Ask(ctx, 2, 4, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	<-release // the other side stops as well
	b.stop()
	if _, err := a.Peers.Ask(t.Context(), 2, 1, nil); err == nil {
		t.Error("a server that has ended answered")
	}
}
