// Package state is the replicated machine: commands in log order in, results and changes out.
//
// Two machines that were fed the same entries are equal, answer alike and have the same digest,
// whatever the bytes were. A command changes everything it asks for, or nothing. A view pinned at
// a zxid shows the state after that command and never changes.
//
// All judgement happens here, at apply and nowhere else: has the command been applied before, is
// its session alive and current, may these identities do that, does the version match. Anything
// checked earlier may only refuse early. The machine works on copy-on-write trees: pinning a view
// and rolling back a multi are the same cheap clone, and no inverse of an operation exists.
//
// It never asks for the time, for chance, for a file or for a lock, and knows neither the wire
// protocol nor consensus. One goroutine feeds it; what it pins may be read by any number.
package state

import (
	"errors"
	"fmt"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// Machine is the replicated state and the verb that moves it. Its methods must not be called
// concurrently; views may be used from anywhere.
type Machine struct {
	zxid     znode.Zxid // of the last entry applied; 0 before the first
	time     int64      // ms; the latest time any command carried
	nodes    *znode.Tree
	sessions *session.Table
	origins  []Origin // the last applied of each server, by server, ascending

	pinned View // what the last view shares: nil trees where the state has moved on since

	decoder decoder
	command Command    // the one being applied; its slices are reused
	edit    znode.Edit // its context
}

// New returns the machine before the first command: the built-in nodes, no sessions, zxid 0.
func New() *Machine {
	return &Machine{nodes: znode.New(), sessions: session.NewTable(), decoder: newDecoder()}
}

// Zxid returns the index of the last entry applied.
func (m *Machine) Zxid() znode.Zxid { return m.zxid }

// Apply applies the log entry at index and says into out what came of it. Indexes must ascend:
// applying one twice, or an older one, is a broken invariant and panics. Any bytes will do: empty
// ones only move the zxid, and so do unreadable ones, whose Err is then ErrMalformed or ErrNewer.
// Nothing in data is referred to after the call.
func (m *Machine) Apply(index znode.Zxid, data []byte, out *Outcome) {
	if index <= m.zxid {
		panic(fmt.Sprintf("state: entry %d applied after %d", index, m.zxid))
	}
	m.zxid = index
	out.reset(index)
	if len(data) == 0 {
		return
	}
	if out.Origin, out.Err = OriginOf(data); out.Err != nil {
		return
	}
	// The origin goes on even if the rest is unreadable: a hole would stop its stream for good.
	if !m.advance(out.Origin) {
		out.Duplicate = true
		return
	}
	c := &m.command
	if out.Err = m.decoder.decode(data, c); out.Err == nil {
		out.Kind = c.Kind
		m.time = max(m.time, c.Time)
		out.Err = m.run(c, out)
	}
	m.release()
}

// run judges the session and carries the command out. The changes of one that failed are none.
// The session comes before everything else, for a create as well, where ZooKeeper looks at the
// flags first: who lost the session is not answered, but cut off, so nobody can tell.
func (m *Machine) run(c *Command, out *Outcome) error {
	if kinds[c.Kind].fenced {
		err := m.sessions.Current(c.Session, c.Epoch)
		if bug.On(bug.EpochUnchecked) && errors.Is(err, session.ErrMoved) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	m.edit = znode.Edit{
		Zxid: m.zxid, Time: m.time, Session: int64(c.Session), IDs: c.IDs,
		SkipACL: c.Policy&SkipACL != 0, EnforceQuota: c.Policy&EnforceQuota != 0,
		Changes: out.Changes,
	}
	err := m.dispatch(c.Kind, c, &c.Op, out, &out.Result)
	out.Changes = m.edit.Changes
	if len(out.Changes) > 0 {
		m.pinned.Nodes = nil
	}
	if len(out.Sessions) > 0 {
		m.pinned.Sessions = nil
	}
	return err
}

// dispatch is the only place that branches on the kind. Sessions and multis answer into out, one
// operation, be it alone or inside a multi, into res.
func (m *Machine) dispatch(kind Kind, c *Command, op *Op, out *Outcome, res *Result) error {
	switch kind {
	case OpenSession:
		return m.open(c, out)
	case AttachSession:
		return m.attach(c, out)
	case CloseSession:
		return m.end(c, out, Closed)
	case ExpireSession:
		return m.end(c, out, Expired)
	case Create:
		return m.create(op, res)
	case Delete:
		return m.delete(op)
	case Set:
		return m.set(op, res)
	case SetACL:
		return m.setACL(op, res)
	case Check:
		return m.check(op)
	case Multi:
		return m.multi(c, out)
	case Reap:
		return m.reap(op)
	case Configure:
		return m.configure(op)
	}
	return nil // Noop; the decoder lets no other kind through
}

// scratchMax is how many elements a reused slice may hold on to between commands: one multi of
// a hundred thousand operations must not cost its memory for ever.
const scratchMax = 1024

// release lets go of the entry the command was read from.
func (m *Machine) release() {
	ops := m.command.Multi
	clear(ops)
	m.command = Command{Multi: reusable(ops)}
	m.edit = znode.Edit{}
}

// reusable empties s for the next command, or lets go of it if it has grown out of proportion.
func reusable[T any](s []T) []T {
	if cap(s) > scratchMax {
		return nil
	}
	return s[:0]
}
