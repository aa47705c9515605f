package watch

import "testing"

// check walks the table and everything in it by every way there is, and fails the test if two of
// them disagree.
func check(t *testing.T, w *Table) {
	t.Helper()
	var seen tally
	paths, free := 0, 0
	for r := ref(1); int(r) < len(w.paths.chunks)*chunk; r++ {
		e := w.paths.at(r)
		if e.path == "" {
			continue
		}
		paths++
		if found, ok := w.paths.find(e.path); !ok || found != r {
			t.Fatalf("entry %d of %s: the index finds %d, %v", r, e.path, found, ok)
		}
		checkWatchers(t, w, r, &seen)
	}
	for r := w.paths.free; r != 0; r = ref(w.paths.at(r).one[0].id) {
		if w.paths.at(r).path != "" {
			t.Fatalf("entry %d of %s is in use and free", r, w.paths.at(r).path)
		}
		free++
	}
	if n := max(len(w.paths.chunks)*chunk-1, 0); paths+free != n || paths != w.paths.live {
		t.Fatalf("%d paths, counted %d, and %d free, of %d entries", paths, w.paths.live, free, n)
	}
	if seen != w.tally {
		t.Fatalf("tally %+v, counted %+v", w.tally, seen)
	}
	checkConns(t, w)
	checkSets(t, w)
	if len(w.ids) != 0 {
		t.Fatalf("receivers left over: %v", w.ids)
	}
}

// checkWatchers checks those of one entry, and adds them to the tally.
func checkWatchers(t *testing.T, w *Table, r ref, seen *tally) {
	t.Helper()
	path, watchers := w.paths.at(r).path, w.paths.watchers(r)
	if len(watchers) == 0 || len(watchers) == 1 && !w.paths.at(r).single() {
		t.Fatalf("%s: %d watchers in a set", path, len(watchers))
	}
	for i, x := range watchers {
		if i > 0 && watchers[i-1].id >= x.id {
			t.Fatalf("%s: watchers out of order: %v", path, watchers)
		}
		if x.kind() == 0 || x.kind()&^All != 0 {
			t.Fatalf("%s: watcher %d is of kind %#x", path, x.id, uint8(x.kind()))
		}
		if refs := w.conns.refs(x.id); x.place() >= len(refs) || refs[x.place()] != r {
			t.Fatalf("%s: not at place %d of connection %d: %v", path, x.place(), x.id, refs)
		}
		seen.move(path, 0, x.kind())
	}
}

// checkConns checks the lists of connections against the number of pairs, each of which
// checkWatchers found in the list it says it is in.
func checkConns(t *testing.T, w *Table) {
	t.Helper()
	pairs, live := 0, 0
	for base, p := range w.conns.pages {
		here := 0
		for i := range p.conns {
			n := &p.conns[i]
			if n.more != nil && len(*n.more) < 2 {
				t.Fatalf("connection %d has a list of %d", int(base)*pageSize+i, len(*n.more))
			}
			if len(n.refs()) > 0 {
				here++
				pairs += len(n.refs())
			}
		}
		if here == 0 || here != p.live {
			t.Fatalf("page %d has %d connections, counted %d", base, here, p.live)
		}
		live += here
	}
	if pairs != w.tally.pairs || live != w.conns.live {
		t.Fatalf("%d pairs of %d connections, counted %d of %d", pairs, live, w.tally.pairs, w.conns.live)
	}
}

// checkSets checks that every set is used by one entry or spare.
func checkSets(t *testing.T, w *Table) {
	t.Helper()
	used := make([]int, len(w.paths.sets))
	for _, n := range w.paths.spare {
		used[n]++
		if w.paths.sets[n] != nil {
			t.Fatalf("spare set %d is not empty", n)
		}
	}
	for r := ref(1); int(r) < len(w.paths.chunks)*chunk; r++ {
		if e := w.paths.at(r); e.path != "" && !e.single() {
			used[e.one[0].id]++
		}
	}
	for n, times := range used {
		if times != 1 {
			t.Fatalf("set %d is used %d times", n, times)
		}
	}
}
