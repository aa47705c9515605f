package state

// setACL replaces the access list of a node; its version is compared with aversion.
func (m *Machine) setACL(op *Op, res *Result) error {
	n, err := m.nodes.SetACL(&m.edit, op.Path, op.ACL, op.Version)
	if err != nil {
		return err
	}
	res.Stat = n.Stat()
	return nil
}
