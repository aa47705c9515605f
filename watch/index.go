package watch

import "hash/maphash"

// index finds entries by path. A Go map of strings would cost more than all the rest of a watch:
// here a path costs six bytes at a load of 64 to 80 percent.
//
// Paths are spread over shards, so that no growth takes long: each shard is a table with linear
// probing, of refs and 16 bits of the hash beside each. Those bits tell entries apart without
// looking at them and say where an entry belongs, so a shard is rebuilt, and a gap closed, without
// hashing a path again.
//
// The seed is chance, of the kind that a Go map has too: it keeps clients from choosing paths that
// collide. Nothing that leaves the package depends on it, since entries are never listed in the
// order of the index.
type index struct {
	seed   maphash.Seed
	shards [shards]shard
}

const shards = 256

// shard is one table. The slot of tag h in a table of n is h*n/2^16, or the next one free.
type shard struct {
	refs []ref // zero in an empty slot
	tags []uint16
	live int
}

func newIndex() index { return index{seed: maphash.MakeSeed()} }

// locate returns the shard of the path, and its tag there.
func (x *index) locate(path string) (*shard, uint16) {
	h := maphash.String(x.seed, path)
	return &x.shards[h%shards], uint16(h >> 48)
}

// find returns the entry of the path among those of p.
func (x *index) find(p *paths, path string) (ref, bool) {
	s, tag := x.locate(path)
	if s.live == 0 {
		return 0, false
	}
	for i := s.home(tag); s.refs[i] != 0; i = s.after(i) {
		if s.tags[i] == tag && p.at(s.refs[i]).path == path {
			return s.refs[i], true
		}
	}
	return 0, false
}

// add files the entry of a path that has none.
func (x *index) add(path string, r ref) {
	s, tag := x.locate(path)
	s.add(r, tag)
}

// remove takes out the entry of the path, which must be there.
func (x *index) remove(path string, r ref) {
	s, tag := x.locate(path)
	s.remove(r, tag)
}

func (s *shard) add(r ref, tag uint16) {
	if s.live >= len(s.refs)*4/5 {
		s.resize(len(s.refs)*5/4 + 4)
	}
	s.place(r, tag)
	s.live++
}

func (s *shard) remove(r ref, tag uint16) {
	i := s.home(tag)
	for s.refs[i] != r {
		i = s.after(i)
	}
	s.close(i)
	s.live--
	if s.live < len(s.refs)/4 {
		s.resize(len(s.refs) / 2)
	}
}

// home is where the tag belongs.
func (s *shard) home(tag uint16) int { return int(uint64(tag) * uint64(len(s.refs)) >> 16) }

// after is the slot after i.
func (s *shard) after(i int) int {
	if i++; i == len(s.refs) {
		return 0
	}
	return i
}

// place files the entry in the first free slot from home on.
func (s *shard) place(r ref, tag uint16) {
	i := s.home(tag)
	for s.refs[i] != 0 {
		i = s.after(i)
	}
	s.refs[i], s.tags[i] = r, tag
}

// close empties slot i and moves up what a search from its home could no longer reach across the
// gap (Knuth, volume 3, 6.4, algorithm R).
func (s *shard) close(i int) {
	for j := s.after(i); s.refs[j] != 0; j = s.after(j) {
		if s.between(i, s.home(s.tags[j]), j) {
			continue
		}
		s.refs[i], s.tags[i] = s.refs[j], s.tags[j]
		i = j
	}
	s.refs[i] = 0
}

// between tells whether home lies after gap and up to slot, going round.
func (s *shard) between(gap, home, slot int) bool {
	if gap < slot {
		return gap < home && home <= slot
	}
	return gap < home || home <= slot
}

// resize moves everything to a table of n slots, more than are live.
func (s *shard) resize(n int) {
	old := *s
	s.refs, s.tags = make([]ref, n), make([]uint16, n)
	for i, r := range old.refs {
		if r != 0 {
			s.place(r, old.tags[i])
		}
	}
}
