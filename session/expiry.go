package session

import "slices"

// Expiry is the leader's book of deadlines: by when it must have heard from each session. It is
// not replicated. All times are milliseconds on one monotonic clock of the caller's choice.
//
// Deadlines are rounded up to the end of a tick, as ZooKeeper does, so that a session is due
// between its timeout and its timeout plus one tick after it was last heard of:
//
//	deadline = ((now + timeout) / tick + 1) * tick
//
// A session is filed under one deadline at a time. Hearing of it again only notes the new deadline
// beside its id; where it is filed is put right when the old one comes up, once per timeout and not
// once per ping.
type Expiry struct {
	tickMs  int64
	slots   map[ID]slot
	buckets []bucket // ascending by deadline; no two are equal
}

// slot is what is known of one session.
type slot struct {
	deadline int64 // when it is due
	filed    int64 // the bucket that holds it, at or before the deadline; ids in other buckets are stale
}

// bucket holds the sessions filed under one deadline, in the order they were.
type bucket struct {
	deadline int64
	ids      []ID
}

// NewExpiry returns an empty book whose deadlines are multiples of tickMs, which must be positive.
func NewExpiry(tickMs int64) *Expiry {
	if tickMs <= 0 {
		panic("session: the tick of an Expiry must be positive")
	}
	return &Expiry{tickMs: tickMs, slots: map[ID]slot{}}
}

// Len returns the number of sessions that have a deadline.
func (e *Expiry) Len() int { return len(e.slots) }

// Deadline returns when the session is due, and whether it has a deadline at all.
func (e *Expiry) Deadline(id ID) (atMs int64, ok bool) {
	s, ok := e.slots[id]
	return s.deadline, ok
}

// Touch notes that the session, with the timeout it was granted, was heard of at nowMs. Times need
// not ascend from call to call, and a shorter timeout brings the deadline forward.
func (e *Expiry) Touch(id ID, timeoutMs int32, nowMs int64) {
	due := ((nowMs+int64(max(timeoutMs, 0)))/e.tickMs + 1) * e.tickMs
	s, known := e.slots[id]
	if known && s.deadline == due {
		return
	}
	s.deadline = due
	if !known || due < s.filed {
		s.filed = due
		e.file(id, due)
	}
	e.slots[id] = s
}

// GrantAll forgets every deadline and gives each session of the table a full timeout from nowMs: so
// a new leader starts, who does not know what the old one heard.
func (e *Expiry) GrantAll(t *Table, nowMs int64) {
	clear(e.slots)
	e.buckets = nil
	for s := range t.Walk {
		e.Touch(s.ID, s.TimeoutMs, nowMs)
	}
}

// Remove forgets the session; it is not due unless it is touched again.
func (e *Expiry) Remove(id ID) { delete(e.slots, id) }

// Due removes and returns the sessions whose deadline is at or before nowMs, oldest deadline
// first, and by id where those are equal. A caller that fails to act on the verdict touches the
// session again, with no timeout if it is to be due at the end of the tick.
func (e *Expiry) Due(nowMs int64) []ID {
	var due []ID
	for len(e.buckets) > 0 && e.buckets[0].deadline <= nowMs {
		b := e.buckets[0]
		e.buckets = e.buckets[1:]
		due = e.poll(due, b)
	}
	return due
}

// poll appends to due the sessions of b whose deadline it is; those heard of since are filed again.
func (e *Expiry) poll(due []ID, b bucket) []ID {
	first := len(due)
	for _, id := range b.ids {
		s, known := e.slots[id]
		switch {
		case !known || s.filed != b.deadline: // removed, or filed elsewhere since
		case s.deadline == b.deadline:
			delete(e.slots, id)
			due = append(due, id)
		default:
			s.filed = s.deadline
			e.slots[id] = s
			e.file(id, s.filed)
		}
	}
	slices.Sort(due[first:])
	return due
}

// file puts the session into the bucket with the deadline.
func (e *Expiry) file(id ID, deadline int64) {
	i, ok := slices.BinarySearchFunc(e.buckets, deadline, func(b bucket, at int64) int {
		return int(min(max(b.deadline-at, -1), 1))
	})
	if !ok {
		e.buckets = slices.Insert(e.buckets, i, bucket{deadline: deadline})
	}
	e.buckets[i].ids = append(e.buckets[i].ids, id)
}
