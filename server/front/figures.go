package front

import (
	"time"

	"github.com/grovekeeper/grove/server/admin"
)

// Figures returns what went through the client ports since the start or ResetFigures, connections
// that have ended included.
func (f *Front) Figures() (admin.Load, admin.Latency) {
	s := &f.stats
	sum := totals{}
	sum.reset()
	var outstanding, local int64
	conns := f.snapshot()
	for _, c := range conns {
		c.mu.Lock()
		sum.add(&c.tally)
		outstanding += int64(c.lane.len())
		if c.local {
			local++
		}
		c.mu.Unlock()
	}
	load := admin.Load{
		PacketsReceived: s.received.Load() + sum.received.Load(),
		PacketsSent:     s.sent.Load() + sum.sent.Load(),
		BytesReceived:   s.bytesIn.Load() + sum.bytesIn.Load(),
		BytesSent:       s.bytesOut.Load() + sum.bytesOut.Load(),
		Outstanding:     outstanding,
		LocalSessions:   local,
		Connections:     int64(len(conns)),
		Accepted:        s.accepted.Load(),
		Rejected:        s.rejected.Load(),
		Dropped:         s.dropped.Load(),
		Unspoken:        s.unspoken.Load(),
		FramesTooLong:   s.tooLong.Load(),
		AuthFailed:      s.authFailed.Load(),
	}
	answered := s.answered.Load() + sum.answered.Load()
	if answered == 0 {
		return load, admin.Latency{}
	}
	return load, admin.Latency{
		MinMs: min(s.minNs.Load(), sum.minNs.Load()) / int64(time.Millisecond),
		MaxMs: max(s.maxNs.Load(), sum.maxNs.Load()) / int64(time.Millisecond),
		AvgMs: float64(s.sumNs.Load()+sum.sumNs.Load()) / float64(answered) / float64(time.Millisecond),
	}
}

// ResetFigures starts what Figures returns anew, but for what counts connections.
func (f *Front) ResetFigures() {
	f.stats.reset()
	f.ResetConnections()
}

// ResetConnections starts the figures of every connection anew.
func (f *Front) ResetConnections() {
	for _, c := range f.snapshot() {
		c.mu.Lock()
		c.tally.start(c.tally.since)
		c.mu.Unlock()
	}
}

// Connections describes every connection, in no order.
func (f *Front) Connections() []admin.Connection {
	conns := f.snapshot()
	list := make([]admin.Connection, len(conns))
	for i, c := range conns {
		list[i] = c.describe(f.cfg.OutstandingMax)
	}
	return list
}

func (c *conn) describe(outstandingMax int) admin.Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tally
	row := admin.Connection{
		Remote: c.remote, Session: int64(c.session), Paused: c.lane.len() >= outstandingMax,
		Queued: int64(c.lane.len()), Received: t.received, Sent: t.sent,
		EstablishedMs: t.since.UnixMilli(), TimeoutMs: int64(c.timeout),
		LastOp: "NA", LastCxid: t.lastXid, LastZxid: t.lastZxid, LastResponseMs: t.lastReply,
	}
	if op, ok := t.lastOp.Row(); ok && t.answered > 0 {
		row.LastOp = op.Code
		row.LastMs, row.MinMs, row.MaxMs = ms(t.lastNs), ms(t.minNs), ms(t.maxNs)
		row.AvgMs = ms(t.sumNs / t.answered)
	}
	return row
}

func ms(ns int64) int64 { return ns / int64(time.Millisecond) }
