package state

import "github.com/grovekeeper/grove/znode"

// create adds a node; see znode.Tree.Create for the order in which its conditions are judged.
func (m *Machine) create(op *Op, res *Result) error {
	n, err := m.nodes.Create(&m.edit, znode.Create{
		Path: op.Path, Data: owned(op.Data), ACL: op.ACL, Flags: op.Flags, TTL: op.TTL, Class: op.Class,
	})
	if err != nil {
		return err
	}
	res.Path, res.Stat = n.Path(), n.Stat()
	return nil
}

// owned copies data out of the log entry, so that a small value in the tree does not hold a large
// entry in memory. nil stays nil and empty stays empty.
func owned(data []byte) []byte {
	if data == nil {
		return nil
	}
	return append(make([]byte, 0, len(data)), data...)
}
