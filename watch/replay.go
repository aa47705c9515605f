package watch

import "github.com/grovekeeper/grove/znode"

// Kind returns what an entry of the list arms.
func (l List) Kind() Kind { return Data }

// Missed decides about one entry of a list when a client reconnects.
func Missed(l List, exists bool, mzxid, pzxid, relative znode.Zxid) (e EventType, missed bool) {
	return 0, false
}

// Matches returns the events of the change that watches of the kinds on the path hear.
func Matches(kind Kind, path string, c znode.Change) []Event { return nil }

// Governs returns the ACL by which a receiver of e must be allowed to read.
func Governs(c znode.Change, e EventType) znode.ACL { return c.ACL }
