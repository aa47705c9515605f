//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// Where workers write. What is below shared they fight over; what is elsewhere has a name that no other
// request ever uses, so that whether it is there tells whether one request was done.
const (
	shared   = "/shared"
	own      = "/own"      // plain
	mine     = "/mine"     // ephemeral
	numbered = "/numbered" // sequential
	drawn    = "/drawn"    // sequential and ephemeral
	made     = "/made"     // by multis
	multiA   = "/multi/a"
	multiB   = "/multi/b"
)

// grounds are the nodes that are there before the load is.
var grounds = []string{shared, own, mine, numbered, drawn, made, "/multi", multiA, multiB, passing}

const (
	sharedNodes = 8
	windowMax   = 8  // requests pipelined by one worker
	keepMax     = 10 // nodes of one sort that a worker leaves standing
)

// longTimeout is that of sessions which outlive every fault, unless they are closed.
const longTimeout = 100 * time.Second

var anyone = []wire.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}

// worker is a client with a session, and a plan.
type worker struct {
	run     *run
	number  int
	written int // tokens used
	who     credentials
	seen    int64 // zxid; a client presents it when it returns
	life    int   // how many connections it has had
	torn    bool  // it has lost one in this round: what it believes is there may not be
	closing bool  // its last request was closeSession, and has no answer

	// What it believes is there; after every look at the tree, what is.
	nodes    map[string][]string // of its own, by ground, oldest first
	versions map[string]int32    // of shared nodes, as last seen

	rng *rand.Rand
	ops []*op // of this round
}

// remember takes from the tree what a worker of this number and session has there.
func (w *worker) remember(t *tree) {
	w.nodes = map[string][]string{}
	for _, path := range slices.Sorted(maps.Keys(t.nodes)) {
		ground, _, ok := strings.Cut(path[1:], "/")
		if ok && strings.HasPrefix(t.nodes[path].data, fmt.Sprintf("w%d.", w.number)) && "/"+ground != shared {
			w.nodes["/"+ground] = append(w.nodes["/"+ground], path)
		}
	}
	delete(w.nodes, "/multi")
}

// attach connects, and returns to the worker's session or opens one.
func (w *worker) attach() (*conn, error) {
	c, err := w.run.dial(w.number)
	if err != nil {
		return nil, err
	}
	who, err := c.hello(w.who, longTimeout, w.seen)
	if err != nil {
		c.close()
		return nil, err
	}
	w.who, w.closing = who, false // what was sent on another connection is fenced
	w.life++
	return c, nil
}

// load makes requests until the round ends, by the server's end or the run's.
func (w *worker) load() error {
	w.torn = false
	for !w.run.over.Load() {
		c, err := w.attach()
		if err == nil {
			err = w.converse(c)
			c.close()
		}
		if w.run.stubborn && err != nil && !w.run.over.Load() && w.tear(err) {
			continue
		}
		if err != nil && w.run.mortal.Load() || w.excuse(err) != nil {
			return w.excuse(err)
		}
	}
	return nil
}

// retryAfter keeps those who find no server from asking all the time.
const retryAfter = 10 * time.Millisecond

// fatal tells whether an error is more than what becomes of connections.
func fatal(err error) bool {
	wrong := protocolError{}
	return errors.As(err, &wrong) || errors.Is(err, errGone)
}

// tear prepares a worker that has lost its connection to come back, and tells whether it may. It makes no
// further requests about nodes of its own in this round: so what was not answered is decided by what is
// found in the end, and by nothing that it did since.
func (w *worker) tear(err error) bool {
	if errors.Is(err, errGone) && w.closing {
		w.run.bury(w.who)
		w.who, w.closing, err = credentials{}, false, nil
	}
	if err != nil && fatal(err) {
		return false
	}
	w.torn, w.nodes = true, map[string][]string{}
	time.Sleep(retryAfter)
	return true
}

