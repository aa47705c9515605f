package state

import "github.com/grovekeeper/grove/internal/bug"

// end takes a session away, by its own wish or for its silence, and its ephemerals with it, all at
// one zxid. Which they are is found here and not in the command: what the session created up to
// this entry goes, whatever the proposer knew. A verdict of silence carries the epoch it was made
// under, so a session that attached meanwhile lives on.
func (m *Machine) end(c *Command, out *Outcome, kind SessionChangeKind) error {
	s, _ := m.sessions.Get(c.Session) // there: run has seen that it is current
	if err := m.sessions.Close(c.Session); err != nil {
		return err
	}
	if !bug.On(bug.EphemeralStays) {
		m.nodes.DropEphemerals(&m.edit, int64(c.Session))
	}
	out.Sessions = append(out.Sessions, SessionChange{kind, s})
	return nil
}
