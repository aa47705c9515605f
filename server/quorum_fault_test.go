package server

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/member"
)

// Three real servers, their processes killed and ended, their connections cut and stalled, their leaders
// asked to go, at random; and a client at each that writes all the time, and sessions that move on. While a connection lives every
// write of it takes effect once and in order; when it has ended, none that was answered is missing; and
// nobody waits for ever. GROVE_FAULTS is for how many seconds, GROVE_SEED from which seed.
func TestFaultsAtRandom(t *testing.T) {
	seconds, _ := strconv.Atoi(os.Getenv("GROVE_FAULTS"))
	seed, err := strconv.ParseUint(os.Getenv("GROVE_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("GROVE_SEED=%d", seed)
	f := newFaults(t, 3, rand.New(rand.NewPCG(seed, 1)), 500)
	defer f.halt()
	for end := time.Now().Add(time.Duration(max(seconds, 4)) * time.Second); time.Now().Before(end) && !t.Failed(); {
		f.disturb()
		f.progress()
	}
	f.halt()
	f.agree(0)
}

// faults is a quorum whose servers reach each other through pipes that can be cut.
type faults struct {
	*quorum
	rand    *rand.Rand
	pipes   map[member.ID]*pipe
	addrs   map[member.ID]string // where each really listens
	scribes []*scribe
	halted  atomic.Bool
	wg      sync.WaitGroup
}

func newFaults(t *testing.T, n int, r *rand.Rand, checkpointEvery int) *faults {
	f := &faults{quorum: newQuorum(t, n), rand: r, pipes: map[member.ID]*pipe{}, addrs: map[member.ID]string{}}
	for i := range f.table.Members {
		m := &f.table.Members[i]
		p := newPipe(t, m.PeerAddr())
		f.pipes[m.ID], f.addrs[m.ID] = p, m.PeerAddr()
		m.Addrs[0].QuorumPort = p.l.Addr().(*net.TCPAddr).Port
	}
	f.tune = func(c *Config) {
		c.PeerAddr, c.CheckpointEvery, c.LogRetain = f.addrs[member.ID(c.ID)], checkpointEvery, checkpointEvery/10
	}
	f.start(1, 2, 3)
	f.await(1, 2, 3)
	f.dial(1, nil).create("/w", 0)
	f.agree(2)
	for i := range n {
		w := &scribe{f: f, home: member.ID(i + 1), parent: fmt.Sprintf("/w/%d", i+1)}
		f.scribes = append(f.scribes, w)
		f.wg.Go(w.run)
		f.wg.Go((&holder{f: f, turn: i}).run)
	}
	return f
}

func (f *faults) halt() {
	f.halted.Store(true)
	f.wg.Wait()
}

// disturb does one thing, and undoes it.
func (f *faults) disturb() {
	id := member.ID(1 + f.rand.IntN(len(f.table.Members)))
	if f.rand.IntN(2) == 0 {
		id = f.leader()
	}
	pause := time.Duration(f.rand.IntN(600)) * time.Millisecond
	what := f.rand.IntN(9)
	f.t.Logf("%s: %s of server %d for %v", time.Now().Format("05.000"),
		[]string{"kill", "stop", "cut", "stall", "transfer", "cut all", "wipe", "change", "kill all"}[what], id, pause)
	switch what {
	case 0:
		f.kill(id)
		time.Sleep(pause)
		f.start(id)
	case 1:
		f.stop(id)
		time.Sleep(pause)
		f.start(id)
	case 2:
		f.pipes[id].cut()
	case 3:
		f.pipes[id].stalled.Store(true)
		time.Sleep(pause)
		f.pipes[id].stalled.Store(false)
	case 4:
		to := member.ID(1 + f.rand.IntN(len(f.table.Members)))
		_ = f.servers[f.leader()].replica.Load().Transfer(uint64(f.servers[to].node))
	case 5:
		for _, p := range f.pipes {
			p.cut()
		}
	case 7:
		f.change(id, pause)
	case 8:
		f.kill(id) // first, so that it is behind
		for _, one := range []member.ID{1, 2, 3} {
			if one != id {
				f.kill(one)
			}
		}
		f.start(1, 2, 3)
	case 6:
		f.kill(id)
		if err := os.RemoveAll(f.path(id)); err != nil {
			f.t.Fatal(err)
		}
		time.Sleep(pause)
		f.start(id)
		f.await(id)
		f.eventually("its vote", func() bool { // or the next that is wiped could be the second of three
			s := f.servers[f.leader()].replica.Load().Status()
			return slices.Contains(s.Voters, uint64(f.servers[id].node)) && len(s.Outgoing) == 0
		})
	}
}

// change has a server removed, and let in again as another node.
func (f *faults) change(id member.ID, pause time.Duration) {
	f.reconfigure(id, "", fmt.Sprint(id))
	f.gone(id)
	if err := os.RemoveAll(f.path(id)); err != nil {
		f.t.Fatal(err)
	}
	time.Sleep(pause)
	f.start(id)
	f.asked(id)
	m, _ := f.table.Find(id)
	f.reconfigure(id, m.String(), "")
	f.await(id)
}

// reconfigure asks another server than id for a change, again as long as one is under way.
func (f *faults) reconfigure(id member.ID, joining, leaving string) {
	f.t.Helper()
	c := f.dial(f.other(id), nil)
	f.eventually("a change", func() bool {
		c.send(wire.OpReconfig, &wire.ReconfigRequest{Joining: joining, Leaving: leaving, CurrentVersion: -1})
		answered, code := c.outcome()
		if !answered || code != wire.CodeOK && code != wire.CodeReconfigInProgress && code != wire.CodeNewConfigNoQuorum {
			f.t.Fatalf("a change of the membership: answered %v with %v", answered, code)
		}
		return code == wire.CodeOK
	})
}

// progress waits until every scribe has been answered something new.
func (f *faults) progress() {
	f.t.Helper()
	for id := range f.servers {
		f.await(id)
	}
	for _, w := range f.scribes {
		was := w.answered.Load()
		f.eventually(fmt.Sprintf("an answer to scribe %d", w.home), func() bool {
			return w.answered.Load() > was || f.t.Failed()
		})
	}
}

// pipe passes connections on to an address.
type pipe struct {
	l       net.Listener
	to      string
	stalled atomic.Bool
	mu      sync.Mutex
	open    map[net.Conn]struct{}
}

func newPipe(t *testing.T, to string) *pipe {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{l: l, to: to, open: map[net.Conn]struct{}{}}
	t.Cleanup(func() { l.Close(); p.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(c)
		}
	}()
	return p
}

func (p *pipe) pass(c net.Conn) {
	defer p.hold(c)()
	d, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer p.hold(d)()
	go func() { p.copy(c, d); c.Close() }()
	p.copy(d, c)
}

func (p *pipe) hold(c net.Conn) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[c] = struct{}{}
	return func() {
		c.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, c)
	}
}

