package client

import (
	"fmt"
	"path"
	"slices"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// watchKind is what a server tells apart when it is asked to forget a watch.
type watchKind uint8

const (
	dataWatch watchKind = iota
	childWatch
	persistentWatch
	recursiveWatch
)

// onServer is what the protocol calls each kind.
var onServer = [...]wire.WatcherType{
	dataWatch:       wire.WatcherData,
	childWatch:      wire.WatcherChildren,
	persistentWatch: wire.WatcherPersistent,
	recursiveWatch:  wire.WatcherPersistentRecursive,
}

// watchKey names one watch of a server: it keeps at most one of a kind for a path and a connection,
// however many are interested on this side.
type watchKey struct {
	kind watchKind
	path string // on the server
}

// spot is everybody on this side who shares one watch of the server. It is in the core's table as long
// as somebody is there, or on the way.
type spot struct {
	key    watchKey
	armed  bool // the server has it, as far as we know
	arming int  // calls under way that arm it
	once   []*Watch
	subs   []*Subscription
}

// spotFor returns the spot of key, with one more call on its way there.
func (k *core) spotFor(key watchKey) *spot {
	s := k.spots[key]
	if s == nil {
		s = &spot{key: key}
		if k.spots == nil {
			k.spots = map[watchKey]*spot{}
		}
		k.spots[key] = s
	}
	s.arming++
	return s
}

// arrived is told that a call that was to arm a watch has ended or was cancelled.
func (k *core) arrived(q *call) {
	s := q.spot
	if s == nil {
		return
	}
	q.spot = nil
	s.arming--
	if q.place == over && q.armed() {
		s.armed = true
		switch {
		case q.abandoned: // nobody is interested any more: settle gives it back
		case q.watch != nil:
			q.watch.missing = q.err != nil
			s.once = append(s.once, q.watch)
		case q.sub != nil:
			s.subs = append(s.subs, q.sub)
		}
	}
	k.settle(s)
}

// armed reports whether the server has armed a watch for q, which has ended.
func (q *call) armed() bool {
	return q.err == nil || q.op == wire.OpExists && isCode(q.err, ErrNoNode)
}

// settle drops a spot where nobody is left, and gives the server its watch back.
func (k *core) settle(s *spot) {
	if s.arming > 0 || len(s.once) > 0 || len(s.subs) > 0 || k.spots[s.key] != s {
		return
	}
	delete(k.spots, s.key)
	if s.armed && k.link.phase == live && k.final == nil {
		k.queue.push(&call{
			request:   request{op: wire.OpRemoveWatches, path: s.key.path, version: int32(onServer[s.key.kind])},
			place:     queued,
			transient: true,
		})
	}
}

// forget takes a watch away from its spot.
func (k *core) forget(w *Watch) {
	if s := k.spots[w.key]; s != nil {
		s.once = slices.DeleteFunc(s.once, func(o *Watch) bool { return o == w })
		k.settle(s)
	}
}

// unsubscribe takes a subscription away from its spot.
func (k *core) unsubscribe(sub *Subscription) {
	if s := k.spots[sub.key]; s != nil {
		s.subs = slices.DeleteFunc(s.subs, func(o *Subscription) bool { return o == sub })
		k.settle(s)
	}
}

// notified takes an event, and lets everybody know whose watch it is of. This happens before any later
// frame is looked at: nobody reads the new value before the event.
func (k *core) notified(h wire.ReplyHeader, r *codec.Reader) error {
	var m wire.WatcherEvent
	m.Decode(r)
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: event: %w", ErrProtocol, err)
	}
	e := Event{Type: EventType(m.Type), Path: m.Path, Zxid: max(Zxid(h.Zxid), 0)}
	switch m.Type {
	case wire.EventNodeCreated, wire.EventNodeDataChanged:
		k.fire(watchKey{dataWatch, m.Path}, e)
	case wire.EventNodeChildrenChanged:
		k.fire(watchKey{childWatch, m.Path}, e)
	case wire.EventNodeDeleted:
		k.fire(watchKey{dataWatch, m.Path}, e)
		k.fire(watchKey{childWatch, m.Path}, e)
	default:
		return fmt.Errorf("%w: event of type %d", ErrProtocol, m.Type)
	}
	k.publish(watchKey{persistentWatch, m.Path}, e)
	if m.Type != wire.EventNodeChildrenChanged { // which a recursive watch does not tell: another did
		for p := m.Path; ; p = path.Dir(p) {
			k.publish(watchKey{recursiveWatch, p}, e)
			if p == "/" || p == "." {
				break
			}
		}
	}
	return nil
}

