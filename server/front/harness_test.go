package front_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// memoryLog agrees with itself at once: what is proposed is applied, in order, by a goroutine of its
// own, unless it is held. It is the smallest log under which a front shows all of its behaviour.
type memoryLog struct {
	mu    sync.Mutex
	apply func([]replica.Entry)
	queue []replica.Entry
	index uint64 // of the last entry taken
	done  uint64 // of the last entry applied
	held  bool
	wake  sync.Cond
	end   bool
	mute  bool     // no quorum confirms anything: questions are kept
	asked []func() // and not answered
	asks  int      // questions ever

	others uint64 // commands of another server
}

func newMemoryLog() *memoryLog {
	l := &memoryLog{index: 1, done: 1}
	l.wake.L = &l.mu
	return l
}

func (l *memoryLog) Propose(_, _ uint64, commands [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range commands {
		l.index++
		l.queue = append(l.queue, replica.Entry{Index: l.index, Term: 1, Data: c})
	}
	l.wake.Signal()
	return nil
}

func (l *memoryLog) ReadIndex(done func(uint64, error)) error {
	l.mu.Lock()
	index, mute := l.index, l.mute
	l.asks++
	if mute {
		l.asked = append(l.asked, func() { done(index, nil) })
	}
	l.mu.Unlock()
	if !mute {
		done(index, nil)
	}
	return nil
}

// silence keeps questions unanswered; confirm answers them, and those to come.
func (l *memoryLog) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mute = true
}

func (l *memoryLog) confirm() {
	l.mu.Lock()
	asked := l.asked
	l.asked, l.mute = nil, false
	l.mu.Unlock()
	for _, answer := range asked {
		answer()
	}
}

// questions returns how many were asked ever, and how many wait.
func (l *memoryLog) questions() (asked, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asks, len(l.asked)
}

// elsewhere puts a command of another server into the log and returns its index.
func (l *memoryLog) elsewhere(c state.Command) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	l.others++
	c.Origin = state.Origin{Server: 2, Boot: 1, Seq: l.others}
	l.queue = append(l.queue, replica.Entry{Index: l.index, Term: 1, Data: state.AppendCommand(nil, &c)})
	l.wake.Signal()
	return int64(l.index)
}

// hold stops applying, release goes on.
func (l *memoryLog) hold()    { l.set(true) }
func (l *memoryLog) release() { l.set(false) }

func (l *memoryLog) set(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = held
	l.wake.Signal()
}

// waiting returns how many commands are not applied.
func (l *memoryLog) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

func (l *memoryLog) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.end {
		if len(l.queue) == 0 || l.held {
			l.wake.Wait()
			continue
		}
		batch := l.queue
		l.queue = nil
		l.mu.Unlock()
		l.apply(batch)
		l.mu.Lock()
		l.done = batch[len(batch)-1].Index
	}
}

func (l *memoryLog) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = true
	l.wake.Signal()
}

// house is a front with everything behind it.
type house struct {
	log    *memoryLog
	feed   *feed.Feed
	front  *front.Front
	listen net.Listener
	stop   func() // ends it, and fails the test if that takes long; called when the test ends, too
}

// plan says what is not as usual in a house. Every field may be left out.
type plan struct {
	front  func(*front.Config)
	feed   func(*feed.Config)
	listen net.Listener // nil: loopback
	empty  bool         // the log has no entry yet, as ZooKeeper begins; ours begins with one
}

func newHouse(t testing.TB, change func(*front.Config)) *house {
	t.Helper()
	return plan{front: change}.build(t)
}

func (p plan) build(t testing.TB) *house {
	t.Helper()
	h := &house{log: newMemoryLog(), listen: p.listen}
	m := state.New()
	if p.empty {
		h.log.index = 0
	} else {
		var out state.Outcome
		m.Apply(1, nil, &out)
	}
	back := feed.Config{
		Machine: m, Log: h.log, Server: 1, RecentMax: 1000, RecentFrom: m.Zxid(),
		InboxBytesMax: 1 << 20, PendingBytesMax: 1 << 20,
	}
	if p.feed != nil {
		p.feed(&back)
	}
	h.feed = feed.New(back)
	h.log.apply = h.feed.Apply
	h.feed.Begin(1)
	h.feed.Lead(1, 1)
	cfg := front.Config{
		Feed: h.feed, Log: slog.New(slog.DiscardHandler), FrameBytesMax: wire.MaxFrame, OutstandingMax: 100,
		HandshakeTimeout: 10 * time.Second, SessionTimeoutMinMs: 4000, SessionTimeoutMaxMs: 40000,
		Random: func(b []byte) { rand.Read(b) },
	}
	if p.front != nil {
		p.front(&cfg)
	}
	h.front = front.New(cfg)
	if h.listen == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h.listen = l
	}
	h.run(t)
	t.Cleanup(h.stop)
	return h
}

