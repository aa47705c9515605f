package feed_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// ground is where the changes of these tests happen.
var ground = []string{"/a", "/a/b", "/a/b/c", "/a/d", "/ab", "/e", "/e/f"}

// stir makes n changes at random, each a batch of its own.
func stir(s *seat, chance *rand.Rand, n int) {
	for range n {
		path := ground[chance.IntN(len(ground))]
		switch chance.IntN(3) {
		case 0:
			s.create(path)
		case 1:
			s.set(path)
		case 2:
			s.delete(path)
		}
		s.d.apply()
		s.TakeDone(nil)
	}
}

// scope is a set of lasting watches.
type scope struct{ persistent, recursive []string }

var scopes = []scope{
	{persistent: []string{"/a"}},
	{recursive: []string{"/a"}},
	{recursive: []string{"/"}},
	{persistent: []string{"/a/b", "/e", "/none"}, recursive: []string{"/a/b/c"}},
	{persistent: []string{"/a", "/a/b"}, recursive: []string{"/a", "/e"}},
}

func (c scope) arm(s *seat) {
	for _, p := range c.persistent {
		s.arm(p, watch.Persistent)
	}
	for _, p := range c.recursive {
		s.arm(p, watch.Recursive)
	}
}

// missed returns what the feed tells one who comes back.
func (c scope) missed(s *seat, since znode.Zxid) (events []watch.Event) {
	var m feed.Missed
	s.d.Watching(func(v *state.View, _ *watch.Table) {
		m = s.d.Missed(s.Inbox, v, feed.Rearm{Since: since, Persistent: c.persistent, Recursive: c.recursive, Top: c.recursive})
	})
	m.Tell(func(ev watch.Event) bool { events = append(events, ev); return true })
	return events
}

// As far back as the ring reaches, one who was away is told exactly what one who stayed was told.
func TestMissedIsWhatOneWhoStayedWasTold(t *testing.T) {
	for seed := range uint64(40) {
		chance := rand.New(rand.NewPCG(seed, 0))
		for _, c := range scopes {
			d := newDesk(t, nil)
			writer, stayed := d.open(), d.join()
			stir(writer, chance, chance.IntN(30))
			c.arm(stayed)
			since := d.View().Zxid
			stir(writer, chance, chance.IntN(30))
			told := stayed.TakeEvents(d.View().Zxid, nil)
			if diff := cmp.Diff(told, c.missed(d.join(), since)); diff != "" {
				t.Fatalf("seed %d, %v (-stayed +was away):\n%s", seed, c, diff)
			}
		}
	}
}

// Beyond the ring the state must do: one who looks again at whatever is announced knows every node that
// is there, as it is, and the absence of those watched by name.
func TestMissedBeyondTheRing(t *testing.T) {
	for seed := range uint64(200) {
		chance := rand.New(rand.NewPCG(seed, 0))
		for _, c := range scopes {
			d := newDesk(t, func(c *feed.Config) { c.RecentMax = 1 + chance.IntN(8) })
			writer := d.open()
			stir(writer, chance, 20)
			before := d.View()
			stir(writer, chance, chance.IntN(40))
			after := d.View()
			announced := map[string]bool{}
			lists := map[string]bool{}
			last := znode.Zxid(0)
			gone := map[string]bool{}
			for _, ev := range c.missed(d.join(), before.Zxid) {
				if ev.Type == watch.ChildrenChanged {
					lists[ev.Path] = true
				} else {
					if gone[ev.Path] && ev.Type != watch.Created {
						t.Fatalf("seed %d, %v: %s, which is gone", seed, c, told(ev))
					}
					announced[ev.Path], gone[ev.Path] = true, ev.Type == watch.Deleted
				}
				if ev.Zxid != feed.NoZxid && ev.Zxid < last {
					t.Fatalf("seed %d, %v: %v after %d", seed, c, told(ev), last)
				}
				last = max(last, ev.Zxid)
			}
			for _, p := range ground {
				was, is := before.Nodes.Get(p), after.Nodes.Get(p)
				named := slices.Contains(c.persistent, p)
				below := slices.ContainsFunc(c.recursive, func(top string) bool {
					return top == "/" || p == top || strings.HasPrefix(p, top+"/")
				})
				switch {
				case !named && !below:
					if announced[p] || lists[p] {
						t.Fatalf("seed %d, %v: %s is announced and not watched", seed, c, p)
					}
				case is == nil:
					if named && was != nil && !announced[p] {
						t.Fatalf("seed %d, %v: the end of %s is not announced", seed, c, p)
					}
				case was == nil || was.Stat().Mzxid != is.Stat().Mzxid:
					if !announced[p] {
						t.Fatalf("seed %d, %v: %s has changed and is not announced", seed, c, p)
					}
				case named && was.Stat().Pzxid != is.Stat().Pzxid:
					if !lists[p] {
						t.Fatalf("seed %d, %v: the children of %s have changed", seed, c, p)
					}
				}
			}
		}
	}
}

