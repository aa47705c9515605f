package front

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// outBytesHigh is how much encoded output a connection gathers before it is written out in the middle
// of a batch: reads of large nodes must not pile up in memory.
const outBytesHigh = 256 << 10

// conn is one client connection. Two goroutines serve it. The reader decodes what arrives and, while
// nothing of the connection waits for the log, answers reads at once. The responder is woken by the
// inbox and answers what the log has decided. Both work under mu, on the lane; whoever has output
// writes it, and one that finds the other writing leaves its output to it.
type conn struct {
	front  *Front
	feed   *feed.Feed
	nc     net.Conn
	remote netip.AddrPort
	group  *group.Group // of this connection's goroutines, and all others of Serve
	inbox  *feed.Inbox  // nil before the client has introduced itself; set under mu
	silent atomic.Bool  // nothing was heard of the session since the last Front.Heard
	gone   chan struct{}

	in      frames        // owned by the reader
	command state.Command // the reader's scratch

	mu         sync.Mutex // guards the fields below
	turn       sync.Cond  // signalled when output was written, a slot was freed or the end has come
	lane       lane
	submit     []feed.Submission // for the log, and not submitted
	idle       []feed.Submission // the other buffer of the pair
	who        []znode.Identity  // by whom the request at hand is judged
	out        []byte            // encoded and not written
	spare      []byte            // the other buffer of the pair
	seen       *state.View       // of the newest write answered from the lane; what stands behind it reads this
	submitting bool              // one goroutine is in Submit
	writing    bool              // one goroutine is in Write
	ending     bool              // nothing more is admitted; the connection closes when its output is written
	hushed     bool              // events were lost: what is in out from hushedAt on is not shown
	hushedAt   int
	failed     bool // a Write has failed: the client does not listen any more
	lingering  bool // the reader waits for the client to hang up
	leaving    bool // nothing more is read: see drain
	telling    bool // the reader tells what watches missed: no other event may come in between
	behind     bool // the request at hand stands in the lane
	guarded    bool // reads of the batch at hand have their barrier
	readOnly   bool // the client sent its readOnly byte and expects ours
	local      bool // the session is this connection's own: see openLocal
	session    session.ID
	epoch      uint32
	timeout    int32 // ms, granted; before the session is open, what is asked for
	done       []feed.Completion
	now        int64 // ns, monotonic, of the batch at hand
	nowMs      int64 // ms since 1970, likewise
	tally      tally
}

var epochStart = time.Now() // monotonic zero of tallies

func newConn(f *Front, nc net.Conn) *conn {
	c := &conn{front: f, feed: f.cfg.Feed, nc: nc, gone: make(chan struct{}), in: newFrames(f.cfg.FrameBytesMax)}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		c.remote = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	c.turn.L = &c.mu
	c.silent.Store(true)
	c.tally.start(time.Now())
	return c
}

// errEnding ends the reader of a connection that has been told to end.
var errEnding = errors.New("connection is ending")

// read is the reader: it serves the connection from its first byte to its last, and starts the
// responder once a client has introduced itself.
func (c *conn) read(g *group.Group) {
	defer c.close()
	c.group = g
	if !c.greet() {
		return
	}
	if !c.join() {
		return
	}
	g.Go("responder", func() error { c.respond(); return nil })
	if err := c.connect(); err != nil {
		c.linger(err)
		return
	}
	for {
		if err := c.batch(); err != nil {
			c.linger(err)
			return
		}
		c.expect()
		if err := c.in.fill(c.nc); err != nil {
			c.leave()
			return
		}
	}
}

// join gives the connection its inbox and the identities that are known from its transport: by now a TLS
// handshake is over.
func (c *conn) join() bool {
	ids := []znode.Identity{{Scheme: "ip", ID: c.remote.Addr().String()}}
	if t, ok := c.nc.(interface{ Identities() [][2]string }); ok {
		for _, id := range t.Identities() {
			ids = append(ids, znode.Identity{Scheme: id[0], ID: id[1]})
		}
	}
	if !carry(ids) {
		c.front.stats.authFailed.Add(1)
		c.front.stats.dropped.Add(1)
		return false
	}
	in := c.feed.Join(ids, c.hurry)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox = in
	return true
}

