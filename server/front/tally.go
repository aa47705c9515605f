package front

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// tally counts what one connection did. Its conn's mu guards it.
type tally struct {
	since     time.Time
	received  int64
	sent      int64
	bytesIn   int64
	bytesOut  int64
	lastOp    wire.Op
	lastXid   int64
	lastZxid  int64
	lastReply int64 // ms since 1970; 0: none
	answered  int64 // requests, for the average
	lastNs    int64
	minNs     int64
	maxNs     int64
	sumNs     int64
}

func (t *tally) start(now time.Time) {
	*t = tally{since: now, lastXid: -1, lastZxid: -1, minNs: math.MaxInt64, lastOp: wire.OpNotification}
}

// reply notes that a request was answered.
func (t *tally) reply(op wire.Op, xid int32, zxid, took, nowMs int64) {
	t.sent++
	t.answered++
	t.lastOp, t.lastXid, t.lastZxid, t.lastReply = op, int64(xid), zxid, nowMs
	t.lastNs = took
	t.minNs, t.maxNs = min(t.minNs, took), max(t.maxNs, took)
	t.sumNs += took
}

// totals sums up the connections that have ended, and counts what no connection can.
type totals struct {
	accepted, rejected, dropped, unspoken, tooLong, authFailed atomic.Int64
	received, sent, bytesIn, bytesOut, answered, sumNs         atomic.Int64
	minNs, maxNs                                               atomic.Int64
}

func (s *totals) reset() {
	for _, n := range []*atomic.Int64{&s.received, &s.sent, &s.bytesIn, &s.bytesOut, &s.answered, &s.sumNs, &s.maxNs} {
		n.Store(0)
	}
	s.minNs.Store(math.MaxInt64)
}

func (s *totals) add(t *tally) {
	s.received.Add(t.received)
	s.sent.Add(t.sent)
	s.bytesIn.Add(t.bytesIn)
	s.bytesOut.Add(t.bytesOut)
	s.answered.Add(t.answered)
	s.sumNs.Add(t.sumNs)
	lower(&s.minNs, t.minNs)
	raise(&s.maxNs, t.maxNs)
}

func lower(a *atomic.Int64, v int64) {
	for old := a.Load(); v < old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

func raise(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}
