package watch

// ByPath yields every watch, path by path and for each path ascending by connection, until yield
// returns false. The paths come in an order that means nothing. Yield must not change the table.
//
// It visits the whole table in one go. Whoever holds a lock meanwhile would do better with Of, one
// connection at a time.
func (t *Table) ByPath(yield func(path string, id ID, kind Kind) bool) {
	for n := range t.paths.chunks {
		for i := range t.paths.chunks[n] {
			r := ref(n*chunk + i)
			path := t.paths.at(r).path
			if path == "" {
				continue
			}
			for _, w := range t.paths.watchers(r) {
				if !yield(path, w.id, w.kind()) {
					return
				}
			}
		}
	}
}

// ByWatcher yields every watch, ascending by connection, the paths of each in an order that means
// nothing, until yield returns false. Yield must not change the table.
func (t *Table) ByWatcher(yield func(id ID, path string, kind Kind) bool) {
	for _, id := range t.IDs() {
		more := true
		t.Of(id, func(path string, kind Kind) bool {
			more = yield(id, path, kind)
			return more
		})
		if !more {
			return
		}
	}
}

// IDs returns the connections that watch anything, ascending.
func (t *Table) IDs() []ID { return t.conns.ids() }

// Of yields what one connection watches, in an order that means nothing, until yield returns
// false. Yield must not change the table.
func (t *Table) Of(id ID, yield func(path string, kind Kind) bool) {
	for _, r := range t.conns.refs(id) {
		if !yield(t.paths.at(r).path, t.kindOf(r, id)) {
			return
		}
	}
}
