package feed

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// Install goes on with another machine, of a later state: that of a leader whose log no longer has what
// this server needs. confState is the membership as of the machine's zxid, and term that of the entry.
// It is called by the goroutine that calls Apply; the machine is the feed's from here on.
//
// Nobody knows what happened between the two states, only in what they differ; that is told as if it had
// just happened, in the order in which publish tells it: events first, then the view. A connection
// must end if its session has gone or moved, or if one of its commands is in the new state: what came of
// it nobody knows.
func (f *Feed) Install(m *state.Machine, term uint64, confState []byte) {
	a, old, v := &f.apply, f.View(), m.View()
	if v.Zxid <= old.Zxid {
		panic(fmt.Sprintf("feed: state at %d installed after %d", v.Zxid, old.Zxid))
	}
	a.begin()
	news := difference(old, v) // before the lock: it looks at every node of both
	a.sessions = turns(old.Sessions, v.Sessions)
	owners := f.ledger.take(f.ledger.covered(v.Origins, f.Origin()), f.cfg.Log)

	f.mu.Lock()
	for i := range news {
		if f.watches.Empty() || bug.On(bug.InstallSilent) {
			break
		}
		f.watches.Tell(news[i].event, news[i].acl, f.fired)
	}
	f.recent = newRecent(nil, v.Zxid, f.cfg.RecentMax)
	f.view.Store(v)
	f.settle(nil)
	due := f.dueBarriers(v.Zxid)
	f.mu.Unlock()

	for _, o := range owners {
		if o.in != nil {
			o.in.end()
		}
	}
	a.finish(due, v)
	a.machine = m
	a.pinner.install(v.Zxid, term, confState)
	f.standing.forget()
	f.standing.mark(m)
	f.standing.set(v, term, confState)
	a.wake()
	f.tellSessions()
	f.keepAhead(v)
}

// piece is one event of a difference, and who may hear it.
type piece struct {
	event watch.Event
	acl   znode.ACL
}

// difference returns what to tell of what came between two states, in the order of zxids and, where they
// are equal, of paths. An event has the zxid of the last change that it stands for, as the node has kept
// it; but for a deletion, of which there is no trace: that has the first it can have had. So who is told up
// to some zxid, and comes back elsewhere, has missed nothing before it. All are after the old state, and
// none after the new: replies of the old view go before them, and those of the new one after them.
func difference(old, v *state.View) []piece {
	d := collector{from: old.Zxid + 1, to: v.Zxid}
	v.Nodes.Diff(old.Nodes, func(before, after *znode.Node) bool {
		same := before != nil && after != nil && before.Czxid() == after.Czxid()
		if before != nil && !same {
			d.add(watch.Deleted, before, d.from)
		}
		if after != nil && !same {
			d.add(watch.Created, after, after.Czxid())
		}
		if same && before.Mzxid() != after.Mzxid() {
			d.add(watch.DataChanged, after, after.Mzxid())
		}
		// A node's pzxid begins as its czxid, without any child.
		if same && before.Pzxid() != after.Pzxid() || after != nil && !same && after.Pzxid() != after.Czxid() {
			d.add(watch.ChildrenChanged, after, after.Pzxid())
		}
		return true
	})
	slices.SortStableFunc(d.news, func(a, b piece) int { return cmp.Compare(a.event.Zxid, b.event.Zxid) })
	return d.news
}

type collector struct {
	from, to znode.Zxid // the first and last that an event may have
	news     []piece
}

func (d *collector) add(t watch.EventType, n *znode.Node, zxid znode.Zxid) {
	zxid = min(max(zxid, d.from), d.to)
	d.news = append(d.news, piece{watch.Event{Type: t, Path: n.Path(), Zxid: zxid}, n.ACL()})
}

// turns returns what became of sessions between two states. Whether one that has gone was closed or
// has expired is not known.
func turns(old, now *session.Table) (out []state.SessionChange) {
	now.Diff(old, func(id session.ID) bool {
		before, was := old.Get(id)
		after, is := now.Get(id)
		switch {
		case !is:
			out = append(out, state.SessionChange{Kind: state.Closed, Session: before})
		case !was:
			out = append(out, state.SessionChange{Kind: state.Opened, Session: after})
		default:
			out = append(out, state.SessionChange{Kind: state.Attached, Session: after})
		}
		return true
	})
	return out
}

// covered returns how many of the oldest commands of this start may be part of a state with these origins:
// all of them, if another start has come after this one, for what was before that has left no trace.
func (l *ledger) covered(origins []state.Origin, own state.Origin) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := uint64(len(l.queue) - l.head)
	if bug.On(bug.InstallForgets) {
		return 0
	}
	for _, o := range origins {
		if o.Server != own.Server || own.Boot == 0 {
			continue
		}
		if o.Boot > own.Boot {
			return int(waiting)
		}
		if applied := l.seq - waiting; o.Boot == own.Boot && o.Seq > applied {
			return int(min(o.Seq-applied, waiting))
		}
	}
	return 0
}

// install begins anew with a state that is in the checkpoint already.
func (p *pinner) install(zxid znode.Zxid, term uint64, conf []byte) {
	select {
	case <-p.out: // an older one, which nobody must write any more
	default:
	}
	p.term, p.conf = term, conf
	p.reset(zxid)
}
