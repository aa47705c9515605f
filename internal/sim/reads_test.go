package sim

import (
	"slices"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// read answers a request that does not go through the log: L3. An inbox that has ended does not get
// the events any more that belong before the answer.
func (k *conn) read(o *op) {
	if !k.in.Whole(k.n.feed.View().Zxid) {
		k.close()
		return
	}
	var v *state.View
	switch o.kind {
	case opWatch, opWatchChildren, opPersistent, opRecursive:
		v = k.arm(o)
	case opRearm:
		v = k.rearm(o)
	default:
		v = k.n.feed.View()
	}
	o.zxid = v.Zxid
	k.s.mark(markReads)
	if r := k.s.truth.at(uint64(v.Zxid)); r != nil {
		k.exact(o, v, r.view)
	}
	k.reply(o)
}

// exact is L3: what is read is what is there at that zxid.
func (k *conn) exact(o *op, v, truth *state.View) {
	if o.path == "" {
		return
	}
	got, want := v.Nodes.Get(o.path), truth.Nodes.Get(o.path)
	if (got == nil) != (want == nil) ||
		got != nil && (got.Stat() != want.Stat() || string(got.Data()) != string(want.Data())) {
		k.s.broken("L3", "client %d at server %d reads %s at %d otherwise than it is", k.c.i, k.n.id, o.path, v.Zxid)
	}
	if o.kind == opChildren || o.kind == opWatchChildren {
		if !slices.Equal(names(v, o.path), names(truth, o.path)) {
			k.s.broken("L3", "client %d at server %d lists %s at %d otherwise than it is", k.c.i, k.n.id, o.path, v.Zxid)
		}
	}
}

func names(v *state.View, path string) (list []string) {
	v.Nodes.Children(path, func(n *znode.Node) bool { list = append(list, n.Name()); return true })
	return list
}
