package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/wire"
)

// patience is how long after its end a load may wait for the replies still due.
const patience = 30 * time.Second

// requests yields the i-th request of one connection, and false when there are no more. The record
// may be the same one each time: it is encoded before the next call.
type requests func(i int) (wire.Op, wire.Record, bool)

// load is what a number of connections do at the same time.
type load struct {
	conns int
	depth int           // requests outstanding on each connection
	dur   time.Duration // after which no more are sent; the requests may end earlier
	each  func(conn int) requests
}

// outcome is what came of a load.
type outcome struct {
	ops       int
	took      time.Duration   // from the first request to the last reply
	latencies []time.Duration // of every request, sorted
	seconds   []int           // replies in each whole second of the load
}

func (o outcome) rate() float64 { return float64(o.ops) / o.took.Seconds() }

// drive lets the connections loose and waits for the last reply. A request that fails ends it: a
// server that refuses is not measured.
func drive(ctx context.Context, addr string, l load) (outcome, error) {
	g, ctx := group.New(ctx)
	defer g.Stop()
	clients := make([]*client, l.conns)
	for i := range clients {
		c, err := dial(ctx, nth(addr, i), patience)
		if err != nil {
			return outcome{}, err
		}
		if err := c.nc.SetDeadline(time.Now().Add(l.dur + patience)); err != nil {
			return outcome{}, err
		}
		clients[i] = c
	}
	tallies := make([]tally, l.conns)
	begin := time.Now()
	for i, c := range clients {
		g.Go(fmt.Sprintf("connection %d", i), func() error {
			if err := c.run(l, l.each(i), begin, &tallies[i]); err != nil {
				return err
			}
			c.close() // here, because the group closes the bare connections when it ends
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return outcome{}, err
	}
	return merge(tallies, time.Since(begin), l.dur), nil
}

// run keeps depth requests outstanding. It sends what there is room for, waits for one reply, and
// takes with it all others that have arrived, so that the load costs two system calls a batch.
func (c *client) run(l load, next requests, begin time.Time, t *tally) error {
	sent := make([]time.Duration, l.depth) // when the request in each slot went out, as a ring
	asked, answered, more := 0, 0, true
	for {
		now := time.Since(begin)
		for more = more && now < l.dur; more && asked-answered < l.depth; asked++ {
			op, record, ok := next(asked)
			if !ok {
				more = false
				break
			}
			c.request(op, record)
			sent[asked%l.depth] = now
		}
		if asked == answered {
			return nil
		}
		if err := c.flush(); err != nil {
			return err
		}
		n, err := c.replies()
		if err != nil {
			return fmt.Errorf("request %d: %w", answered, err)
		}
		now = time.Since(begin)
		t.count(now, n)
		for range n {
			t.latencies = append(t.latencies, now-sent[answered%l.depth])
			answered++
		}
	}
}

// replies waits for one reply and counts it and those that came with it.
func (c *client) replies() (int, error) {
	frame, err := c.frame()
	for n := 0; ; n++ {
		if err != nil {
			return n, err
		}
		if frame == nil {
			return n, nil
		}
		h, _, err := c.header(frame)
		if err != nil {
			return n, err
		}
		if h.Xid < 0 {
			return n, fmt.Errorf("an event nobody has armed a watch for")
		}
		if err := h.Err.Err(); err != nil {
			return n, err
		}
		frame, err = c.buffered()
		if err != nil {
			return n, err
		}
	}
}

// tally is what one connection has seen.
type tally struct {
	latencies []time.Duration
	seconds   []int // replies in each second since the beginning
}

// count files n replies that arrived together at the given time since the beginning.
func (t *tally) count(at time.Duration, n int) {
	second := int(at / time.Second)
	for len(t.seconds) <= second {
		t.seconds = append(t.seconds, 0)
	}
	t.seconds[second] += n
}

// merge adds up what the connections saw. The second in which the load ends is left out: it is not a
// whole one.
func merge(tallies []tally, took, dur time.Duration) outcome {
	o := outcome{took: took, seconds: make([]int, min(took, dur)/time.Second)}
	for _, t := range tallies {
		o.latencies = append(o.latencies, t.latencies...)
		for i, n := range t.seconds {
			if i < len(o.seconds) {
				o.seconds[i] += n
			}
		}
	}
	slices.Sort(o.latencies)
	o.ops = len(o.latencies)
	return o
}
