// Package watch knows who wants to be told what. It holds the armed watches of a server's
// connections and turns each change of the tree into events, in the order of the changes, telling
// every connection at most once of each.
//
// Four kinds of watch coexist on one path and connection. The one-shot kinds are spent by the
// event they cause; the others last until they are disarmed or the connection ends. What each
// hears of a change of node P, whose parent is D:
//
//	            on P                                       on D             on D and above
//	change      Data         Child        Persistent       Child, Persist.  Recursive, also on P
//	Created     Created                   Created          ChildrenChanged  Created, path P
//	Deleted     Deleted      Deleted      Deleted          ChildrenChanged  Deleted, path P
//	DataSet     DataChanged               DataChanged                       DataChanged, path P
//	Touched
//
// The event of P goes out before the event of D. A connection that watches P in several ways, or P
// and nodes above it, hears of P once.
//
// The package never looks at the tree and never sends anything: what it knows of a change is in
// the change, and who may read the path is asked where the event is delivered. Feed asks it under
// its lock; front delivers.
package watch

import (
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/znode"
)

// ID names one connection. Ids that are handed out in sequence are the cheapest to hold.
type ID uint32

// Kind is a set of kinds of watch.
type Kind uint8

// The kinds, as a set.
const (
	Data       Kind = 1 << iota // one-shot: the node is created, set or deleted (exists, getData)
	Child                       // one-shot: a child comes or goes, or the node itself goes (getChildren)
	Persistent                  // all that Data and Child hear, until disarmed
	Recursive                   // creation, change and deletion of the node and all below it, until disarmed

	All     = Data | Child | Persistent | Recursive
	oneShot = Data | Child
)

// String lists the kinds of the set, as in "data+child".
func (k Kind) String() string {
	var names []string
	for i, name := range [...]string{"data", "child", "persistent", "recursive"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// EventType says what happened to the path of an event. The numbers are those of the protocol.
type EventType int32

// The types of events.
const (
	Created         EventType = 1
	Deleted         EventType = 2
	DataChanged     EventType = 3
	ChildrenChanged EventType = 4
)

// String returns the name of the type, as in "DataChanged".
func (e EventType) String() string {
	switch e {
	case Created:
		return "Created"
	case Deleted:
		return "Deleted"
	case DataChanged:
		return "DataChanged"
	case ChildrenChanged:
		return "ChildrenChanged"
	}
	return "EventType(" + strconv.Itoa(int(e)) + ")"
}

// Event is what the watchers of a path are told. Events are values and may be shared by all who
// are told the same.
type Event struct {
	Type EventType
	Path string
	Zxid znode.Zxid // of the change
}
