package watch

import (
	"fmt"
	"slices"
	"testing"

	"github.com/grovekeeper/grove/znode"
)

// To tell the events of one change one by one is to fire it.
func TestToTellTheEventsOfAChangeIsToFireIt(t *testing.T) {
	arm := func() *Table {
		w := New()
		for i, path := range []string{"/", "/a", "/a/b", "/a/b/c", "/x"} {
			for k := Kind(1); k <= All; k++ {
				w.Arm(ID(i*100+int(k)), path, k)
				w.Arm(ID(1000+int(k)), path, k) // one that watches everywhere
			}
		}
		return w
	}
	heard := func(lines *[]string) Deliver {
		return func(ids []ID, e Event, _ znode.ACL) { *lines = append(*lines, fmt.Sprint(ids, e)) }
	}
	for kind, event := range map[znode.ChangeKind]EventType{
		znode.Created: Created, znode.Deleted: Deleted, znode.DataSet: DataChanged,
	} {
		var fired, told []string
		one, two := arm(), arm()
		for range 2 { // the second time, one-shot watches are spent
			one.Fire(znode.Change{Kind: kind, Path: "/a/b", Zxid: 7}, heard(&fired))
			two.Tell(Event{event, "/a/b", 7}, nil, heard(&told))
			if kind != znode.DataSet {
				two.Tell(Event{ChildrenChanged, "/a", 7}, nil, heard(&told))
			}
		}
		if !slices.Equal(fired, told) || len(told) == 0 {
			t.Errorf("%v:\nfired %v\ntold  %v", kind, fired, told)
		}
		check(t, two)
	}
	New().Tell(Event{Created, "/a", 1}, nil, func([]ID, Event, znode.ACL) { t.Error("nobody watches") })
}
