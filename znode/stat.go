package znode

import "math"

// Zxid numbers the changes of the tree: the index, in the replicated log, of the command that
// made them. It starts at 1 and only grows; built-in nodes carry 0.
type Zxid int64

// Stat is what a client is told about a node besides its data. Times are milliseconds since
// the epoch, by the clock of the server that proposed the change.
type Stat struct {
	Czxid          Zxid  // creation
	Mzxid          Zxid  // last create or set of the data
	Ctime          int64 // ms
	Mtime          int64 // ms
	Version        int32 // sets of the data
	Cversion       int32 // creates and deletes of children
	Aversion       int32 // sets of the access list
	EphemeralOwner int64 // session, or 0 for anything but an ephemeral node
	DataLength     int32 // bytes
	NumChildren    int32
	Pzxid          Zxid // last create or delete of a child
}

// AnyVersion as a version argument makes an edit unconditional.
const AnyVersion = -1

// nextVersion counts on from v and wraps past the largest value as ZooKeeper does, except that
// it never yields -1: a node at version -1 could not be told from an unconditional edit.
func nextVersion(v int32) int32 {
	if v == math.MaxInt32 {
		return math.MinInt32
	}
	if v+1 == AnyVersion {
		return 0
	}
	return v + 1
}