func (p *pipe) copy(to io.Writer, from io.Reader) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		for p.stalled.Load() {
			time.Sleep(time.Millisecond)
		}
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// scribe is a client that makes numbered nodes, a few at a time, at its home while that is there.
type scribe struct {
	f        *faults
	home     member.ID
	parent   string
	answered atomic.Int64
	next     int // the number of the next node
}

func (w *scribe) run() {
	for !w.f.halted.Load() && !w.f.t.Failed() {
		if err := w.life(); err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

var errWrong = errors.New("wrong")

// life is one connection, from its beginning to its end.
func (w *scribe) life() error {
	m, _ := w.f.table.Find(w.home)
	nc, err := net.Dial("tcp", m.ClientAddr())
	if err != nil {
		return err
	}
	defer nc.Close()
	l := &line{nc: nc}
	if err := l.hello(); err != nil {
		return err
	}
	if err := w.takeStock(l); err != nil {
		return err
	}
	for !w.f.halted.Load() {
		const many = 8
		for range many {
			l.send(wire.OpCreate, &wire.CreateRequest{Path: w.parent + "/", ACL: open, Flags: wire.FlagSequential})
		}
		for range many {
			r, code, err := l.reply()
			if err != nil {
				return err
			}
			var made wire.CreateResponse
			made.Decode(&r)
			if want := fmt.Sprintf("%s/%010d", w.parent, w.next); code != wire.CodeOK || made.Path != want {
				w.f.t.Errorf("scribe %d was answered %v %q, and not %q", w.home, code, made.Path, want)
				return errWrong
			}
			w.next++
			w.answered.Add(1)
		}
	}
	return nil
}

// takeStock finds out what became of the writes that were not answered.
func (w *scribe) takeStock(l *line) error {
	l.send(wire.OpCreate, &wire.CreateRequest{Path: w.parent, ACL: open})
	if _, code, err := l.reply(); err != nil || code != wire.CodeOK && code != wire.CodeNodeExists {
		return errors.Join(err, code)
	}
	l.send(wire.OpSync, &wire.SyncRequest{Path: w.parent})
	if _, _, err := l.reply(); err != nil {
		return err
	}
	l.send(wire.OpGetChildren, &wire.GetChildrenRequest{Path: w.parent})
	r, _, err := l.reply()
	if err != nil {
		return err
	}
	var got wire.GetChildrenResponse
	if got.Decode(&r); len(got.Children) < w.next || len(got.Children) > w.next+8 {
		w.f.t.Errorf("scribe %d finds %d nodes: %d were answered, 8 may be there", w.home, len(got.Children), w.next)
		return errWrong
	}
	w.next = len(got.Children)
	return nil
}

// line is a connection that may end.
type line struct {
	nc  net.Conn
	buf []byte
	xid int32
}

func (l *line) hello() error {
	welcome, err := l.greet(wire.ConnectRequest{TimeoutMs: 8000})
	if err == nil && welcome.SessionID == 0 {
		return errWrong
	}
	return err
}

func (l *line) greet(hello wire.ConnectRequest) (welcome wire.ConnectResponse, err error) {
	if hello.Password == nil {
		hello.Password = make([]byte, wire.PasswordLen)
	}
	b, mark := wire.BeginFrame(nil)
	l.nc.Write(wire.EndFrame(hello.Append(b), mark))
	frame, err := l.frame()
	if err != nil {
		return welcome, err
	}
	r := codec.NewReader(frame)
	welcome.Decode(&r)
	return welcome, r.Err()
}

func (l *line) send(op wire.Op, body wire.Record) {
	l.xid++
	l.nc.Write(wire.AppendRequest(nil, l.xid, op, body)) // an error shows in the reply
}

func newReply(frame []byte) (h wire.ReplyHeader) {
	r := codec.NewReader(frame)
	h.Decode(&r)
	return h
}

func (l *line) reply() (r codec.Reader, code wire.Code, err error) {
	frame, err := l.frame()
	if err != nil {
		return r, 0, err
	}
	r = codec.NewReader(frame)
	var h wire.ReplyHeader
	h.Decode(&r)
	return r, h.Err, r.Err()
}

func (l *line) frame() ([]byte, error) {
	l.nc.SetDeadline(time.Now().Add(patience))
	for {
		frame, rest, err := wire.NextFrame(l.buf, wire.MaxFrame)
		if err == nil && frame != nil {
			l.buf = rest
			return frame, nil
		}
		chunk := make([]byte, 4096)
		n, err := l.nc.Read(chunk)
		if l.buf = append(l.buf, chunk[:n]...); err != nil {
			return nil, err
		}
	}
}
