package watch

import (
	"slices"
	"strings"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/znode"
)

// Deliver takes one event to all connections that hear it, ascending by id and each named once. A
// receiver that may not read by acl must not learn of the event; its one-shot watch is spent all
// the same. Deliver must neither keep ids nor call the table.
type Deliver func(ids []ID, e Event, acl znode.ACL)

// Fire delivers the events of one change to those who watch for it: the event of the node, then
// that of its parent. It removes the one-shot watches that heard of it. When nobody watches
// anything it costs a comparison.
func (t *Table) Fire(c znode.Change, deliver Deliver) {
	if t.tally.pairs != 0 && c.Kind != znode.Touched {
		t.fire(&c, deliver)
	}
}

func (t *Table) fire(c *znode.Change, deliver Deliver) {
	rule := &rules[c.Kind]
	if t.tally.node != 0 {
		t.gather(c.Path, rule.hear)
	}
	t.gatherRecursive(c.Path)
	t.deliver(Event{rule.event, c.Path, c.Zxid}, c.ACL, deliver)
	if rule.membership && t.tally.child != 0 && !(bug.On(bug.ChildrenNotTold) && c.Kind == znode.Deleted) {
		above := parent(c.Path)
		t.gather(above, hearChild)
		t.deliver(Event{ChildrenChanged, above, c.Zxid}, c.ParentACL, deliver)
	}
}

// rule says what a kind of change is to those who watch the node. Recursive watches hear the same
// event, wherever above it they are.
type rule struct {
	event      EventType
	hear       Kind // the kinds on the node that hear of it
	membership bool // the children of its parent are others than before
}

// rules has a row for every kind of change that anybody hears of.
var rules = [...]rule{
	znode.Created: {Created, Data | Persistent, true},
	znode.Deleted: {Deleted, Data | Child | Persistent, true},
	znode.DataSet: {DataChanged, Data | Persistent, false},
}

// gather adds to the receivers the connections that have any of the kinds in mask on the path,
// and spends the one-shot watches among those.
func (t *Table) gather(path string, mask Kind) {
	r, ok := t.paths.find(path)
	if !ok {
		return
	}
	watchers, kept := t.paths.watchers(r), 0
	for _, w := range watchers {
		prior := w.kind()
		if prior&mask != 0 {
			t.ids = append(t.ids, w.id)
		}
		if spent := prior & mask & oneShot; spent != 0 && !bug.On(bug.FiresTwice) {
			w.set(prior &^ spent)
			t.tally.move(path, prior, w.kind())
		}
		if w.kind() == 0 {
			t.forget(w)
			continue
		}
		watchers[kept] = w
		kept++
	}
	t.paths.keep(r, kept)
}

// gatherRecursive adds to the receivers the connections that have a recursive watch on the path or
// above it. It looks only at depths where there are such watches, from the root down to the
// deepest of them.
func (t *Table) gatherRecursive(path string) {
	left, end := t.tally.below, 0
	for d := 0; left != 0; d++ {
		if n := t.tally.belowAt[min(d, depths-1)]; n != 0 {
			t.gather(path[:max(end, 1)], Recursive)
			if d < depths-1 { // the last count is of all depths from there on
				left -= int(n)
			}
		}
		if end = step(path, end); end == 0 {
			return
		}
	}
}

// step returns where the step of the path ends that follows the one ending at end, or 0 if that
// was the last. The walk starts from the root, at 0.
func step(path string, end int) int {
	first := end + 1
	if first >= len(path) {
		return 0
	}
	if n := strings.IndexByte(path[first:], '/'); n >= 0 {
		return first + n
	}
	return len(path)
}

// deliver hands the event to the receivers gathered, and starts to gather anew.
func (t *Table) deliver(e Event, acl znode.ACL, deliver Deliver) {
	if len(t.ids) == 0 {
		return
	}
	if !ascending(t.ids) { // gathered on several paths
		slices.Sort(t.ids)
		t.ids = slices.Compact(t.ids)
	}
	deliver(t.ids, e, acl)
	t.ids = t.ids[:0]
}

func ascending(ids []ID) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i-1] >= ids[i] {
			return false
		}
	}
	return true
}

// parent returns the path of the parent of a node other than the root.
func parent(path string) string { return path[:max(strings.LastIndexByte(path, '/'), 1)] }
