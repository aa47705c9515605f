package client

import (
	"bytes"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// request is what is asked for. Which fields count depends on op, as in the records of package wire.
// It is not written to once the core has it: it may be sent more than once.
type request struct {
	op      wire.Op
	path    string // on the server
	data    []byte
	acl     []wire.ACL
	flags   int32
	version int32
	ttl     int64 // ms
	ops     []wire.MultiOp
}

// answer is what came back. Nothing in it aliases the buffer it was read from.
type answer struct {
	zxid    int64
	stat    wire.Stat
	created string // path of a created node, on the server
	data    []byte
	names   []string
	acl     []wire.ACL
	results []wire.MultiResult
}

// place is where a call is. Only the core moves it, under the client's lock.
type place uint8

const (
	fresh  place = iota
	queued       // to be sent when its turn comes
	sent         // on the wire: answers come in the order of this queue
	over         // err and the answer are final
)

// call is one request on its way, and its answer.
type call struct {
	request
	answer

	// The core's, under the client's lock.
	place     place
	attempts  int // how many times it was taken to be written
	abandoned bool
	transient bool // of this connection: not sent again on the next, and nobody waits
	xid       int32
	batch     uint64    // which of all writes it was part of last
	until     int       // how many bytes of that write there were up to its end
	at        time.Time // when it was taken last
	server    string    // to which
	session   SessionID // in which
	err       error     // once ended; nil for success. An error of the protocol or of the connection
	outcome   Outcome   // once ended

	watch *Watch        // to be armed by the answer; nil if none
	sub   *Subscription // likewise
	spot  *spot         // where, while the call is under way

	guid       string // the beginning of a protected node's name; "" if it is not protected
	idempotent bool   // the caller does not mind who has done it, or that it is done twice
	doubt      *doubt // the answer was lost; nil if not
	probeOf    *call  // this one looks what has become of another

	slot bool          // holds one of the slots of MaxInFlight
	done chan struct{} // capacity 1: a token once ended and not abandoned; closed instead for a future

	unhook func() bool // for a future whose context can end: lets the context go
}

// changes reports whether q can change the tree, so that it matters whether it was run.
func (q *call) changes() bool { return q.op.Class() == wire.ClassWrite }

// fail is what a call comes to that will not be answered.
func (q *call) fail(err error) {
	q.err = err
	switch {
	case q.attempts == 0:
		q.outcome = NeverSent
	case q.changes():
		q.outcome = Unknown
	default:
		q.outcome = Definite
	}
}

// append adds q as a frame. The records stay on the stack: nothing is passed as an interface.
func (q *call) append(b []byte) []byte {
	b, mark := wire.BeginFrame(b)
	h := wire.RequestHeader{Xid: q.xid, Op: q.op}
	b = q.request.append(h.Append(b), q.watch != nil)
	return wire.EndFrame(b, mark)
}

func (q *request) append(b []byte, watch bool) []byte {
	switch q.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		m := q.create()
		return m.Append(b)
	case wire.OpCreateTTL:
		m := wire.CreateTTLRequest{CreateRequest: q.create(), TTL: q.ttl}
		return m.Append(b)
	case wire.OpDelete:
		m := wire.DeleteRequest{Path: q.path, Version: q.version}
		return m.Append(b)
	case wire.OpSetData:
		m := wire.SetDataRequest{Path: q.path, Data: q.data, Version: q.version}
		return m.Append(b)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren2:
		m := wire.PathWatchRequest{Path: q.path, Watch: watch}
		return m.Append(b)
	case wire.OpAddWatch:
		m := wire.AddWatchRequest{Path: q.path, Mode: wire.AddWatchMode(q.flags)}
		return m.Append(b)
	case wire.OpRemoveWatches:
		m := wire.RemoveWatchesRequest{Path: q.path, Type: wire.WatcherType(q.version)}
		return m.Append(b)
	case wire.OpGetACL:
		m := wire.GetACLRequest{Path: q.path}
		return m.Append(b)
	case wire.OpSetACL:
		m := wire.SetACLRequest{Path: q.path, ACL: q.acl, Version: q.version}
		return m.Append(b)
	case wire.OpSync:
		m := wire.SyncRequest{Path: q.path}
		return m.Append(b)
	case wire.OpMulti:
		m := wire.MultiRequest{Ops: q.ops}
		return m.Append(b)
	case wire.OpCloseSession:
		return b
	}
	panic("client: no encoding for " + q.op.String())
}

func (q *request) create() wire.CreateRequest {
	return wire.CreateRequest{Path: q.path, Data: q.data, ACL: q.acl, Flags: q.flags}
}

// frameOverhead is more than what a request takes beside its paths, data and lists.
const frameOverhead = 64

// size is at least what the frame of q takes.
func (q *request) size() int {
	n := frameOverhead + len(q.path) + len(q.data) + aclSize(q.acl)
	for i := range q.ops {
		op := &q.ops[i]
		n += frameOverhead + len(op.Path) + len(op.Data) + aclSize(op.ACL)
	}
	return n
}

func aclSize(list []wire.ACL) (n int) {
	for _, a := range list {
		n += 12 + len(a.Scheme) + len(a.ID)
	}
	return n
}

// decode reads the record of a successful reply to op.
func (a *answer) decode(op wire.Op, r *codec.Reader) {
	switch op {
	case wire.OpCreate:
		a.created = r.String()
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		a.created = r.String()
		a.stat.Decode(r)
	case wire.OpExists, wire.OpSetData, wire.OpSetACL:
		a.stat.Decode(r)
	case wire.OpGetData:
		a.data = bytes.Clone(r.Bytes())
		a.stat.Decode(r)
	case wire.OpGetChildren2:
		var m wire.GetChildren2Response
		m.Decode(r)
		a.names, a.stat = m.Children, m.Stat
	case wire.OpGetACL:
		var m wire.GetACLResponse
		m.Decode(r)
		a.acl, a.stat = m.ACL, m.Stat
	case wire.OpMulti:
		var m wire.MultiResponse
		m.Decode(r)
		a.results = own(m.Results)
	}
}
