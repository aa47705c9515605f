package watch

import (
	"strings"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/znode"
)

// List is one of the lists of paths by which a client that reconnects arms its watches again.
type List uint8

// The lists of setWatches2, in the order in which it carries them and they are answered.
const (
	DataList       List = iota // nodes that were there, and whose data the client has
	ExistList                  // nodes that were not there
	ChildList                  // nodes whose children the client knows
	PersistentList             // nodes to hear every event of
	RecursiveList              // nodes to hear every event of, and of all below
)

// Kind returns what an entry of the list arms, if it has missed nothing.
func (l List) Kind() Kind {
	return [...]Kind{
		DataList: Data, ExistList: Data, ChildList: Child, PersistentList: Persistent, RecursiveList: Recursive,
	}[l]
}

// Missed tells whether an entry of the list has missed an event since the client saw the zxid
// relative, and which. It goes by the node as it is now: whether it exists and, if it does, its
// mzxid and pzxid. An entry that has is answered with the event and not armed; any other is armed.
//
// The lists that last never miss anything by this rule, as in ZooKeeper; the changes since, asked
// one by one with Matches, tell what they would have heard.
func Missed(l List, exists bool, mzxid, pzxid, relative znode.Zxid) (EventType, bool) {
	switch {
	case l == ExistList && exists:
		return Created, true
	case l == DataList && !exists, l == ChildList && !exists:
		return Deleted, true
	case l == DataList && (mzxid > relative || bug.On(bug.MissedInclusive) && mzxid == relative):
		return DataChanged, true
	case l == ChildList && pzxid > relative:
		return ChildrenChanged, true
	}
	return 0, false
}

// Matches returns the events of the change that watches of the kinds on the path hear, in order;
// it spends nothing. It is how a change of the past is told to a watch that was not armed then.
func Matches(kind Kind, path string, c znode.Change) []Event {
	if c.Kind == znode.Touched {
		return nil
	}
	var heard []Event
	rule := &rules[c.Kind]
	if kind&rule.hear != 0 && path == c.Path || kind&Recursive != 0 && within(path, c.Path) {
		heard = append(heard, Event{rule.event, c.Path, c.Zxid})
	}
	if rule.membership && kind&hearChild != 0 && path == parent(c.Path) {
		heard = append(heard, Event{ChildrenChanged, path, c.Zxid})
	}
	return heard
}

// Governs returns the ACL that decides who may hear the event of the change: the node's own, or
// the parent's for an event about the parent's children.
func Governs(c znode.Change, e EventType) znode.ACL {
	if e == ChildrenChanged {
		return c.ParentACL
	}
	return c.ACL
}

// within tells whether path is root or lies below it.
func within(root, path string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '/' || root == "/")
}
