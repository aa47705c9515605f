package state

import (
	"slices"

	"github.com/grovekeeper/grove/internal/bug"
)

// multi carries out all operations or none, each on what those before it left. It edits a fork,
// which becomes the tree once every operation held, and is dropped otherwise. See Result for what
// a failure looks like.
func (m *Machine) multi(c *Command, out *Outcome) error {
	ops := c.Multi
	out.Multi = slices.Grow(out.Multi[:0], len(ops))[:len(ops)]
	trunk := m.nodes
	for i := range ops {
		// An edit that fails changes nothing, so there is something to undo only once an edit
		// held and another follows: a check and a set, the most common multi, need no fork.
		if m.nodes == trunk && i < len(ops)-1 && ops[i].Kind != Check {
			m.nodes = trunk.Clone()
		}
		out.Multi[i] = Result{Zxid: m.zxid, Failed: -1}
		if err := m.dispatch(ops[i].Kind, c, &ops[i], out, &out.Multi[i]); err != nil {
			if !bug.On(bug.MultiHalf) {
				m.nodes, m.edit.Changes = trunk, m.edit.Changes[:0]
			}
			out.fail(i, err)
			return nil
		}
	}
	return nil
}

// fail rewrites the results of a multi whose operation at index failed.
func (o *Outcome) fail(index int, cause error) {
	for i := range o.Multi {
		err := ErrRolledBack
		switch {
		case i == index:
			err = cause
		case i > index:
			err = ErrRuntimeInconsistency
		}
		o.Multi[i] = Result{Zxid: o.Zxid, Err: err, Failed: -1}
	}
	o.Failed = index
}