// excuse returns err unless it is what becomes of connections to a server that is being ended.
func (w *worker) excuse(err error) error {
	wrong := protocolError{}
	if err == nil || (w.run.over.Load() || w.run.mortal.Load()) && !errors.As(err, &wrong) && !errors.Is(err, errGone) {
		return nil
	}
	return fmt.Errorf("worker %d, session 0x%x: %w", w.number, w.who.id, err)
}

// converse makes one window of requests after the other, until the session is closed.
func (w *worker) converse(c *conn) error {
	for !w.run.over.Load() {
		window := w.plan()
		if err := w.exchange(c, window); err != nil {
			return err
		}
		time.Sleep(w.run.pace)
		if window[0].kind == wire.OpCloseSession {
			w.who, w.closing = credentials{}, false
			w.nodes[mine], w.nodes[drawn] = nil, nil
			return nil
		}
	}
	return nil
}

// exchange sends a window and notes the answers.
func (w *worker) exchange(c *conn, window []*op) error {
	var b []byte
	for _, o := range window {
		o.call, o.after = w.run.now(), w.run.newest.Load()
		b = o.append(c, b)
	}
	w.ops = append(w.ops, window...)
	w.closing = window[0].kind == wire.OpCloseSession
	if err := c.write(b); err != nil {
		return err
	}
	for _, o := range window {
		h, err := o.receive(c)
		if err != nil {
			return err
		}
		if h.Zxid < w.seen {
			return protocolError{fmt.Errorf("zxid %d after %d: %v", h.Zxid, w.seen, o)}
		}
		o.code, o.zxid, w.seen = h.Err, h.Zxid, h.Zxid
		w.run.advance(h.Zxid)
		o.ret = w.run.now()
		w.learn(o)
		w.run.answered()
	}
	return nil
}

// append adds the request, or the two that a synced read takes, to b.
func (o *op) append(c *conn, b []byte) []byte {
	switch o.kind {
	case wire.OpCreate2:
		return c.request(b, o.kind, &wire.CreateRequest{Path: o.path, Data: []byte(o.data), ACL: anyone, Flags: o.flags})
	case wire.OpSetData:
		return c.request(b, o.kind, &wire.SetDataRequest{Path: o.path, Data: []byte(o.data), Version: o.version})
	case wire.OpDelete:
		return c.request(b, o.kind, &wire.DeleteRequest{Path: o.path, Version: o.version})
	case wire.OpMulti:
		return c.request(b, o.kind, &wire.MultiRequest{Ops: o.parts})
	case wire.OpGetData:
		if o.synced {
			b = c.request(b, wire.OpSync, &wire.SyncRequest{Path: o.path})
		}
		return c.request(b, o.kind, &wire.GetDataRequest{Path: o.path})
	}
	return c.request(b, o.kind, nil)
}

func (o *op) receive(c *conn) (wire.ReplyHeader, error) {
	switch o.kind {
	case wire.OpCreate2:
		var m wire.Create2Response
		h, err := c.reply(&m)
		o.made, o.stat = m.Path, m.Stat
		return h, err
	case wire.OpSetData:
		var m wire.SetDataResponse
		h, err := c.reply(&m)
		o.stat = m.Stat
		return h, err
	case wire.OpMulti:
		var m wire.MultiResponse
		h, err := c.reply(&m)
		o.multi = m.Results
		return h, err
	case wire.OpGetData:
		if o.synced {
			if h, err := c.reply(&wire.SyncResponse{}); err != nil {
				return h, err
			}
		}
		var m wire.GetDataResponse
		h, err := c.reply(&m)
		o.value, o.stat = string(m.Data), m.Stat
		return h, err
	}
	return c.reply(nil)
}

// learn takes from an answer what the worker could not know when it asked.
func (w *worker) learn(o *op) {
	switch {
	case o.code != wire.CodeOK:
	case strings.HasPrefix(o.path, shared+"/"):
		w.versions[o.path] = o.stat.Version
	case o.kind == wire.OpCreate2 && o.flags&wire.FlagSequential != 0:
		ground := o.path[:strings.LastIndexByte(o.path, '/')]
		w.nodes[ground] = append(w.nodes[ground], o.made)
	}
}

