//go:build linux

package chaos

import (
	"strings"
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
)

// trial is a round made up by hand: what was found before, what was asked and answered, what was found then.
type trial struct {
	before, now *tree
	ops         map[string]*op
	order       []*op
}

func (tr *trial) ask(name string, o *op) *op {
	o.session, o.version, o.call, o.after = 1, -1, int64(10*len(tr.order)+1), 10
	o.token = "w0." + name
	o.data = o.token + "|"
	tr.ops[name], tr.order = o, append(tr.order, o)
	return o
}

func (tr *trial) answer(name string, zxid int64, o *op) {
	tr.ask(name, o)
	o.ret, o.zxid = o.call+5, zxid
	if o.kind == wire.OpCreate2 && o.made == "" {
		o.made = o.path
	}
}

func (t *tree) put(path, data string, version int32, czxid, mzxid int64) {
	t.nodes[path] = node{data: data, stat: wire.Stat{Version: version, Czxid: czxid, Mzxid: mzxid}}
}

func (t *tree) count(parent string, children int32) {
	n := t.nodes[parent]
	n.stat.Cversion, n.stat.NumChildren = children, children
	t.nodes[parent] = n
}

// honest is a round in which everything is as it should be: seven requests were answered, and of six that
// were not, three were done.
func honest() *trial {
	tr := &trial{
		before: &tree{zxid: 10, nodes: map[string]node{}}, now: &tree{zxid: 30, nodes: map[string]node{}},
		ops: map[string]*op{},
	}
	multi := func(name string) *op {
		o := &op{kind: wire.OpMulti, path: made + "/w0." + name}
		for _, path := range []string{multiA, multiB} {
			o.parts = append(o.parts, wire.MultiOp{Op: wire.OpSetData, Path: path, Data: []byte("w0." + name + "|"), Version: -1})
			o.multi = append(o.multi, wire.MultiResult{Type: wire.OpSetData, Stat: wire.Stat{Version: 1}})
		}
		o.parts = append(o.parts, wire.MultiOp{Op: wire.OpCreate2, Path: o.path, Data: []byte("w0." + name + "|")})
		o.multi = append(o.multi, wire.MultiResult{Type: wire.OpCreate2})
		return o
	}
	for _, path := range []string{multiA, multiB, shared + "/0"} {
		tr.before.put(path, "w9.1|", 0, 3, 5)
	}
	tr.before.count(numbered, 0)
	stamped := func(version int32) wire.Stat { return wire.Stat{Version: version} }
	tr.answer("set", 11, &op{kind: wire.OpSetData, path: shared + "/0", stat: stamped(1)})
	tr.answer("old", 12, &op{kind: wire.OpCreate2, path: own + "/w0.old"})
	tr.answer("first", 13, &op{kind: wire.OpCreate2, path: numbered + "/n-", made: numbered + "/n-0000000000", flags: wire.FlagSequential})
	tr.answer("multi", 14, multi("multi"))
	tr.answer("read", 14, &op{kind: wire.OpGetData, path: shared + "/0", synced: true, value: "w0.set|", stat: stamped(1)})
	tr.answer("delete", 15, &op{kind: wire.OpDelete, path: own + "/w0.old"})
	tr.answer("new", 16, &op{kind: wire.OpCreate2, path: own + "/w0.new"})
	tr.ask("again", &op{kind: wire.OpSetData, path: shared + "/0"})
	tr.ask("late", &op{kind: wire.OpCreate2, path: own + "/w0.late"})
	tr.ask("second", &op{kind: wire.OpCreate2, path: numbered + "/n-", flags: wire.FlagSequential})
	tr.ask("lost", multi("lost"))
	tr.ask("brief", &op{kind: wire.OpCreate2, path: own + "/w0.brief"})
	tr.ask("undo", &op{kind: wire.OpDelete, path: own + "/w0.brief"})

	tr.now.put(shared+"/0", "w0.again|", 2, 3, 17)
	tr.now.put(own+"/w0.new", "w0.new|", 0, 16, 16)
	tr.now.put(own+"/w0.late", "w0.late|", 0, 18, 18)
	tr.now.put(numbered+"/n-0000000000", "w0.first|", 0, 13, 13)
	tr.now.put(numbered+"/n-0000000001", "w0.second|", 0, 19, 19)
	tr.now.count(numbered, 2)
	tr.now.put(multiA, "w0.multi|", 1, 3, 14)
	tr.now.put(multiB, "w0.multi|", 1, 3, 14)
	tr.now.put(made+"/w0.multi", "w0.multi|", 0, 14, 14)
	return tr
}

