package state

import "strconv"

// configure publishes the table of members in "/zookeeper/config". It comes with the entry that changes
// the membership, so the version of the table, which clients compare, is the zxid of that entry: it is
// a line that only apply can add. There is no newline behind it, as in ZooKeeper.
func (m *Machine) configure(op *Op) error {
	text := make([]byte, 0, len(op.Data)+len("\nversion=0123456789abcdef"))
	text = append(text, op.Data...)
	if n := len(text); n > 0 && text[n-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, "version="...)
	return m.nodes.Configure(&m.edit, strconv.AppendInt(text, int64(m.zxid), 16))
}
