package state

// set replaces the data of a node.
func (m *Machine) set(op *Op, res *Result) error {
	n, err := m.nodes.Set(&m.edit, op.Path, op.Data, op.Version)
	if err != nil {
		return err
	}
	res.Stat = n.Stat()
	return nil
}
