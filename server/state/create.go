package state

import "github.com/grovekeeper/grove/znode"

// create adds a node; see znode.Tree.Create for the order in which its conditions are judged.
func (m *Machine) create(op *Op, res *Result) error {
	n, err := m.nodes.Create(&m.edit, znode.Create{
		Path: op.Path, Data: op.Data, ACL: op.ACL, Flags: op.Flags, TTL: op.TTL, Class: op.Class,
	})
	if err != nil {
		return err
	}
	res.Path, res.Stat = n.Path(), n.Stat()
	return nil
}
