package checkpoint

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// walker reads every page of an image that is in use and proves, on the way, that the file is one
// that bbolt may open: that no page points outside the file, back up the tree, or at a page that
// is used twice or free; that keys ascend; and that every page is either in use or free. bbolt
// takes all of that on trust: a wrong bit makes it panic, fault, run in circles or hand out the
// memory of its neighbours, not all of which a caller can recover from.
type walker struct {
	im   *image
	meta metaPage

	seen []uint64 // one bit a page: in use, or free
	bufs [][]byte // by depth: the page being read there
	last []byte   // key of the record before
	free uint64   // pages on the list of free ones

	report reportFunc // told of damage; decides whether to go on
	lost   bool       // damage was skipped: what lies behind it has not been seen
}

// reportFunc is told of each damaged place. The walk goes on behind it if the result is nil, and
// ends with the result otherwise.
type reportFunc func(*CorruptError) error

// record is one key and value of a bucket. Both hold until the visitor returns.
type record struct {
	key, value []byte
	at         int64 // offset of the page that holds it
}

func (r record) clone() record { return record{slices.Clone(r.key), slices.Clone(r.value), r.at} }

func newWalker(im *image, report reportFunc) (*walker, error) {
	meta, err := im.meta()
	if err != nil {
		return nil, err
	}
	w := &walker{im: im, meta: meta, report: report, seen: make([]uint64, meta.end/64+1)}
	w.mark(0)
	w.mark(1)
	return w, nil
}

// damage reports a place, and notes that what depends on it stays unseen.
func (w *walker) damage(at int64, key, format string, args ...any) error {
	w.lost = true
	return w.report(w.im.corrupt(at, key, format, args...))
}

// mark notes that page id is accounted for, and returns false if it was so before.
func (w *walker) mark(id uint64) bool {
	bit := uint64(1) << (id % 64)
	if w.seen[id/64]&bit != 0 {
		return false
	}
	w.seen[id/64] |= bit
	return true
}

// claim reads page id with its overflow, and marks it as in use. A false result means that it was
// damaged, and that the report wants to go on without it. from is the place of the pointer.
func (w *walker) claim(id uint64, depth int, from int64) (p page, ok bool, err error) {
	if id < 2 || id >= w.meta.end {
		return p, false, w.damage(from, "", "points at page %d, which does not exist", id)
	}
	if depth >= depthMax {
		return p, false, w.damage(from, "", "pages are nested deeper than %d", depthMax)
	}
	for len(w.bufs) <= depth {
		w.bufs = append(w.bufs, make([]byte, pageSize))
	}
	at := int64(id) * pageSize
	buf := w.bufs[depth][:pageSize]
	if err := w.im.read(id, buf); err != nil {
		return p, false, err
	}
	p = parsePage(at, buf)
	if p.id != id {
		return p, false, w.damage(at, "", "page %d stands where page %d belongs", p.id, id)
	}
	if p.overflow >= w.meta.end-id {
		return p, false, w.damage(at, "", "page runs on for %d more, past the end", p.overflow)
	}
	for i := range p.overflow + 1 {
		if !w.mark(id + i) {
			return p, false, w.damage(at, "", "page %d is used twice", id+i)
		}
	}
	if p.overflow == 0 {
		return p, true, nil
	}
	size := int(p.overflow+1) * pageSize
	w.bufs[depth] = slices.Grow(buf, size-len(buf))[:size]
	p.buf = w.bufs[depth]
	return p, true, w.im.read(id+1, p.buf[pageSize:])
}

// tree visits the records of the tree that begins at page id, in ascending order of keys. want is
// the first key the tree must have; nil for a whole bucket, which may have any, or none at all.
func (w *walker) tree(id uint64, depth int, from int64, want []byte, visit func(record, uint32) error) error {
	p, ok, err := w.claim(id, depth, from)
	if !ok || err != nil {
		return err
	}
	if p.count == 0 && want != nil || !p.elements() {
		return w.damage(p.at, "", "page counts %d elements", p.count)
	}
	switch p.flags {
	case flagLeaf:
		return w.leaf(&p, want, visit)
	case flagBranch:
		return w.branch(&p, depth, want, visit)
	}
	return w.damage(p.at, "", "page of type %#x inside a tree", p.flags)
}

