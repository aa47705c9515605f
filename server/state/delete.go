package state

// delete removes a node without children.
func (m *Machine) delete(op *Op) error {
	return m.nodes.Delete(&m.edit, op.Path, op.Version)
}
