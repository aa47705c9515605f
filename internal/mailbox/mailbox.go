// Package mailbox carries values from many goroutines to one, in the order they were put, in
// batches. A mailbox has a name and a bound; putting never blocks: what does not fit is refused,
// and the caller decides what that means. It starts no goroutine and keeps no time.
package mailbox

import (
	"errors"
	"fmt"
	"sync"
)

// The reasons for which Put refuses. Both arrive wrapped with the name of the mailbox.
var (
	ErrFull   = errors.New("mailbox is full")
	ErrClosed = errors.New("mailbox is closed")
)

// keepCap is the capacity, in items, up to which a drained buffer is kept whatever its use. A
// larger one is kept only while batches use an eighth of it, so that one burst does not pin its
// memory for as long as the connection lives.
const keepCap = 64

// Mailbox is a bounded queue with one consumer. The weight of an item is what its owner counts:
// bytes, or 1 each.
//
// The consumer's loop, in which batch is owned by the loop until the next Drain:
//
//	for range m.Ready() {
//		batch = m.Drain(batch)
//		…
//	}
//	batch = m.Drain(batch) // what was put before Close
//
// Ready may report once when there is nothing left to drain; it never stays silent while there is.
type Mailbox[T any] struct {
	name  string
	bound int           // most weight held at a time
	ready chan struct{} // capacity 1: a token while there may be items; closed by Close

	full, shut error // ErrFull and ErrClosed with the name, made once: refusing must be cheap

	mu     sync.Mutex // guards the fields below; sends to ready, which never block, happen under it
	items  []T
	weight int
	closed bool
}

// New returns an empty mailbox that holds items up to bound in total weight. A single item
// heavier than bound is still accepted when the mailbox is empty, so that no item is undeliverable:
// the most it ever holds is the larger of bound and one item.
func New[T any](name string, bound int) *Mailbox[T] {
	return &Mailbox[T]{
		name:  name,
		bound: bound,
		ready: make(chan struct{}, 1),
		full:  fmt.Errorf("%s: %w", name, ErrFull),
		shut:  fmt.Errorf("%s: %w", name, ErrClosed),
	}
}

// Name returns the name given to New.
func (m *Mailbox[T]) Name() string { return m.name }

// Put adds v at the end, or returns ErrFull or ErrClosed and leaves the mailbox as it was. It
// never blocks. A negative weight is a broken caller.
func (m *Mailbox[T]) Put(v T, weight int) error {
	if weight < 0 {
		panic("mailbox: negative weight")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return m.shut
	}
	if len(m.items) > 0 && weight > m.bound-m.weight {
		return m.full
	}
	m.items = append(m.items, v)
	m.weight += weight
	if len(m.items) == 1 {
		m.wake()
	}
	return nil
}

// wake leaves a token for the consumer. Only the first item of a batch needs one: the consumer
// takes the token before it drains, so a later item either is in that batch or is the first again.
func (m *Mailbox[T]) wake() {
	select {
	case m.ready <- struct{}{}:
	default: // a token from a batch drained without waiting is still there
	}
}

// Ready receives when there may be items to drain. After Close it is closed.
func (m *Mailbox[T]) Ready() <-chan struct{} { return m.ready }

// Drain takes every item, in the order put. The storage of into, which the caller must no longer
// use, becomes the mailbox's next buffer: two buffers alternate and nothing is copied. It returns
// an empty slice when there is nothing.
func (m *Mailbox[T]) Drain(into []T) []T {
	clear(into) // outside the lock: what the last batch referred to must not outlive it
	m.mu.Lock()
	defer m.mu.Unlock()
	batch := m.items
	if len(batch) == 0 {
		return into[:0]
	}
	m.items, m.weight = nil, 0
	if cap(into) <= keepCap || cap(into)/8 <= len(batch) {
		m.items = into[:0]
	}
	return batch
}

// Close refuses every later Put. Items already put can still be drained. Closing twice is
// harmless.
func (m *Mailbox[T]) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.closed = true
	close(m.ready)
}

// Closed reports whether Close was called. A consumer that selects on Ready together with other
// channels ends when the mailbox is closed and a Drain after that returned nothing.
func (m *Mailbox[T]) Closed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// Len returns the number of items held.
func (m *Mailbox[T]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

// Weight returns the total weight of the items held.
func (m *Mailbox[T]) Weight() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.weight
}
