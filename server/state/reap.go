package state

// reap removes a container or TTL node that was judged dead when the command was proposed, if that
// very node is there still and the verdict still holds.
func (m *Machine) reap(op *Op) error {
	return m.nodes.Reap(&m.edit, op.Path, op.Czxid, op.TTL)
}
