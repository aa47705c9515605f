package client

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// A write whose answer was lost is in doubt. On the next connection, before anything behind it in the
// queue is sent, the core looks what has become of it:
//
//	sync, then get the node, and list its parent      in one round trip
//
// Once a session is attached anew, and sync has been answered, what the old connection had in flight
// has been ordered or never will be; so what is seen then is final. And whatever the write did, it did
// after the last zxid that was answered before the connection was lost: answers come in the order of the
// requests, each from a state without the requests behind it. So a node, or a parent, that has not
// changed since that zxid proves that the write had no effect, and it is sent again. (It proves no more:
// the write may have been run and refused, so nothing follows for those behind it.) A node that has
// changed proves nothing by itself: the change may be somebody else's, and then only what names the
// writer helps, or a caller who has said that it does not matter who it was.
//
//	         closed            take               replied
//	sent ───────────► in doubt ────► being looked for ────► queued: it had no effect
//	                     ▲                │         └─────► over: it was, or nobody can know
//	                     └──── closed ────┘

// doubt is what is known of a write whose answer was lost.
type doubt struct {
	base    int64 // the last zxid answered before it was lost: what it did has a larger one
	session SessionID
	rival   bool // another write that was lost with it may have made the same node
	looking bool // the probes are on their way

	node   *call // getData of the node
	parent *call // getChildren2 of the parent
	found  *call // getData of a protected node, once its name is known
}

// verdict is what a look comes to.
type verdict uint8

const (
	nobodyKnows verdict = iota
	noEffect            // or none that is left, or one that may be had twice: it is sent again
	wasRun
	lookAgain // one more probe is needed
)

// resolvable reports whether looking can tell what became of q.
func (q *call) resolvable() bool {
	switch q.op {
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpSetData, wire.OpDelete:
		return true
	}
	return false
}

// lostWrites marks those of lost that are worth a look, and fails the others.
func (k *core) lostWrites(lost []*call, err error) (again []*call) {
	makers := map[string]int{} // what makes nodes may be mistaken for one another
	for _, q := range lost {
		switch q.op {
		case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
			makers[q.request.path]++
		case wire.OpMulti:
			makers[""]++
		}
	}
	for _, q := range lost {
		switch {
		case !q.changes():
			again = append(again, q)
		case !q.resolvable() || q.abandoned && q.guid == "":
			k.fail(q, fmt.Errorf("%w: %w", ErrConnectionLost, err))
		default:
			q.doubt = &doubt{base: k.session.zxid, session: k.session.id,
				rival: makers[q.request.path] > 1 || makers[""] > 0}
			again = append(again, q)
		}
	}
	return again
}

// look sends the probes for q.
func (k *core) look(now time.Time, b []byte, q *call) []byte {
	d := q.doubt
	d.looking = true
	node, parent := q.request.path, path.Dir(q.request.path)
	if strings.HasSuffix(node, "/") {
		parent = path.Clean(node)
	}
	d.node = probe(q, wire.OpGetData, node)
	d.parent = probe(q, wire.OpGetChildren2, parent)
	b = k.send(now, b, probe(nil, wire.OpSync, "/"))
	if !q.sequential() {
		b = k.send(now, b, d.node)
	}
	return k.send(now, b, d.parent)
}

func probe(of *call, op wire.Op, path string) *call {
	return &call{request: request{op: op, path: path}, transient: true, probeOf: of}
}

// probed is told that a probe was answered.
func (k *core) probed(p *call) {
	q := p.probeOf
	d := q.doubt
	if d == nil || q.place == over || p == d.node {
		return // the answer of the parent follows
	}
	v := q.judge(k.session.id)
	switch v {
	case lookAgain:
		k.queue.unshift(d.found) // sent at once: nothing behind q goes before it
	case noEffect:
		if q.abandoned {
			k.queue.keep(func(o *call) bool { return o != q })
			k.fail(q, ErrConnectionLost)
			return
		}
		q.doubt = nil
	case wasRun:
		k.queue.keep(func(o *call) bool { return o != q })
		q.err, q.outcome = nil, Definite
		k.end(q)
	default:
		k.queue.keep(func(o *call) bool { return o != q })
		k.fail(q, ErrConnectionLost)
	}
}