func (tr *trial) judge() []string { return judge(tr.before, tr.now, tr.order, 1000) }

// A judge that finds nothing proves nothing, unless it finds what is there to be found.
func TestTheJudgeNotices(t *testing.T) {
	if wrong := honest().judge(); len(wrong) > 0 {
		t.Fatalf("an honest round: %s", strings.Join(wrong, "\n"))
	}
	for name, spoil := range map[string]func(*trial){
		"a lost create":            func(tr *trial) { delete(tr.now.nodes, own+"/w0.new") },
		"a lost set":               func(tr *trial) { tr.now.put(shared+"/0", "w9.1|", 0, 3, 5) },
		"a set that never was":     func(tr *trial) { tr.now.put(shared+"/0", "w7.7|", 2, 3, 17) },
		"one set too many":         func(tr *trial) { tr.now.put(shared+"/0", "w0.again|", 3, 3, 17) },
		"half of a value":          func(tr *trial) { tr.now.put(own+"/w0.new", "w0.new", 0, 16, 16) },
		"a lost delete":            func(tr *trial) { tr.now.put(own+"/w0.old", "w0.old|", 0, 12, 12) },
		"a lost multi":             func(tr *trial) { delete(tr.now.nodes, made+"/w0.multi") },
		"half a multi":             func(tr *trial) { tr.now.put(multiB, "w9.1|", 0, 3, 5) },
		"half an unanswered multi": func(tr *trial) { tr.now.put(made+"/w0.lost", "w0.lost|", 0, 20, 20) },
		"a failed multi that left something": func(tr *trial) {
			tr.ops["multi"].doomed = true
		},
		"a later request done without an earlier": func(tr *trial) { delete(tr.now.nodes, own+"/w0.late") },
		"a number given twice": func(tr *trial) {
			delete(tr.now.nodes, numbered+"/n-0000000001")
			tr.now.put(numbered+"/n-0000000000", "w0.second|", 0, 19, 19)
		},
		"a number left out": func(tr *trial) {
			delete(tr.now.nodes, numbered+"/n-0000000001")
			tr.now.put(numbered+"/n-0000000002", "w0.second|", 0, 19, 19)
		},
		"a count that is too low":         func(tr *trial) { tr.now.count(numbered, 1) },
		"a zxid given twice":              func(tr *trial) { tr.ops["old"].zxid = 11 },
		"a zxid of before":                func(tr *trial) { tr.ops["new"].zxid = 9 },
		"an answer of before its request": func(tr *trial) { tr.ops["new"].session, tr.ops["new"].zxid = 2, 12 },
		"a stale read":                    func(tr *trial) { tr.ops["read"].value, tr.ops["read"].stat.Version = "w9.1|", 0 },
		"a read of what was never there":  func(tr *trial) { tr.ops["read"].value = "w0.again|" },
		"a read of what was lost again": func(tr *trial) {
			o := &op{kind: wire.OpGetData, path: own + "/w0.late"}
			tr.answer("seen", 29, o)
			o.value = "w0.late|"
			o.session = 2
			delete(tr.now.nodes, own+"/w0.late")
		},
		"a create over what is there": func(tr *trial) { tr.before.put(own+"/w0.new", "w0.new|", 0, 9, 9) },
		"a refusal without a reason":  func(tr *trial) { tr.ops["set"].code = wire.CodeNoNode },
	} {
		tr := honest()
		if spoil(tr); len(tr.judge()) == 0 {
			t.Errorf("%s is not noticed", name)
		}
	}
}

