package state

// check holds if the node is there, readable, and has the version.
func (m *Machine) check(op *Op) error {
	return m.nodes.Check(&m.edit, op.Path, op.Version)
}
