package peer

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/internal/mailbox"
)

// item is one thing to be sent: the first of these that is set.
type item struct {
	m        *pb.Message
	commands [][]byte // of term
	sessions []int64
	term     uint64
}

// link is one way to one node: a queue, and a connection while there is one.
type link struct {
	r    *remote
	kind channel
	// box holds what is to be sent. Bound: see Limits. When full, messages are dropped and Raft is
	// told; commands and sessions are refused, and come again.
	box     *mailbox.Mailbox[item]
	wake    chan struct{} // capacity 1: ends a pause
	started atomic.Bool   // box has a consumer

	connected                atomic.Bool
	sent, bytes, dropped, up atomic.Uint64

	mu     sync.Mutex // guards broken, and puts into the box of commands
	broken bool       // commands were dropped and Lost has not been called yet
}

func newLink(r *remote, kind channel, bound int) *link {
	return &link{r: r, kind: kind, box: mailbox.New[item](kind.String(), bound), wake: make(chan struct{}, 1)}
}

// offer puts it into the queue, or says why not.
func (l *link) offer(it item, weight int) error {
	if !l.r.used.Load() {
		l.r.used.Store(true)
	}
	if l.kind == commands {
		// Under the lock, so that nothing gets between what is dropped and the report of it.
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.broken {
			return ErrLost
		}
	}
	if !l.begin() {
		return ErrStopped
	}
	if l.box.Put(it, weight) != nil {
		return ErrFull
	}
	return nil
}

// begin starts the consumer, once.
func (l *link) begin() bool {
	if l.started.Load() || !l.started.CompareAndSwap(false, true) {
		return true
	}
	if !l.r.p.start("peer "+l.kind.String(), l.run) {
		l.started.Store(false)
		return false
	}
	return true
}

// mend lets commands be forwarded again.
func (l *link) mend() (broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	broken, l.broken = l.broken, false
	return broken
}

// lived is how long a connection must last for the next one to be dialled without growing pauses.
const lived = time.Second

// run dials when there is something to send, and again after a pause when that fails or breaks.
func (l *link) run(ctx context.Context) {
	pause := l.r.p.cfg.Limits.RedialMin
	for l.wait(ctx) {
		c, err := l.r.p.dial(ctx, hello{channel: l.kind, id: uint8(l.r.node), to: l.r.node})
		if err == nil {
			began := time.Now()
			l.up.Add(1)
			l.pump(ctx, c)
			c.Close()
			if time.Since(began) >= lived {
				pause = l.r.p.cfg.Limits.RedialMin
			}
		}
		l.lose(err == nil)
		l.rest(ctx, pause)
		pause = min(2*pause, l.r.p.cfg.Limits.RedialMax)
	}
	l.lose(false)
}

// wait returns when there is something to send, or false when there never will be.
func (l *link) wait(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case _, open := <-l.box.Ready():
			if l.box.Len() > 0 {
				return true
			}
			if !open {
				return false
			}
		}
	}
}

// rest waits before the next attempt: something between half of pause and all of it, or until the
// node is known to be there.
func (l *link) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.wake:
	}
}

// lose drops what is queued. If there was a connection, what was written to it may not have
// arrived either.
func (l *link) lose(connected bool) {
	l.mu.Lock()
	dropped := l.box.Drain(nil)
	if lost := connected || len(dropped) > 0; lost {
		l.broken = l.kind == commands
		l.dropped.Add(uint64(len(dropped)))
		l.r.lose()
	}
	l.mu.Unlock()
}

const (
	// gatherBytes is how much goes into one frame, if it comes in smaller parts: the memory of a
	// frame lives as long as any of its parts.
	gatherBytes = 128 << 10
	// writeBytes is how much goes into one write, if it comes in smaller frames.
	writeBytes = 1 << 20
	// keepBytes is the output buffer that is kept when there is little to send.
	keepBytes = 256 << 10
	// heardMax is how many sessions go into one frame.
	heardMax = 4096
)

// pump writes what is queued until the connection breaks: one write for everything that waits.
func (l *link) pump(ctx context.Context, c *conn) {
	dead := make(chan struct{})
	if !l.r.p.start("peer watch", func(context.Context) { c.watch(); close(dead) }) {
		return
	}
	defer func() { c.Close(); <-dead }()
	l.connected.Store(true)
	defer l.connected.Store(false)
	w := writer{l: l, c: c}
	var batch []item
	for {
		batch = l.box.Drain(batch)
		if len(batch) > 0 && w.write(batch) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-dead:
			return
		case _, open := <-l.box.Ready():
			if !open && l.box.Len() == 0 {
				return
			}
		}
	}
}

// writer turns items into frames and frames into writes.
type writer struct {
	l   *link
	c   *conn
	out []byte

	messages []*pb.Message // of the frame that is being gathered
	heavy    bool
	commands [][]byte
	term     uint64
	weight   int
	sent     uint64
}

func (w *writer) write(batch []item) error {
	for i := range batch {
		it := &batch[i]
		switch {
		case it.m != nil:
			w.message(it.m)
		case it.commands != nil:
			w.forward(it)
		default:
			w.heard(it.sessions)
		}
		if len(w.out) >= writeBytes {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	w.close()
	err := w.flush()
	if cap(w.out) > keepBytes && len(batch) < 16 {
		w.out = nil
	}
	return err
}

// message adds m to the frame of messages.
func (w *writer) message(m *pb.Message) {
	w.gather(weigh(m))
	w.messages = append(w.messages, m)
	w.heavy = w.heavy || len(m.Entries) > 0
	w.sent++
}

// gather makes room for weight bytes in the frame: what is too much for one goes into the next,
// and what is too much by itself goes alone.
func (w *writer) gather(weight int) {
	if w.weight > 0 && w.weight+weight > gatherBytes {
		w.close()
	}
	w.weight += weight
}

// forward adds commands to the frame of commands of their term.
func (w *writer) forward(it *item) {
	if w.term != it.term {
		w.close()
		w.term = it.term
	}
	for _, c := range it.commands {
		w.gather(len(c) + commandCost)
		w.commands = append(w.commands, c)
	}
	w.sent += uint64(len(it.commands))
}

func (w *writer) heard(sessions []int64) {
	w.close() // in order with the messages
	for part := range slices.Chunk(sessions, heardMax) {
		var at int
		w.out, at = openFrame(w.out)
		w.out = closeFrame(appendHeard(w.out, part), at, kindHeard)
	}
}

// close ends the frame that is being gathered.
func (w *writer) close() {
	var at int
	switch {
	case len(w.messages) > 0:
		kind := kindLight
		if w.heavy {
			kind = kindHeavy
		}
		w.out, at = openFrame(w.out)
		w.out = closeFrame(appendMessages(w.out, w.messages), at, kind)
		clear(w.messages)
		w.messages, w.heavy = w.messages[:0], false
	case len(w.commands) > 0:
		w.out, at = openFrame(w.out)
		w.out = closeFrame(appendCommands(w.out, w.term, w.commands), at, kindCommands)
		clear(w.commands)
		w.commands = w.commands[:0]
	}
	w.weight = 0
}

func (w *writer) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.c.Write(w.out)
	w.l.sent.Add(w.sent)
	w.l.bytes.Add(uint64(len(w.out)))
	w.out, w.sent = w.out[:0], 0
	return err
}