// close undoes what read set up. The session lives on. The connection is cut before it leaves the feed:
// its responder must not arm a watch under a number that may belong to another by then.
func (c *conn) close() {
	c.cut()
	close(c.gone)
	c.front.forget(c)
	if c.inbox != nil {
		c.feed.Leave(c.inbox)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.front.stats.add(&c.tally)
}

// cut ends the connection at once, whatever its goroutines are waiting for: the log may never answer.
func (c *conn) cut() {
	c.nc.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
	c.turn.Broadcast()
}

// linger lets a client that is being sent away read its last reply: closing with unread input would
// reset the connection and could take the reply with it. It is bounded in time.
func (c *conn) linger(cause error) {
	var tooLong *wire.FrameError
	if errors.As(cause, &tooLong) {
		c.front.stats.tooLong.Add(1)
	}
	c.hurry()
	c.mu.Lock()
	for c.writing {
		c.turn.Wait()
	}
	c.lingering = true
	failed := c.failed
	c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	c.mu.Unlock()
	if half, ok := c.nc.(interface{ CloseWrite() error }); failed || !ok || half.CloseWrite() != nil {
		return
	}
	scrap := c.in.buf
	for {
		if _, err := c.nc.Read(scrap); err != nil {
			return
		}
	}
}

const lingerTime = 500 * time.Millisecond

// hurry gives the client a last moment to take what is being written to it. Without it a Write to one
// that takes nothing would not end, nor would the connection.
func (c *conn) hurry() { c.nc.SetWriteDeadline(time.Now().Add(lingerTime)) }

// batch admits every request that has arrived, submits the writes among them in one go and writes
// out what could be answered at once.
func (c *conn) batch() error {
	if len(c.in.pending()) > 0 {
		c.heard()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock()
	c.guarded = false
	if c.in.calm {
		c.trim()
	}
	for !c.ending && !c.leaving {
		frame, err := c.in.next()
		if err != nil {
			return c.leaveOrder(err)
		}
		if frame == nil {
			break
		}
		if err := c.room(); err != nil {
			return err
		}
		// Again for each request: a long batch may wait between two of them for longer than a tick.
		c.heard()
		if err := c.admit(frame); err != nil {
			return c.leaveOrder(err)
		}
	}
	if c.leaving {
		return c.leaveOrder(errEnding)
	}
	if err := c.send(); err != nil {
		return err
	}
	if c.ending {
		return errEnding
	}
	return nil
}

// heard notes that the session is alive, once between two calls of Front.Heard.
func (c *conn) heard() {
	if c.silent.Load() && !c.local && c.silent.CompareAndSwap(true, false) {
		c.front.hear(c.session)
	}
}

// trim lets go of the room that the connection needed when it was busy.
func (c *conn) trim() {
	c.lane.trim()
	c.inbox.Trim()
	c.done = feed.Room(c.done, 16)
	c.out, c.spare = feed.Room(c.out, 8<<10), feed.Room(c.spare[:0], 8<<10)
	c.submit, c.idle = feed.Room(c.submit, 32), feed.Room(c.idle[:0], 32)
}

// leaveOrder answers what was admitted before the request that ends the connection.
func (c *conn) leaveOrder(cause error) error {
	if err := c.send(); err != nil {
		return err
	}
	for !c.ending && !c.lane.empty() {
		c.turn.Wait()
	}
	return cause
}

// full says whether nothing more may be admitted for now.
func (c *conn) full() bool {
	return len(c.out) >= outBytesHigh || c.lane.len() >= c.front.cfg.OutstandingMax || c.lane.bytes >= laneBytesMax
}

// room makes sure that one more request may be admitted: it waits while too many are unanswered, and
// while more output is gathered than should be.
func (c *conn) room() error {
	if c.full() {
		if err := c.send(); err != nil {
			return err
		}
		for !c.ending && c.full() {
			c.turn.Wait()
		}
		c.clock()
	}
	if c.ending {
		return errEnding
	}
	return nil
}

// send submits the commands gathered and writes the output. It releases mu while it waits. If the other
// goroutine is submitting, that one goes on with these: what is in the log is in the order of the lane.
func (c *conn) send() error {
	for len(c.submit) > 0 && !c.submitting {
		batch := c.submit
		c.submit, c.submitting = c.idle[:0], true
		c.mu.Unlock()
		err := c.feed.Submit(c.inbox, batch) // waits while too much is on its way through the log
		clear(batch)
		c.mu.Lock()
		c.idle, c.submitting = batch[:0], false
		if err != nil {
			c.ending = true
			c.turn.Broadcast()
			return err
		}
	}
	return c.flush()
}

// flush writes the output, unless the other goroutine is writing: then that one will. It is called
// with mu held and releases it during the write.
func (c *conn) flush() error {
	if c.writing || len(c.out) == 0 {
		return nil
	}
	c.writing = true
	var err error
	for c.hush(); len(c.out) > 0 && err == nil; c.hush() {
		b := c.out
		c.out, c.hushedAt = c.spare[:0], 0
		c.mu.Unlock()
		_, err = c.nc.Write(b)
		c.mu.Lock()
		c.tally.bytesOut += int64(len(b))
		c.spare = b
		if cap(b) > outBytesHigh {
			c.spare = nil
		}
		c.turn.Broadcast()
	}
	c.writing = false
	if err != nil {
		c.ending, c.failed = true, true
		if tcp, ok := c.nc.(interface{ SetLinger(sec int) error }); ok {
			tcp.SetLinger(0) // what the client has not taken must not stay in the kernel for it
		}
	}
	c.turn.Broadcast()
	return err
}

// ease writes output out while there is more of it than should be. It releases mu while it waits, and
// ends at the latest when the connection does. Whoever appends without bound calls it in between.
func (c *conn) ease() error {
	for len(c.out) >= outBytesHigh && !c.ending {
		if c.writing {
			c.turn.Wait() // for the other goroutine, which writes that as well
		} else if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) clock() {
	now := time.Now()
	c.now, c.nowMs = int64(now.Sub(epochStart)), now.UnixMilli()
}
