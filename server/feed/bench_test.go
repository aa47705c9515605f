package feed_test

import (
	"fmt"
	"testing"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/watch"
)

// BenchmarkFanOut: one set that 10,000 connections watch, into their inboxes and out again.
func BenchmarkFanOut(b *testing.B) {
	const seats = 10_000
	d := newDesk(b, nil)
	a := d.open()
	a.create("/a")
	d.apply()
	a.TakeDone(nil)
	var all []*seat
	for range seats {
		s := d.join()
		s.arm("/a", watch.Persistent)
		all = append(all, s)
	}
	b.ReportAllocs()
	for b.Loop() {
		a.set("/a")
		d.apply()
		a.TakeDone(nil)
		b.StopTimer()
		zxid := d.View().Zxid
		for _, s := range all {
			if len(s.TakeEvents(zxid, nil)) != 1 {
				b.Fatal("an event is missing")
			}
			<-s.Ready()
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/seats, "ns/told")
}

// BenchmarkWrite: from Submit to the completion, in batches of several sizes, without a log.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d := newDesk(b, nil)
			a := d.open()
			a.create("/a")
			d.apply()
			c := state.Command{
				Kind: state.Set, Origin: d.Origin(), Session: a.id, Epoch: 1, IDs: here,
				Op: state.Op{Kind: state.Set, Path: "/a", Data: make([]byte, 100), Version: -1},
			}
			done, _ := a.TakeDone(nil)
			subs := make([]feed.Submission, size)
			batch := make([]replica.Entry, size)
			b.ReportAllocs()
			for n := 0; b.Loop(); n += size {
				for i := range subs {
					subs[i] = feed.Submission{Ticket: uint64(n + i), Command: state.AppendCommand(nil, &c)}
				}
				if err := d.Submit(a.Inbox, subs); err != nil {
					b.Fatal(err)
				}
				for i, data := range d.log.pending {
					d.log.index++
					batch[i] = replica.Entry{Index: d.log.index, Term: 1, Data: data}
				}
				d.log.pending = d.log.pending[:0]
				d.Apply(batch)
				if done, _ = a.TakeDone(done); len(done) != size {
					b.Fatal("a completion is missing")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/write")
		})
	}
}

// BenchmarkMissed: one client comes back, after as many changes as the ring holds.
func BenchmarkMissed(b *testing.B) {
	const changes = 100_000
	d := newDesk(b, func(c *feed.Config) { c.RecentMax = changes })
	a := d.open()
	for i := range 1000 {
		a.create(fmt.Sprintf("/node-%04d", i))
	}
	d.apply()
	for i := range changes {
		a.set(fmt.Sprintf("/node-%04d", i%1000))
		if i%1000 == 999 {
			d.apply()
			a.TakeDone(nil)
		}
	}
	q := feed.Rearm{Since: 2, Persistent: []string{"/node-0007"}}
	b.Run("pin, under the lock", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Watching(func(v *state.View, _ *watch.Table) { d.Missed(a.Inbox, v, q) })
		}
	})
	b.Run("tell", func(b *testing.B) {
		var m feed.Missed
		d.Watching(func(v *state.View, _ *watch.Table) { m = d.Missed(a.Inbox, v, q) })
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			m.Tell(func(watch.Event) bool { n++; return true })
			if n < 100 {
				b.Fatal("told", n)
			}
		}
	})
}
