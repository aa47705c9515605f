package watch

// Arm adds watches of the kinds to what the connection has on the path; the table keeps the path.
// It returns false, and has done nothing, if the path would be one more than HeldMax.
func (t *Table) Arm(id ID, path string, kind Kind) bool {
	kind &= All
	if kind == 0 {
		return true
	}
	r, known := t.paths.find(path)
	i, armed := 0, false
	if known {
		i, armed = t.paths.search(r, id)
	}
	if armed {
		w := &t.paths.watchers(r)[i]
		t.tally.move(path, w.kind(), w.kind()|kind)
		w.set(w.kind() | kind)
		return true
	}
	held := t.Held(id)
	if held == HeldMax {
		return false
	}
	w := newWatcher(id, held, kind)
	if known {
		t.paths.enter(r, i, w)
	} else {
		r = t.paths.add(path, w)
	}
	t.conns.push(id, r)
	t.tally.move(path, 0, kind)
	return true
}

// Armed tells whether the connection has any of the kinds in mask on the path.
func (t *Table) Armed(id ID, path string, mask Kind) bool {
	r, ok := t.paths.find(path)
	return ok && t.kindOf(r, id)&mask != 0
}