func TestMissedTellsNothing(t *testing.T) {
	d := newDesk(t, func(c *feed.Config) { c.RecentMax = 2 })
	writer, other := d.open(), d.join()
	stir(writer, rand.New(rand.NewPCG(1, 1)), 20)
	c := scope{persistent: []string{"/a"}, recursive: []string{"/"}}
	for what, since := range map[string]znode.Zxid{
		"who was never told anything": 0, "a negative zxid": -1, "who has seen it all": d.View().Zxid, "who is ahead": d.View().Zxid + 5,
	} {
		if events := c.missed(other, since); len(events) != 0 {
			t.Errorf("%s is told %v", what, events)
		}
	}
	if events := c.missed(other, 2); len(events) == 0 {
		t.Error("who has missed everything is told nothing")
	}
	if events := (scope{}).missed(other, 2); len(events) != 0 {
		t.Errorf("without watches: %v", events)
	}
}

// Neither the ring nor the state tells what may not be read.
func TestMissedIsToldToWhoMayRead(t *testing.T) {
	for _, ring := range []int{1, 1000} {
		d := newDesk(t, func(c *feed.Config) { c.RecentMax = ring })
		a := d.open()
		since := d.View().Zxid
		mine := []znode.ACE{{Perms: znode.PermAll, Scheme: "digest", ID: "me:x"}}
		a.propose(state.Command{Kind: state.Create, Op: state.Op{Kind: state.Create, Path: "/secret", ACL: mine}})
		a.create("/open")
		a.create("/last")
		d.apply()
		c := scope{recursive: []string{"/"}, persistent: []string{"/secret"}}
		var paths []string
		for _, ev := range c.missed(a, since) {
			paths = append(paths, ev.Path)
		}
		slices.Sort(paths)
		want(t, fmt.Sprintf("with a ring of %d", ring), paths, "/last", "/open")
	}
}

// A client with very many watches is served in batches; however its watches lie above one another and in
// whatever batch, it is told of a change once.
func TestMissedInBatches(t *testing.T) {
	for _, ring := range []int{1, 1000} {
		d := newDesk(t, func(c *feed.Config) { c.RecentMax = ring })
		a := d.open()
		since := d.View().Zxid
		a.create("/a")
		a.create("/a/b")
		a.create("/e")
		a.set("/a")
		d.apply()
		top := []string{"/a", "/e"}
		told := map[string]int{}
		for _, q := range []feed.Rearm{
			{Since: since, Persistent: []string{"/a/b"}, Recursive: []string{"/e"}, Top: top},
			{Since: since, Persistent: []string{"/a"}, Recursive: []string{"/a"}, Top: top},
		} {
			var m feed.Missed
			d.Watching(func(v *state.View, _ *watch.Table) { m = d.Missed(a.Inbox, v, q) })
			m.Tell(func(ev watch.Event) bool { told[fmt.Sprint(ev.Type, ev.Path)]++; return true })
		}
		if told["Created/a"] != 1 || told["Created/a/b"] != 1 || told["Created/e"] != 1 || told["ChildrenChanged/a"] != 1 {
			t.Errorf("with a ring of %d: %v", ring, told)
		}
		// A client that goes away in between is told no more.
		var m feed.Missed
		d.Watching(func(v *state.View, _ *watch.Table) {
			m = d.Missed(a.Inbox, v, feed.Rearm{Since: since, Recursive: []string{"/"}, Top: []string{"/"}})
		})
		n := 0
		m.Tell(func(watch.Event) bool { n++; return false })
		if n != 1 {
			t.Errorf("with a ring of %d: told %d events, having hung up at the first", ring, n)
		}
	}
}

func TestTopmost(t *testing.T) {
	for in, out := range map[string]string{
		"":                        "",
		"/":                       "/",
		"/b /a":                   "/a /b",
		"/a /a":                   "/a",
		"/a/b /a /a-b /a/b/c /ab": "/a /a-b /ab",
		"/a/b /a/c /a/b/d":        "/a/b /a/c",
		"/x / /y/z":               "/",
		"/a! /a /a/0":             "/a /a!",
	} {
		if got := strings.Join(feed.Topmost(strings.Fields(in)), " "); got != out {
			t.Errorf("of %q: %q, want %q", in, got, out)
		}
	}
	chance := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var paths []string
		for range chance.IntN(8) {
			p := ""
			for range 1 + chance.IntN(3) {
				p += "/" + []string{"a", "b", "-", "ab", "0"}[chance.IntN(5)]
			}
			paths = append(paths, p)
		}
		var plain []string
		for _, p := range paths {
			hidden := slices.ContainsFunc(paths, func(q string) bool { return strings.HasPrefix(p, q+"/") })
			if !hidden && !slices.Contains(plain, p) {
				plain = append(plain, p)
			}
		}
		got := feed.Topmost(slices.Clone(paths))
		slices.Sort(plain)
		if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, plain) {
			t.Fatalf("of %v: %v, want %v", paths, got, plain)
		}
	}
}
