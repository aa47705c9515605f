package watch

// Disarm removes the kinds in mask from what the connection has on the path, and tells whether
// there was any of them. Nobody is told.
func (t *Table) Disarm(id ID, path string, mask Kind) bool {
	r, ok := t.paths.find(path)
	if !ok {
		return false
	}
	i, ok := t.paths.search(r, id)
	if !ok {
		return false
	}
	w := &t.paths.watchers(r)[i]
	prior := w.kind()
	if prior&mask == 0 {
		return false
	}
	t.tally.move(path, prior, prior&^mask)
	if prior&^mask != 0 {
		w.set(prior &^ mask)
		return true
	}
	t.forget(*w)
	t.paths.leave(r, i)
	return true
}

// Drop removes every watch of the connection, as it ends.
func (t *Table) Drop(id ID) {
	for _, r := range t.conns.refs(id) {
		i := t.indexOf(r, id)
		t.tally.move(t.paths.at(r).path, t.paths.watchers(r)[i].kind(), 0)
		t.paths.leave(r, i)
	}
	t.conns.drop(id)
}

// forget takes the watcher's path off the list of its connection. The path that was last there
// moves into the gap, and its watcher is told where it is now.
func (t *Table) forget(w watcher) {
	if moved, ok := t.conns.cut(w.id, w.place()); ok {
		t.paths.watchers(moved)[t.indexOf(moved, w.id)].move(w.place())
	}
}

// indexOf returns which watcher of the entry is the connection, whose list has the entry.
func (t *Table) indexOf(r ref, id ID) int {
	i, ok := t.paths.search(r, id)
	if !ok {
		panic("watch: a connection lists a path that does not list the connection")
	}
	return i
}
