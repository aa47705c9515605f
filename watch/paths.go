package watch

import (
	"cmp"
	"slices"
)

// ref names the entry of a path for as long as anybody watches it; zero names none.
type ref uint32

// watcher is one connection on one path.
//
//	 31                           8 7    0
//	+------------------------------+------+
//	| place in the connection's    | kind |  bits
//	| list of paths                |      |
//	+------------------------------+------+
type watcher struct {
	id   ID
	bits uint32
}

func newWatcher(id ID, place int, k Kind) watcher { return watcher{id, uint32(place)<<8 | uint32(k)} }

func (w watcher) kind() Kind      { return Kind(w.bits) }
func (w watcher) place() int      { return int(w.bits >> 8) }
func (w *watcher) set(k Kind)     { w.bits = w.bits&^0xff | uint32(k) }
func (w *watcher) move(place int) { w.bits = w.bits&0xff | uint32(place)<<8 }

// entry is one watched path. Most have one watcher, and it is in the entry itself; of several the
// entry holds only the number of their set, in a watcher that has no kinds.
type entry struct {
	path string     // "" while the entry is free
	one  [1]watcher // or, without kinds: id indexes paths.sets, or names the next free entry
}

func (e *entry) single() bool { return e.one[0].kind() != 0 }

// paths holds the watched paths and who watches each. Entries live in chunks, which never move and
// are not given back, only used again.
type paths struct {
	index  index
	chunks []*[chunk]entry
	free   ref // the first free entry
	live   int // entries in use

	sets  [][]watcher // of entries with several watchers, each ascending by id
	spare []ID        // the sets not in use
}

// chunk is how many entries are allocated at a time: 6 KiB.
const chunk = 256

func newPaths() paths { return paths{index: newIndex()} }

func (p *paths) at(r ref) *entry { return &p.chunks[r/chunk][r%chunk] }

// find returns the entry of the path.
func (p *paths) find(path string) (ref, bool) { return p.index.find(p, path) }

// watchers returns those of the entry, ascending by id, to be read or changed in place. The slice
// is good until a watcher enters or leaves.
func (p *paths) watchers(r ref) []watcher {
	e := p.at(r)
	if e.single() {
		return e.one[:]
	}
	return p.sets[e.one[0].id]
}

// search returns where among the watchers of the entry the connection is, or belongs.
func (p *paths) search(r ref, id ID) (int, bool) {
	return slices.BinarySearchFunc(p.watchers(r), id, func(w watcher, id ID) int {
		return cmp.Compare(w.id, id)
	})
}

// add makes an entry for the path, which must not have one, and its first watcher.
func (p *paths) add(path string, w watcher) ref {
	if p.free == 0 {
		p.grow()
	}
	r := p.free
	e := p.at(r)
	p.free = ref(e.one[0].id)
	*e = entry{path, [1]watcher{w}}
	p.live++
	p.index.add(path, r)
	return r
}

// enter adds a watcher to those of the entry, at the index where search says it belongs.
func (p *paths) enter(r ref, i int, w watcher) {
	e := p.at(r)
	if e.single() {
		e.one[0] = watcher{id: p.newSet(e.one[0])}
	}
	set := &p.sets[e.one[0].id]
	*set = slices.Insert(*set, i, w)
}

// leave takes away the i-th watcher of the entry, and the entry with its last one.
func (p *paths) leave(r ref, i int) {
	w := p.watchers(r)
	p.keep(r, i+copy(w[i:], w[i+1:]))
}

// keep cuts the watchers of the entry down to the first n of them.
func (p *paths) keep(r ref, n int) {
	e := p.at(r)
	switch {
	case n == len(p.watchers(r)):
	case n == 0:
		p.remove(r)
	case n == 1:
		last := p.watchers(r)[0]
		p.freeSet(e.one[0].id)
		e.one[0] = last
	default:
		p.sets[e.one[0].id] = p.sets[e.one[0].id][:n]
	}
}

// remove frees the entry and what it holds.
func (p *paths) remove(r ref) {
	e := p.at(r)
	p.index.remove(e.path, r)
	if !e.single() {
		p.freeSet(e.one[0].id)
	}
	*e = entry{one: [1]watcher{{id: ID(p.free)}}}
	p.free = r
	p.live--
}

// grow adds a chunk of free entries, the lowest to be used first. The very first entry of all
// stays out of use, since its ref is that of no entry.
func (p *paths) grow() {
	base := ref(len(p.chunks)) * chunk
	c := new([chunk]entry)
	for i := range chunk - 1 {
		c[i].one[0].id = ID(base) + ID(i) + 1
	}
	p.chunks = append(p.chunks, c)
	p.free = max(base, 1)
}

// newSet returns the number of a set with w in it.
func (p *paths) newSet(w watcher) ID {
	if len(p.spare) == 0 {
		p.sets = append(p.sets, nil)
		p.spare = append(p.spare, ID(len(p.sets)-1))
	}
	n := p.spare[len(p.spare)-1]
	p.spare = p.spare[:len(p.spare)-1]
	p.sets[n] = append(p.sets[n], w)
	return n
}

// freeSet lets go of a set and its memory.
func (p *paths) freeSet(n ID) {
	p.sets[n] = nil
	p.spare = append(p.spare, n)
}