// fire ends the watches for once. The server has spent its own.
func (k *core) fire(key watchKey, e Event) {
	s := k.spots[key]
	if s == nil {
		return
	}
	s.armed = false
	for _, w := range s.once {
		w.end(e, nil)
	}
	s.once = nil
	k.settle(s)
}

func (k *core) publish(key watchKey, e Event) {
	if s := k.spots[key]; s != nil {
		for _, sub := range s.subs {
			sub.put(e)
		}
	}
}

// dropWatches ends the watches for once, because the session has. Subscriptions go on in the next, or
// end if there is none.
func (k *core) dropWatches(err error, subs bool) {
	for _, s := range k.spots {
		s.armed = false
		for _, w := range s.once {
			w.end(Event{}, err)
		}
		s.once = nil
		if subs {
			for _, sub := range s.subs {
				sub.fail(err)
			}
			s.subs = nil
		}
		k.settle(s)
	}
}

// rearmMax is how many bytes of paths travel in one setWatches.
const rearmMax = 128 << 10

// rearm arms again what was armed before the connection was lost, before anything else is sent. The
// server tells what has happened since the last zxid seen.
func (k *core) rearm() {
	keys := make([]*spot, 0, len(k.spots))
	for _, s := range k.spots {
		if len(s.once) > 0 || len(s.subs) > 0 {
			keys = append(keys, s)
		}
	}
	slices.SortFunc(keys, func(a, b *spot) int { // recursive ones last, for the server's sake
		if a.key.kind != b.key.kind {
			return int(a.key.kind) - int(b.key.kind)
		}
		return cmpString(a.key.path, b.key.path)
	})
	for len(keys) > 0 {
		n, size := 0, 0
		for n < len(keys) && (n == 0 || size < rearmMax) {
			size += len(keys[n].key.path) + 4
			n++
		}
		k.rearmBatch(keys[:n:n])
		keys = keys[n:]
	}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (k *core) rearmBatch(batch []*spot) {
	var m wire.SetWatches2Request
	m.RelativeZxid = k.session.zxid
	for _, s := range batch {
		s.armed = true
		switch s.key.kind {
		case dataWatch:
			m.Data, m.Exist = s.lists(m.Data, m.Exist)
		case childWatch:
			m.Child = append(m.Child, s.key.path)
		case persistentWatch:
			m.Persistent = append(m.Persistent, s.key.path)
		case recursiveWatch:
			m.PersistentRecursive = append(m.PersistentRecursive, s.key.path)
		}
	}
	if len(m.Persistent)+len(m.PersistentRecursive) > 0 {
		k.link.control = wire.AppendRequest(k.link.control, wire.XidSetWatches, wire.OpSetWatches2, &m)
	} else {
		k.link.control = wire.AppendRequest(k.link.control, wire.XidSetWatches, wire.OpSetWatches, &m.SetWatchesRequest)
	}
	k.link.rearming.push(batch)
}

// lists adds the path to the list of nodes that were there when they were read, or to that of nodes
// that were not, or to both.
func (s *spot) lists(there, missing []string) (_, _ []string) {
	isMissing := func(w *Watch) bool { return w.missing }
	if slices.ContainsFunc(s.once, isMissing) {
		missing = append(missing, s.key.path)
	}
	if !slices.ContainsFunc(s.once, isMissing) || len(slices.DeleteFunc(slices.Clone(s.once), isMissing)) > 0 {
		there = append(there, s.key.path)
	}
	return there, missing
}

// rearmed takes the answer to a setWatches. Watches that could not be armed again end: silence would
// be mistaken for peace.
func (k *core) rearmed(h wire.ReplyHeader) error {
	if k.link.rearming.len() == 0 {
		return fmt.Errorf("%w: nothing was to be armed", ErrProtocol)
	}
	batch := k.link.rearming.pop()
	for _, s := range batch {
		if h.Err == wire.CodeOK {
			for _, sub := range s.subs {
				sub.put(Event{Type: Resync, Path: s.key.path})
			}
			continue
		}
		s.armed = false
		for _, w := range s.once {
			w.end(Event{}, Code(h.Err))
		}
		for _, sub := range s.subs {
			sub.fail(Code(h.Err))
		}
		s.once, s.subs = nil, nil
		k.settle(s)
	}
	return nil
}
