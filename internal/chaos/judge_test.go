//go:build linux

package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/wire"
)

// A verdict holds one round, from one look at the tree to the next, to the promises.
type verdict struct {
	before, now *tree
	ops         []*op
	dead        int64 // ns, when the server of the round was known to be gone
	wrong       []string
	effects     map[string][]effect
}

func (v *verdict) complain(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// judge returns what is wrong with a round. It settles the fates of requests without an answer first.
func judge(before, now *tree, ops []*op, dead int64) []string {
	v := &verdict{before: before, now: now, ops: ops, dead: dead, effects: map[string][]effect{}}
	v.settle()
	for _, o := range ops {
		for _, e := range o.effects() {
			v.effects[e.path] = append(v.effects[e.path], e)
		}
	}
	v.acknowledged()
	v.atomic()
	v.sequences()
	v.sessions()
	v.realTime()
	v.wrong = append(v.wrong, linearize(before, now, v.effects, byZxid(now.zxid))...)
	v.wrong = append(v.wrong, linearize(before, now, v.effects, byTime(v.dead))...)
	return v.wrong
}

// settle finds out which of the requests without an answer were done. Every token is written once, so a
// node that bears it is proof; that it is nowhere is proof only for the creation of what nobody else deletes.
func (v *verdict) settle() {
	bearers := map[string]string{} // token to path
	for path, n := range v.now.nodes {
		if token := brief(n.data); token != "" && bearers[token] == "" {
			bearers[token] = path
		}
	}
	for _, o := range v.ops {
		if !o.answered() {
			o.fate = v.fateOf(o, bearers)
		}
	}
}

func (v *verdict) fateOf(o *op, bearers map[string]string) fate {
	_, there := v.now.nodes[o.path]
	path, found := bearers[o.token]
	verdict := func(was bool) fate {
		if was {
			return done
		}
		return undone
	}
	switch {
	case o.kind == wire.OpMulti:
		return verdict(there)
	case o.kind == wire.OpCreate2 && o.flags&wire.FlagSequential != 0:
		o.made = path
		return verdict(found)
	case found:
		return done
	case strings.HasPrefix(o.path, shared+"/") || o.kind != wire.OpCreate2 && o.kind != wire.OpDelete:
		return unclear
	case there || !v.lost(o.path, o.opposite()):
		return verdict(there == (o.kind == wire.OpCreate2))
	}
	return unclear
}

// lost tells whether there is a request of the kind for path without an answer.
func (v *verdict) lost(path string, kind wire.Op) bool {
	return slices.ContainsFunc(v.ops, func(o *op) bool { return o.path == path && o.kind == kind && !o.answered() })
}

// opposite is what undoes a create, or what a delete undoes.
func (o *op) opposite() wire.Op {
	if o.kind == wire.OpDelete {
		return wire.OpCreate2
	}
	return wire.OpDelete
}

// acknowledged looks for the last acknowledged change of every node: it must be what is found, or have been
// followed by a change whose answer was lost.
func (v *verdict) acknowledged() {
	for path, list := range v.effects {
		var last *effect
		open := map[wire.Op]bool{} // kinds of the changes without an answer
		tokens := map[string]bool{}
		for i := range list {
			e := &list[i]
			if e.changes() && (last == nil || e.op.zxid > last.op.zxid) {
				last = e
			}
			if !e.sure {
				open[e.kind], tokens[brief(e.data)] = true, true
			}
		}
		if last == nil {
			continue
		}
		n, there := v.now.nodes[path]
		switch {
		case last.kind == wire.OpDelete && there && (!open[wire.OpCreate] || n.stat.Czxid <= last.op.zxid):
			v.complain("acknowledged delete of %s is missing: %v", path, last.op)
		case last.kind == wire.OpDelete || !there && open[wire.OpDelete]:
		case !there:
			v.complain("acknowledged write is missing, and so is %s: %v", path, last.op)
		case n.stat.Mzxid == last.op.zxid && n.data != last.data:
			v.complain("%s has other data than was acknowledged: %s: %v", path, brief(n.data), last.op)
		case n.stat.Mzxid < last.op.zxid:
			v.complain("acknowledged write to %s is missing, found that of %d: %v", path, n.stat.Mzxid, last.op)
		case n.stat.Mzxid > last.op.zxid && !tokens[brief(n.data)]:
			v.complain("%s has the data %s of %d, which nobody is known to have written: %v",
				path, brief(n.data), n.stat.Mzxid, last.op)
		}
	}
}

// atomic sees that every multi is all there or not at all.
func (v *verdict) atomic() {
	a, b := v.now.nodes[multiA], v.now.nodes[multiB]
	if brief(a.data) != brief(b.data) || a.stat.Mzxid != b.stat.Mzxid || a.stat.Version != b.stat.Version {
		v.complain("%s is of multi %s at %d, and %s of %s at %d", multiA, brief(a.data), a.stat.Mzxid,
			multiB, brief(b.data), b.stat.Mzxid)
	}
	for _, o := range v.ops {
		if o.kind != wire.OpMulti {
			continue
		}
		n, there := v.now.nodes[o.path]
		switch {
		case o.doomed && there:
			v.complain("a multi that must fail has left %s: %v", o.path, o)
		case o.doomed && o.answered() && o.failure() != wire.CodeBadVersion:
			v.complain("a multi that must fail with a bad version: %v in %v", o.failure(), o)
		case !o.doomed && o.answered() && !o.held():
			v.complain("a multi that must hold: %v in %v", o.failure(), o)
		case !o.doomed && there && n.stat.Czxid > a.stat.Mzxid:
			v.complain("%s was created at %d, but %s was last set at %d, in the same multi: %v",
				o.path, n.stat.Czxid, multiA, a.stat.Mzxid, o)
		}
	}
}

// failure returns the code of the operation that failed in a multi.
func (o *op) failure() wire.Code {
	for _, r := range o.multi {
		if r.Type == wire.OpError && r.Err != wire.CodeOK {
			return r.Err
		}
	}
	return o.code
}

// sequences sees that sequence numbers go up with the zxid, one by one, over all rounds: each that was ever
// given out was acknowledged or stands in the tree.
func (v *verdict) sequences() {
	type birth struct {
		number int
		zxid   int64
		o      *op
	}
	born := map[string][]birth{}
	for _, o := range v.ops {
		if o.kind != wire.OpCreate2 || o.flags&wire.FlagSequential == 0 || o.made == "" || o.answered() && !o.held() {
			continue
		}
		zxid := o.zxid
		if !o.answered() {
			zxid = v.now.nodes[o.made].stat.Czxid
		}
		number, err := strconv.Atoi(strings.TrimPrefix(o.made, o.path))
		if err != nil || !strings.HasPrefix(o.made, o.path) {
			v.complain("sequential create made %q: %v", o.made, o)
			continue
		}
		born[o.path] = append(born[o.path], birth{number, zxid, o})
	}
	for prefix, list := range born {
		slices.SortFunc(list, func(a, b birth) int { return cmp.Compare(a.zxid, b.zxid) })
		for i, b := range list {
			want := v.before.created(prefix) + i
			if b.number != want {
				v.complain("%s has number %d, the number due at zxid %d is %d: %v", prefix, b.number, b.zxid, want, b.o)
				break
			}
		}
		if got, want := v.now.created(prefix), v.before.created(prefix)+len(list); got != want {
			v.complain("%s has had %d children and %d more, but its parent counts %d",
				prefix, v.before.created(prefix), len(list), got)
		}
	}
}

// created returns how many children the parent of a sequence has ever had: it counts creates and deletes
// together, and those there are.
func (t *tree) created(prefix string) int {
	s := t.nodes[prefix[:strings.LastIndexByte(prefix, '/')]].stat
	return int(s.Cversion+s.NumChildren) / 2
}

// sessions sees that every session's requests were answered and done in the order sent.
func (v *verdict) sessions() {
	type life struct {
		session int64
		number  int
	}
	last := map[int64]*op{}
	lost := map[life]*op{} // first request that was not done, of one connection
	for _, o := range v.ops {
		p := last[o.session]
		if o.answered() {
			last[o.session] = o
			switch {
			case p != nil && (o.zxid < p.zxid || o.writes() && o.zxid == p.zxid):
				v.complain("zxid %d after %d in one session:\n\t%v\n\t%v", o.zxid, p.zxid, p, o)
			case o.writes() && o.zxid <= o.after:
				v.complain("zxid %d, and %d had been seen before it was sent: %v", o.zxid, o.after, o)
			}
			continue
		}
		one := life{o.session, o.life}
		if o.fate == undone && o.kind != wire.OpGetData && !o.doomed && lost[one] == nil {
			lost[one] = o
		}
		if l := lost[one]; l != nil && o.fate == done {
			v.complain("a request was done and one sent before it was not:\n\t%v\n\t%v", l, o)
		}
	}
}

// realTime sees that zxids agree with the order in which one request was answered before the next was sent, that
// none is given twice, and that a synced read is not of before.
func (v *verdict) realTime() {
	var sent, answers []*op
	for _, o := range v.ops {
		if o.answered() && (o.writes() || o.synced) {
			sent = append(sent, o)
		}
		if o.answered() && o.writes() {
			answers = append(answers, o)
		}
	}
	slices.SortFunc(sent, func(a, b *op) int { return cmp.Compare(a.call, b.call) })
	slices.SortFunc(answers, func(a, b *op) int { return cmp.Compare(a.ret, b.ret) })
	var newest *op // of those answered before
	for _, o := range sent {
		for len(answers) > 0 && answers[0].ret < o.call {
			if newest == nil || answers[0].zxid > newest.zxid {
				newest = answers[0]
			}
			answers = answers[1:]
		}
		if newest != nil && (o.zxid < newest.zxid || o.writes() && o.zxid == newest.zxid) {
			v.complain("answered before the other was sent, but of a later zxid:\n\t%v\n\t%v", newest, o)
		}
	}
	given := map[int64]*op{}
	for _, o := range v.ops {
		if !o.answered() || !o.writes() {
			continue
		}
		if other := given[o.zxid]; other != nil {
			v.complain("one zxid for two requests:\n\t%v\n\t%v", other, o)
		}
		given[o.zxid] = o
	}
}
