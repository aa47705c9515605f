package feed_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
	"github.com/grovekeeper/grove/znode"
)

// A publisher makes changes visible and delivers their events. Every change of the experiment below
// fires one event for every reader, so who can see zxid Z must hold all events up to Z.
type publisher interface {
	publish(n int)                           // n more changes, as one batch
	read(reader int) (seen, held znode.Zxid) // the view, then the newest event up to it
}

// experiment lets readers look while changes are published, and returns how often one of them saw a
// zxid whose event it did not hold.
func experiment(p publisher, readers, writes int, seed uint64) (violations int64) {
	var count atomic.Int64
	var end atomic.Bool
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			for !end.Load() {
				runtime.Gosched() // on few cores, whoever spins keeps the others out
				if seen, held := p.read(r); held < seen {
					count.Add(1)
				}
			}
		})
	}
	chance := rand.New(rand.NewPCG(seed, 0))
	for done := 0; done < writes; {
		n := min(1+chance.IntN(8), writes-done)
		p.publish(n)
		done += n
		if chance.IntN(16) == 0 {
			runtime.Gosched()
		}
	}
	end.Store(true)
	wg.Wait()
	return count.Load()
}

const (
	orderSeeds  = 20
	orderWrites = 1000
	orderReads  = 3
)

// Whoever sees zxid Z holds every event up to Z: the order in which the feed publishes, which the whole
// server leans on.
func TestAReaderThatSeesAZxidHoldsItsEvents(t *testing.T) {
	for seed := range uint64(orderSeeds) {
		if n := experiment(newRealPublisher(t, orderReads), orderReads, orderWrites, seed); n != 0 {
			t.Fatalf("seed %d: %d times a reader saw what it had not been told of", seed, n)
		}
	}
}

// The experiment can fail: with the view swapped first, it does, with one critical section around both
// steps or with two.
func TestTheOrderExperimentNoticesTheWrongOrder(t *testing.T) {
	for name, wrong := range map[string]order{"swap, fire": swapFire, "swap and fire in two sections": swapThenFire} {
		violations := int64(0)
		for seed := range uint64(orderSeeds) {
			violations += experiment(newDouble(orderReads, wrong), orderReads, orderWrites, seed)
		}
		t.Logf("%s: %d violations", name, violations)
		if violations == 0 {
			t.Errorf("%s: nothing was noticed", name)
		}
	}
	for seed := range uint64(orderSeeds) {
		if n := experiment(newDouble(orderReads, fireSwap), orderReads, orderWrites, seed); n != 0 {
			t.Errorf("fire, swap: %d violations", n)
		}
	}
}

// realPublisher is the feed. Each reader has a lasting watch on the node that changes.
type realPublisher struct {
	*desk
	writer *seat
	seats  []*seat
	held   []znode.Zxid // by reader, who alone touches it
}

func newRealPublisher(t testing.TB, readers int) *realPublisher {
	p := &realPublisher{desk: newDesk(t, func(c *feed.Config) { c.InboxBytesMax = 1 << 30 })}
	p.writer = p.open()
	p.writer.create("/a")
	p.apply()
	for range readers {
		s := p.join()
		s.arm("/a", watch.Persistent)
		p.seats, p.held = append(p.seats, s), append(p.held, p.View().Zxid)
	}
	return p
}

func (p *realPublisher) publish(n int) {
	for range n {
		p.writer.set("/a")
	}
	p.apply()
	p.writer.TakeDone(nil)
}

func (p *realPublisher) read(r int) (seen, held znode.Zxid) {
	v := p.View()
	if in := p.seats[r].Inbox; in.Waiting() {
		for _, ev := range in.TakeEvents(v.Zxid, nil) {
			if ev.Zxid != p.held[r]+1 {
				panic(fmt.Sprintf("event %d after %d", ev.Zxid, p.held[r]))
			}
			p.held[r] = ev.Zxid
		}
	}
	return v.Zxid, p.held[r]
}

// double publishes as the feed does, but in an order to be chosen.
type double struct {
	order order
	view  atomic.Pointer[state.View]

	mu      sync.Mutex
	inboxes []doubleInbox
}

type order func(d *double, fire, swap func())

// The order of the feed, and the wrong ones. The pause lets a reader in where one may get in anyway.
func fireSwap(d *double, fire, swap func()) {
	d.mu.Lock()
	fire()
	runtime.Gosched()
	swap()
	d.mu.Unlock()
}

func swapFire(d *double, fire, swap func()) {
	d.mu.Lock()
	swap()
	runtime.Gosched()
	fire()
	d.mu.Unlock()
}

func swapThenFire(d *double, fire, swap func()) {
	d.mu.Lock()
	swap()
	d.mu.Unlock()
	runtime.Gosched()
	d.mu.Lock()
	fire()
	d.mu.Unlock()
}

// doubleInbox holds events 1 to held.
type doubleInbox struct {
	mu   sync.Mutex
	held znode.Zxid
}

func newDouble(readers int, o order) *double {
	d := &double{order: o, inboxes: make([]doubleInbox, readers)}
	d.view.Store(&state.View{})
	return d
}

func (d *double) publish(n int) {
	next := d.view.Load().Zxid + znode.Zxid(n)
	d.order(d, func() {
		for i := range d.inboxes {
			in := &d.inboxes[i]
			in.mu.Lock()
			in.held = next
			in.mu.Unlock()
		}
	}, func() { d.view.Store(&state.View{Zxid: next}) })
}

func (d *double) read(r int) (seen, held znode.Zxid) {
	v := d.view.Load()
	in := &d.inboxes[r]
	in.mu.Lock()
	defer in.mu.Unlock()
	return v.Zxid, in.held
}