// judge says what became of q, from what the probes have found; and completes the answer, if it was run.
func (q *call) judge(now SessionID) verdict {
	switch {
	case q.guid != "":
		return q.judgeProtected()
	case q.op == wire.OpSetData:
		return q.judgeSet()
	case q.op == wire.OpDelete:
		return q.judgeDelete()
	}
	return q.judgeCreate(now)
}

func (d *doubt) exists() bool { return d.node.err == nil }
func (d *doubt) absent() bool { return isCode(d.node.err, ErrNoNode) }

// untouched reports whether no child of the parent has come or gone since. Nor has one if there is no
// parent.
func (d *doubt) untouched() bool {
	return d.parent.err == nil && d.parent.stat.Pzxid <= d.base
}

func (q *call) judgeSet() verdict {
	d := q.doubt
	switch {
	case d.exists() && d.node.stat.Mzxid <= d.base:
		return noEffect
	case d.absent() && d.untouched():
		return noEffect // there was no node then, either
	case q.idempotent && q.version == -1:
		return noEffect // or it was: once more does no harm
	case q.idempotent && d.exists() && d.node.stat.Version == q.version+1 &&
		bytes.Equal(d.node.answer.data, q.request.data):
		q.stat = d.node.stat
		return wasRun
	}
	return nobodyKnows
}

func (q *call) judgeDelete() verdict {
	d := q.doubt
	switch {
	case d.exists() && d.node.stat.Czxid <= d.base:
		return noEffect
	case d.absent() && d.untouched():
		return noEffect
	case d.absent() && q.idempotent:
		return wasRun
	}
	return nobodyKnows
}

func (q *call) judgeCreate(now SessionID) verdict {
	d := q.doubt
	ephemeral := q.op == wire.OpCreate2 && q.flags&wire.FlagEphemeral != 0
	switch {
	case d.untouched():
		return noEffect
	case ephemeral && now != d.session && (q.sequential() || d.absent()):
		return noEffect // whatever it made has gone with its session
	case q.sequential():
		return nobodyKnows
	case d.exists() && d.node.stat.Czxid <= d.base:
		return noEffect // it was there before
	case ephemeral && d.exists() && !d.rival && d.node.stat.EphemeralOwner == int64(d.session):
		q.created, q.stat = q.request.path, d.node.stat
		return wasRun // by this session, since then, and nobody else in it
	}
	return nobodyKnows
}

// judgeProtected looks for the node by the name that only this call can have given it.
func (q *call) judgeProtected() verdict {
	d := q.doubt
	if d.found != nil {
		if d.found.err != nil {
			return nobodyKnows // it was there a moment ago
		}
		q.created, q.stat = d.found.request.path, d.found.stat
		return wasRun
	}
	if d.parent.err != nil {
		return noEffect // no parent, no node: trying again will tell
	}
	i := slices.IndexFunc(d.parent.names, func(name string) bool { return strings.HasPrefix(name, q.guid) })
	if i < 0 {
		return noEffect
	}
	d.found = probe(q, wire.OpGetData, strings.TrimSuffix(d.parent.request.path, "/")+"/"+d.parent.names[i])
	return lookAgain
}

// orphaned is told that a protected create has succeeded for which nobody waits any more: the node is
// deleted again, or it would stand in the way of others for as long as the session lives.
func (k *core) orphaned(q *call) {
	k.queue.push(&call{
		request:    request{op: wire.OpDelete, path: q.created, version: -1},
		place:      queued,
		idempotent: true, // the name never comes back
	})
}

// protect gives the node a name that only this call can have given it, in the form that Curator has.
func (q *call) protect() {
	var id [16]byte
	rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:])
	q.guid = fmt.Sprintf("_c_%s-%s-%s-%s-%s-", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
	at := strings.LastIndexByte(q.request.path, '/') + 1
	q.request.path = q.request.path[:at] + q.guid + q.request.path[at:]
}