func (w *walker) branch(p *page, depth int, want []byte, visit func(record, uint32) error) error {
	if p.count == 0 {
		return w.damage(p.at, "", "page counts 0 elements")
	}
	for i := range p.count {
		key, child, ok := p.branch(i)
		if !ok || i == 0 && want != nil && !bytes.Equal(key, want) {
			return w.damage(p.at, "", "element %d of the page is out of place", i)
		}
		if err := w.tree(child, depth+1, p.at, key, visit); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) leaf(p *page, want []byte, visit func(record, uint32) error) error {
	for i := range p.count {
		flags, key, value, ok := p.leaf(i)
		if !ok || i == 0 && want != nil && !bytes.Equal(key, want) {
			return w.damage(p.at, "", "element %d of the page is out of place", i)
		}
		if bytes.Compare(key, w.last) <= 0 {
			return w.damage(p.at, "", "element %d of the page is out of order", i)
		}
		w.last = append(w.last[:0], key...)
		if err := visit(record{key, value, p.at}, flags); err != nil {
			return err
		}
	}
	return nil
}

// bucketRoot is where the records of a bucket begin: a page, or the bytes of a small one inline.
// The zero value is that of a bucket whose header was damaged.
type bucketRoot struct {
	root   uint64
	inline []byte
	at     int64
}

// buckets returns where the buckets of the file begin: exactly those this package makes.
func (w *walker) buckets() (found [len(bucketNames)]bucketRoot, err error) {
	w.last = w.last[:0]
	err = w.tree(w.meta.root, 0, 0, nil, func(r record, flags uint32) error {
		b := bucketOf(r.key)
		if flags != 1 || b == 0 {
			return w.damage(r.at, "", "unknown bucket %q", r.key)
		}
		root, reason := parseBucket(r)
		if reason != "" {
			return w.damage(r.at, "", "bucket %v: %s", b, reason)
		}
		found[b] = root
		return nil
	})
	for b := metaBucket; err == nil && !w.lost && int(b) < len(found); b++ {
		if found[b].at == 0 {
			err = w.damage(int64(w.meta.root)*pageSize, "", "bucket %v is missing", b)
		}
	}
	return found, err
}

// parseBucket reads the value of a bucket's name, or says what is wrong with it.
func parseBucket(r record) (bucketRoot, string) {
	if len(r.value) < bucketSize {
		return bucketRoot{}, "header cut short"
	}
	b := bucketRoot{root: binary.NativeEndian.Uint64(r.value), at: r.at}
	rest := r.value[bucketSize:]
	switch {
	case binary.NativeEndian.Uint64(r.value[8:]) != 0:
		return bucketRoot{}, "its counter is in use"
	case b.root != 0 && len(rest) == 0:
		return b, ""
	case b.root != 0 || len(rest) < headerSize:
		return bucketRoot{}, "neither a page nor inline"
	}
	b.inline = slices.Clone(rest)
	p := parsePage(b.at, b.inline)
	if p.id != 0 || p.flags != flagLeaf || p.overflow != 0 || !p.elements() {
		return bucketRoot{}, "inline page is none"
	}
	return b, ""
}

// bucket visits the records of one bucket in ascending order of keys.
func (w *walker) bucket(b bucketRoot, visit func(record) error) error {
	plain := func(r record, flags uint32) error {
		if flags != 0 {
			return w.damage(r.at, "", "element of type %#x among records", flags)
		}
		return visit(r)
	}
	w.last = w.last[:0]
	switch {
	case b.root != 0:
		return w.tree(b.root, 1, b.at, nil, plain)
	case b.inline != nil:
		p := parsePage(b.at, b.inline)
		if err := w.leaf(&p, nil, plain); err != nil || p.next == len(b.inline) {
			return err
		}
		return w.damage(b.at, "", "inline page has something behind its end")
	}
	return nil
}

// freelist accounts for the free pages. It comes after every bucket: then each page is either in
// use or free, and never both.
func (w *walker) freelist() error {
	if w.meta.freelist == noFreelist {
		return w.damage(0, "", "the list of free pages was not written")
	}
	p, ok, err := w.claim(w.meta.freelist, 0, 0)
	if !ok || err != nil {
		return err
	}
	if p.flags != flagFreelist {
		return w.damage(p.at, "", "page of type %#x instead of the list of free pages", p.flags)
	}
	ids := p.buf[headerSize:]
	count := uint64(p.count)
	if count == 0xFFFF { // more than fit into the header: the count is the first element
		count = binary.NativeEndian.Uint64(ids)
		ids = ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return w.damage(p.at, "", "list of free pages counts %d", count)
	}
	for i := range count {
		id := binary.NativeEndian.Uint64(ids[i*8:])
		if id < 2 || id >= w.meta.end {
			return w.damage(p.at, "", "free page %d does not exist", id)
		}
		if !w.mark(id) {
			return w.damage(p.at, "", "free page %d is in use", id)
		}
	}
	w.free = count
	return w.accounted()
}

// accounted reports pages that are neither in use nor free. If damage was skipped before, there
// is no telling.
func (w *walker) accounted() error {
	if w.lost {
		return nil
	}
	for id := range w.meta.end {
		if w.seen[id/64]&(1<<(id%64)) == 0 {
			return w.damage(int64(id)*pageSize, "", "page is neither in use nor free")
		}
	}
	return nil
}
