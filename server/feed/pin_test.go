package feed_test

import (
	"fmt"
	"testing"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// shown prints what a checkpoint is given: its zxid, and the zxids of the changes that go with it.
func shown(p *feed.Pinned) string {
	if p == nil {
		return "nothing"
	}
	var zxids []znode.Zxid
	for _, c := range p.Recent {
		zxids = append(zxids, c.Zxid)
	}
	return fmt.Sprintf("@%d with %v after %d", p.View.Zxid, zxids, p.RecentFrom)
}

func (d *desk) checkpoint() string {
	select {
	case p := <-d.Checkpoints():
		return shown(p)
	default:
		return "nothing"
	}
}

func TestCheckpointsAreHandedOverWhenDue(t *testing.T) {
	d := newDesk(t, func(c *feed.Config) { c.Checkpoint.Entries, c.RecentMax = 3, 4 })
	a := d.open() // 2
	sets := func(n int) {
		for range n {
			a.set("/")
			d.apply()
		}
	}
	is := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	sets(1) // 3
	is("after two entries", d.checkpoint(), "nothing")
	sets(1)
	is("after three", d.checkpoint(), "@4 with [3 4] after 1")
	sets(4) // 8: due at 7, and nobody comes; at 8 there is one waiting
	is("the one that waits", d.checkpoint(), "@7 with [5 6 7] after 4")
	sets(1) // 9
	is("two since then", d.checkpoint(), "nothing")
	sets(4) // 13: due at 10, due again at 13
	is("at the end, the one that waits and what came after it", shown(d.Final()), "@13 with [8 9 10 11 12 13] after 7")

	d = newDesk(t, func(c *feed.Config) { c.Checkpoint.Entries, c.RecentMax = 2, 4 })
	is("at the end, nothing", shown(d.Final()), "nothing")
	a = d.open()
	sets(1)
	is("at the end, only the one that waits", shown(d.Final()), "@3 with [3] after 1")
	sets(1)
	is("at the end, one entry", shown(d.Final()), "@4 with [4] after 3")

	d = newDesk(t, func(c *feed.Config) { c.Checkpoint.Bytes, c.RecentMax = 1, 4 })
	a = d.open()
	is("by bytes", d.checkpoint(), "@2 with [] after 1")
	sets(20) // one waits at 3; of the rest the oldest are forgotten
	p := d.Final()
	if n := len(p.Recent); p.View.Zxid != 22 || n < 4 || n > 6 || p.Recent[n-1].Zxid != 22 || p.RecentFrom != p.Recent[0].Zxid-1 {
		t.Errorf("at the end, more than is kept: %s", shown(p))
	}
}

// An entry that changes the membership may carry a command; what it changes goes with every state from
// then on.
func TestTheMembershipGoesWithTheState(t *testing.T) {
	d := newDesk(t, func(c *feed.Config) { c.Term, c.ConfState = 3, []byte("founders") })
	latest := func(zxid znode.Zxid, term uint64, conf string) {
		t.Helper()
		if v, in, c := d.Latest(); v != d.View() || v.Zxid != zxid || in != term || string(c) != conf {
			t.Errorf("latest: @%d in term %d with %q", v.Zxid, in, c)
		}
	}
	latest(1, 3, "founders")
	table := state.Command{Kind: state.Configure, Op: state.Op{Data: []byte("server.1=a")}}
	d.Apply([]replica.Entry{
		{Index: 2, Term: 4}, {Index: 3, Term: 4, ConfState: []byte("more"), Data: state.AppendCommand(nil, &table)},
		{Index: 4, Term: 5},
	})
	latest(4, 5, "more")
	if p := d.Final(); string(p.ConfState) != "more" || p.Term != 5 {
		t.Errorf("pinned in term %d with %q", p.Term, p.ConfState)
	}
	if got := string(d.View().Nodes.Get("/zookeeper/config").Data()); got != "server.1=a\nversion=3" {
		t.Errorf("table %q", got)
	}
}

// Two feeds that apply the same have the same digests where both have noted one.
func TestDigestsAreNotedNowAndThen(t *testing.T) {
	a, b := newDesk(t, nil), newDesk(t, nil)
	entries := make([]replica.Entry, 70*1024)
	for i := range entries {
		entries[i] = replica.Entry{Index: uint64(2 + i), Term: 1}
	}
	a.Apply(entries)
	for len(entries) > 0 {
		n := min(len(entries), 777)
		b.Apply(entries[:n])
		entries = entries[n:]
	}
	for _, zxid := range []znode.Zxid{70 * 1024, 69 * 1024, 7 * 1024} {
		one, ok := a.DigestAt(zxid)
		if two, too := b.DigestAt(zxid); !ok || !too || one != two || one == 0 {
			t.Errorf("at %d: %x, %v and %x, %v", zxid, one, ok, two, too)
		}
	}
	for _, zxid := range []znode.Zxid{-5, 0, 1, 6 * 1024, 70*1024 - 1, 71 * 1024} {
		if _, ok := a.DigestAt(zxid); ok {
			t.Errorf("a digest at %d", zxid)
		}
	}
	if m := a.NewestDigest(); m.Zxid != 70*1024 {
		t.Errorf("the newest is at %d", m.Zxid)
	}
}