// run starts the goroutines of the house and says how they end.
func (h *house) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	var logs, serves sync.WaitGroup
	logs.Go(h.log.run)
	serves.Go(func() {
		if err := h.front.Serve(ctx, h.listen); err != nil {
			t.Error(err)
		}
	})
	h.stop = sync.OnceFunc(func() {
		// A front that waited for the log here would wait for ever when the log has failed.
		h.feed.Stop()
		cancel()
		ended := make(chan struct{})
		go func() { serves.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(stopTimeout):
			stacks := make([]byte, 1<<20)
			t.Errorf("the front has not ended:\n%s", stacks[:runtime.Stack(stacks, true)])
			panic("a goroutine is left behind")
		}
		h.log.stop()
		logs.Wait()
	})
}

const stopTimeout = 10 * time.Second

// until yields to the other goroutines until cond holds.
func (h *house) until(t testing.TB, cond func() bool) {
	t.Helper()
	for begun := time.Now(); !cond(); runtime.Gosched() {
		if time.Since(begun) > stopTimeout {
			t.Fatal("what is waited for does not come")
		}
	}
}

func (h *house) outstanding() int64 {
	load, _ := h.front.Figures()
	return load.Outstanding
}

// pipes is a listener in memory, for tests in which time is an argument. What is written on one side
// is read on the other at once, or the writer waits: there is no buffer between.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// client speaks the protocol by hand.
type client struct {
	t    testing.TB
	c    net.Conn
	r    *bufio.Reader
	id   int64
	pass []byte
	xid  int32
}

func (h *house) dial(t testing.TB) *client {
	t.Helper()
	var c net.Conn
	if p, ok := h.listen.(*pipes); ok {
		c = p.dial()
	} else {
		var err error
		if c, err = net.Dial("tcp", h.listen.Addr().String()); err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(stopTimeout))
	}
	t.Cleanup(func() { c.Close() })
	return &client{t: t, c: c, r: bufio.NewReader(c)}
}

// open dials and opens a session.
func (h *house) open(t testing.TB) *client {
	t.Helper()
	k := h.dial(t)
	if r := k.hello(wire.ConnectRequest{TimeoutMs: 10000, Password: make([]byte, 16), HasReadOnly: true}); r.SessionID == 0 {
		t.Fatal("no session")
	}
	return k
}

func (k *client) hello(m wire.ConnectRequest) wire.ConnectResponse {
	k.t.Helper()
	k.greeting(m)
	r := codec.NewReader(k.frame())
	var a wire.ConnectResponse
	a.Decode(&r)
	if r.Err() != nil {
		k.t.Fatal(r.Err())
	}
	k.id, k.pass = a.SessionID, append([]byte(nil), a.Password...)
	return a
}

// greeting writes a connect request.
func (k *client) greeting(m wire.ConnectRequest) {
	k.t.Helper()
	b, mark := wire.BeginFrame(nil)
	k.write(wire.EndFrame(m.Append(b), mark))
}

func (k *client) write(b []byte) {
	k.t.Helper()
	if _, err := k.c.Write(b); err != nil {
		k.t.Fatal(err)
	}
}

func (k *client) frame() []byte {
	k.t.Helper()
	b, err := k.next()
	if err != nil {
		k.t.Fatalf("read frame: %v", err)
	}
	return b
}

func (k *client) next() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(k.r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(k.r, b)
	return b, err
}

// send writes a request and returns its xid.
func (k *client) send(op wire.Op, m wire.Record) int32 {
	k.t.Helper()
	k.xid++
	k.write(wire.AppendRequest(nil, k.xid, op, m))
	return k.xid
}

// reply is one frame from the server: a reply, or an event if the header's xid says so.
type reply struct {
	wire.ReplyHeader
	body codec.Reader
}

func (k *client) reply() reply {
	k.t.Helper()
	r := codec.NewReader(k.frame())
	var a reply
	a.Decode(&r)
	if r.Err() != nil {
		k.t.Fatal(r.Err())
	}
	a.body = r
	return a
}

// call sends a request and returns its reply, which must come next.
func (k *client) call(op wire.Op, m wire.Record) reply {
	k.t.Helper()
	xid := k.send(op, m)
	a := k.reply()
	if a.Xid != xid {
		k.t.Fatalf("%v: reply to %d, want one to %d", op, a.Xid, xid)
	}
	return a
}

var anyone = []wire.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}

func (k *client) create(path, data string, flags int32) reply {
	k.t.Helper()
	return k.call(wire.OpCreate, &wire.CreateRequest{Path: path, Data: []byte(data), ACL: anyone, Flags: flags})
}

// open31 is anyone, as commands carry it.
var open31 = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}

// auth proves an identity, and wants it to be believed.
func (k *client) auth(scheme, proof string) {
	k.t.Helper()
	if a := k.call(wire.OpAuth, &wire.AuthRequest{Scheme: scheme, Auth: []byte(proof)}); a.Err != wire.CodeOK {
		k.t.Fatalf("auth %s %s: %v", scheme, proof, a.Err)
	}
}

// closed wants the server to say nothing more and to hang up.
func (k *client) closed() {
	k.t.Helper()
	if b, err := k.next(); err == nil {
		k.t.Fatalf("a frame of %d bytes, want the end", len(b))
	} else if late, ok := err.(net.Error); ok && late.Timeout() {
		k.t.Fatal("the connection stays open")
	}
}