// plan makes up the next requests.
func (w *worker) plan() []*op {
	if w.rng.IntN(150) == 0 && !w.torn {
		o := w.op(wire.OpCloseSession, "")
		o.owned = append(append(o.owned, w.nodes[mine]...), w.nodes[drawn]...)
		return []*op{o}
	}
	var window []*op
	for range 1 + w.rng.IntN(windowMax) {
		window = append(window, w.next())
	}
	return window
}

func (w *worker) op(kind wire.Op, path string) *op {
	w.written++
	return &op{
		worker: w.number, session: w.who.id, life: w.life, kind: kind, path: path, version: -1,
		token: fmt.Sprintf("w%d.%d", w.number, w.written),
	}
}

// fill gives a request its data: the token and, so that a part of it would be noticed, the token again.
func (w *worker) fill(o *op) *op {
	size := w.rng.IntN(100)
	if w.rng.IntN(40) == 0 {
		size = 4000 + w.rng.IntN(12_000)
	}
	o.data = strings.Repeat(o.token+"|", 1+size/len(o.token))
	return o
}

// next makes up one request.
func (w *worker) next() *op {
	path := fmt.Sprintf("%s/%d", shared, w.rng.IntN(sharedNodes))
	switch n := w.rng.IntN(100); {
	case n < 26:
		return w.fill(w.op(wire.OpSetData, path))
	case n < 34:
		o := w.fill(w.op(wire.OpSetData, path))
		o.version = w.versions[path]
		return o
	case n < 40:
		return w.fill(w.op(wire.OpCreate2, path))
	case n < 43:
		return w.op(wire.OpDelete, path)
	case n < 57:
		o := w.op(wire.OpGetData, path)
		o.synced = n < 52
		return o
	case n < 70:
		return w.churn(own, wire.FlagPersistent)
	case n < 76 && len(w.nodes[own]) > 0:
		return w.fill(w.op(wire.OpSetData, w.nodes[own][w.rng.IntN(len(w.nodes[own]))]))
	case n < 84:
		return w.churn(numbered, wire.FlagSequential)
	case n < 89:
		return w.churn(mine, wire.FlagEphemeral)
	case n < 93:
		return w.churn(drawn, wire.FlagEphemeralSequential)
	}
	return w.multi()
}

// churn creates a node of the worker's own, or deletes its oldest when there are enough.
func (w *worker) churn(ground string, flags int32) *op {
	list := w.nodes[ground]
	if len(list) > 0 && w.rng.IntN(keepMax) < len(list) {
		w.nodes[ground] = slices.Clone(list[1:])
		return w.op(wire.OpDelete, list[0])
	}
	o := w.op(wire.OpCreate2, ground+"/n-")
	o.flags = flags
	if flags&wire.FlagSequential == 0 {
		o.path = ground + "/" + o.token
		w.nodes[ground] = append(list, o.path)
	}
	return w.fill(o)
}

// multi sets two nodes to the same, creates a third and perhaps deletes another; or it does as much and then
// fails.
func (w *worker) multi() *op {
	o := w.op(wire.OpMulti, "")
	o.path = made + "/" + o.token
	w.fill(o)
	set := func(path string) wire.MultiOp {
		return wire.MultiOp{Op: wire.OpSetData, Path: path, Data: []byte(o.data), Version: -1}
	}
	create := wire.MultiOp{Op: wire.OpCreate2, Path: o.path, Data: []byte(o.data), ACL: anyone}
	o.parts = []wire.MultiOp{set(multiA), create, set(multiB)}
	list := w.nodes[made]
	switch {
	case w.rng.IntN(3) == 0:
		o.doomed = true
		o.parts = append(o.parts, wire.MultiOp{Op: wire.OpCheck, Path: multiA, Version: 1 << 30})
	case len(list) >= keepMax:
		o.parts = append(o.parts, wire.MultiOp{Op: wire.OpDelete, Path: list[0], Version: -1})
		w.nodes[made] = append(slices.Clone(list[1:]), o.path)
	default:
		w.nodes[made] = append(list, o.path)
	}
	return o
}