// What a listener may be told twice, and what it must be told.
func TestTheListenerNotices(t *testing.T) {
	event := func(kind wire.EventType, name string, zxid int64, replayed bool) news {
		return news{wire.WatcherEvent{Type: kind, State: wire.StateSyncConnected, Path: made + "/" + name}, zxid, replayed, 11}
	}
	const created, deleted = wire.EventNodeCreated, wire.EventNodeDeleted
	made1 := &op{kind: wire.OpMulti, path: made + "/1", ret: 1, zxid: 11}
	made2 := &op{kind: wire.OpMulti, path: made + "/2", ret: 1, zxid: 12,
		parts: []wire.MultiOp{{Op: wire.OpDelete, Path: made + "/1"}}}
	lost := &op{kind: wire.OpMulti, path: made + "/3"}
	ops := []*op{made1, made2, lost}
	live := []news{event(created, "1", 11, false), event(created, "2", 12, false), event(deleted, "1", 12, false)}
	for name, told := range map[string][]news{
		"live":            live,
		"replayed":        {event(created, "1", 11, true), event(deleted, "1", 12, true), event(created, "2", 12, true)},
		"partly twice":    append(live[:3:3], event(created, "2", 12, true), event(deleted, "1", 12, true)),
		"without the end": append(live[:1:1], event(created, "2", 12, true), event(deleted, "1", 12, true)),
	} {
		if wrong := (&listener{told: told}).judge(ops, &tree{}, false); len(wrong) > 0 {
			t.Errorf("%s: %v", name, wrong)
		}
	}
	for name, told := range map[string][]news{
		"nothing":           nil,
		"a gap":             {live[0], live[2]},
		"twice":             {live[0], live[0], live[1], live[2]},
		"twice, seen":       append(live[:3:3], event(created, "1", 11, true)),
		"what was not done": append(live[:3:3], event(created, "3", 13, false)),
		"wrong kind":        {live[0], live[1], event(wire.EventNodeDataChanged, "1", 12, false)},
		"back in time":      {live[1], live[0], live[2]},
		"end before begin":  {event(deleted, "1", 12, true), event(created, "1", 11, true), event(created, "2", 12, true)},
	} {
		if len((&listener{told: told}).judge(ops, &tree{}, false)) == 0 {
			t.Errorf("%s is not noticed", name)
		}
	}
}

// What is wrong with a tree by itself.
func TestTheLookNotices(t *testing.T) {
	sane := func() *tree {
		tr := &tree{zxid: 10, nodes: map[string]node{}}
		tr.nodes["/a"] = node{data: "xy", children: []string{"b"}, stat: wire.Stat{Czxid: 1, Mzxid: 2, Pzxid: 3, NumChildren: 1, DataLength: 2}}
		tr.nodes["/a/b"] = node{stat: wire.Stat{Czxid: 3, Mzxid: 3, Pzxid: 3, EphemeralOwner: 7}}
		return tr
	}
	alive := map[int64]bool{7: true}
	if wrong := sane().sound(alive); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for name, spoil := range map[string]func(a, b *wire.Stat){
		"length":             func(a, _ *wire.Stat) { a.DataLength = 3 },
		"future":             func(a, _ *wire.Stat) { a.Mzxid = 11 },
		"set before made":    func(_, b *wire.Stat) { b.Mzxid = 2 },
		"dead owner":         func(_, b *wire.Stat) { b.EphemeralOwner = 8 },
		"ephemeral parent":   func(a, _ *wire.Stat) { a.EphemeralOwner = 7 },
		"number of children": func(a, _ *wire.Stat) { a.NumChildren = 2 },
		"last change":        func(a, _ *wire.Stat) { a.Pzxid = 2 },
	} {
		tr := sane()
		a, b := tr.nodes["/a"], tr.nodes["/a/b"]
		spoil(&a.stat, &b.stat)
		tr.nodes["/a"], tr.nodes["/a/b"] = a, b
		if len(tr.sound(alive)) == 0 {
			t.Errorf("%s is not noticed", name)
		}
	}
}
