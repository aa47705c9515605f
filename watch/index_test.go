package watch

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestShard fills and empties one shard at random, with tags so few that every search runs into
// others, and looks everything up after each step.
func TestShard(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 0))
		x := index{}
		s := &x.shards[0]
		tagOf := map[ref]uint16{}
		tag := func() uint16 { return uint16(rng.IntN(1+int(seed)) * 0xffff / (1 + int(seed))) }
		for range 600 {
			if len(tagOf) == 0 || rng.IntN(100) < 55 {
				r, tag := ref(rng.Uint32()|1), tag()
				s.add(r, tag)
				tagOf[r] = tag
			} else {
				r := anyOf(tagOf)
				s.remove(r, tagOf[r])
				delete(tagOf, r)
			}
			checkShard(t, s, tagOf)
		}
	}
}

func anyOf(m map[ref]uint16) ref {
	for r := range m {
		return r
	}
	return 0
}

func checkShard(t *testing.T, s *shard, tagOf map[ref]uint16) {
	t.Helper()
	if s.live != len(tagOf) {
		t.Fatalf("%d live, want %d", s.live, len(tagOf))
	}
	if len(s.refs) > 0 && s.live == len(s.refs) {
		t.Fatal("no empty slot: a search for what is not there would not end")
	}
	if len(s.refs) > 4*s.live+4 {
		t.Fatalf("%d slots for %d live", len(s.refs), s.live)
	}
	for r, tag := range tagOf {
		i := s.home(tag)
		for s.refs[i] != r {
			if s.refs[i] == 0 {
				t.Fatalf("entry %d of tag %#x is out of reach", r, tag)
			}
			i = s.after(i)
		}
		if s.tags[i] != tag {
			t.Fatalf("entry %d has tag %#x, want %#x", r, s.tags[i], tag)
		}
	}
}

// TestManyPaths arms and disarms enough paths that every shard grows and shrinks several times.
func TestManyPaths(t *testing.T) {
	table := New()
	const n = 20_000
	path := func(i int) string { return fmt.Sprintf("/many/%d", i) }
	for i := range n {
		table.Arm(ID(i%100), path(i), Data)
		table.Arm(ID(i%7), path(i/2), Child)
	}
	check(t, table)
	for i := range n {
		if !table.Armed(ID(i%100), path(i), Data) {
			t.Fatalf("%s is not armed", path(i))
		}
	}
	if table.Paths() != n {
		t.Fatalf("%d paths, want %d", table.Paths(), n)
	}
	for i := range n {
		if i%1000 != 0 && !table.Disarm(ID(i%100), path(i), All) {
			t.Fatalf("%s was not armed", path(i))
		}
	}
	check(t, table)
	for id := range ID(100) {
		table.Drop(id)
	}
	check(t, table)
	if !table.Empty() || table.Paths() != 0 || table.Watchers() != 0 {
		t.Fatalf("%d watches left", table.Watches())
	}
}
