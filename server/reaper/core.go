// Package reaper turns silence and emptiness into commands: sessions nobody has heard from for their
// timeout, containers whose last child is gone, nodes whose time to live has passed. It runs where
// writes are led. Its verdicts are proposals: the machine judges each again when it applies it, so a
// stale one does no harm. It never changes anything itself.
package reaper

import (
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// Settings are the times a core goes by, in milliseconds, and its pace.
type Settings struct {
	TickMs         int64 // width of an expiry bucket
	ScanEveryMs    int64 // between two looks at containers and TTL nodes
	ReapsPerMinute int   // at most
	NeverUsedMs    int64 // age at which a container that never had a child goes too; 0: never
}

// core decides. Time is an argument: mono is a monotonic clock and wall the time of day, both in
// milliseconds.
type core struct {
	set      Settings
	expiry   *session.Expiry
	nextScan int64    // mono
	due      []victim // found by the last scan and not proposed yet
	credit   float64  // reaps that the pace allows now
	paidMs   int64    // mono, up to when credit was given
}

// victim is a node found due.
type victim struct {
	path  string
	czxid znode.Zxid
}

// newCore begins a term of office: every session of v gets a full timeout, because nobody knows when
// the server before last heard of it.
func newCore(set Settings, v *state.View, mono int64) *core {
	c := &core{set: set, expiry: session.NewExpiry(set.TickMs), nextScan: mono + set.ScanEveryMs, paidMs: mono}
	c.expiry.GrantAll(v.Sessions, mono)
	return c
}

// sessions takes in what became of sessions.
func (c *core) sessions(changes []state.SessionChange, mono int64) {
	for _, s := range changes {
		switch s.Kind {
		case state.Opened, state.Attached:
			c.expiry.Touch(s.Session.ID, s.Session.TimeoutMs, mono)
		default:
			c.expiry.Remove(s.Session.ID)
		}
	}
}

// heard takes in which sessions sent anything. One that v does not have is gone.
func (c *core) heard(ids []session.ID, v *state.View, mono int64) {
	for _, id := range ids {
		if s, ok := v.Sessions.Get(id); ok {
			c.expiry.Touch(id, s.TimeoutMs, mono)
		}
	}
}

// tick returns the commands that are due, without origin: first sessions, by deadline, then nodes, by
// path and at the pace set.
func (c *core) tick(v *state.View, mono, wall int64) []state.Command {
	var out []state.Command
	for _, id := range c.expiry.Due(mono) {
		s, ok := v.Sessions.Get(id)
		if !ok {
			continue
		}
		out = append(out, state.Command{Kind: state.ExpireSession, Session: id, Epoch: s.Epoch, Time: wall})
		// If the verdict is stale when applied, because the client came back, the session is still in
		// the books; if it holds, the change that follows removes it.
		c.expiry.Touch(id, s.TimeoutMs, mono)
	}
	if mono >= c.nextScan && len(c.due) == 0 {
		c.scan(v, wall)
		c.nextScan = mono + c.set.ScanEveryMs
	}
	c.earn(mono)
	for len(c.due) > 0 && c.credit >= 1 {
		d := c.due[0]
		c.due, c.credit = c.due[1:], c.credit-1
		out = append(out, state.Command{
			Kind: state.Reap, Time: wall,
			Op: state.Op{Kind: state.Reap, Path: d.path, Czxid: d.czxid, TTL: c.set.NeverUsedMs},
		})
	}
	return out
}

func (c *core) scan(v *state.View, wall int64) {
	v.Nodes.Reapable(func(n *znode.Node) bool {
		if n.Reapable(wall, c.set.NeverUsedMs) {
			c.due = append(c.due, victim{n.Path(), n.Czxid()})
		}
		return true
	})
}

// earn turns the time since it was last called into credit, at most one second's worth.
func (c *core) earn(mono int64) {
	perMs := float64(c.set.ReapsPerMinute) / 60_000
	c.credit = min(c.credit+float64(mono-c.paidMs)*perMs, max(1, perMs*1000))
	c.paidMs = mono
}
