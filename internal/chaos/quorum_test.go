//go:build linux

package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cell is one nemesis on one number of servers, and what came of it.
type cell struct {
	servers int
	nemesis string
	skipped string

	rounds, acknowledged, done, undone int
	gap                                time.Duration // the longest without any answer
}

const (
	trafficMin = 200                     // answers before and after a fault, or the cell is invalid
	holdMin    = 1200 * time.Millisecond // how long a fault lasts
	holdMax    = 2800 * time.Millisecond
)

// Three and five servers, and everything that can happen to them, under load. GROVE_CHAOS_SECONDS says for how
// long; without it, one leader is killed.
func TestQuorum(t *testing.T) {
	if testing.Short() {
		t.Skip("starts several servers: not with -short")
	}
	if enter(t) {
		return
	}
	budget := time.Duration(seconds()) * time.Second
	var table []*cell
	for _, n := range []int{3, 5} {
		share := budget * 6 / 10
		if n == 5 {
			share = budget - share
		}
		if share == 0 && n == 5 {
			continue
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) { table = append(table, storm(t, n, share)...) })
	}
	t.Logf("\n%s", tabulate(table))
}

// seconds is for how long to be at it.
func seconds() int {
	n, _ := strconv.Atoi(os.Getenv("GROVE_CHAOS_SECONDS"))
	return n
}

// storm lets one nemesis after the other loose on n servers: all of them in their order, then by the dice.
func storm(t *testing.T, n int, share time.Duration) []*cell {
	end := time.Now().Add(share)
	s := besiege(t, n)
	if err := s.breed(); err != nil {
		t.Fatal(err)
	}
	table := make([]*cell, len(nemeses))
	for i, x := range nemeses {
		table[i] = &cell{servers: n, nemesis: x.name}
		if x.needs != nil {
			table[i].skipped = x.needs(s)
		}
	}
	only := os.Getenv("GROVE_CHAOS_NEMESIS")
	for k := 0; k == 0 || time.Now().Before(end); k++ {
		i := k
		if n > 3 { // begin where three servers may have come to
			i = (k + len(nemeses)/2) % len(nemeses)
		}
		if k >= len(nemeses) {
			i = s.rng.IntN(len(nemeses))
		}
		if table[i].skipped == "" && strings.Contains(nemeses[i].name, only) {
			s.round(nemeses[i], table[i])
		}
	}
	s.awaitStrays()
	for _, g := range s.gophers {
		g.conn.Close()
	}
	if err := s.cluster.Stop(); err != nil {
		t.Error(err)
	}
	return table
}

// round lets the nemesis strike under load and heals what it did; then all must be well within a time.
func (s *siege) round(x nemesis, c *cell) {
	s.t.Helper()
	s.say("== %s", x.name)
	s.began++
	s.over.Store(false)
	acknowledged, done, undone := s.acknowledged, s.without, s.lost
	var gophers sync.WaitGroup
	for _, g := range s.gophers {
		gophers.Go(g.work)
	}
	ended := make(chan struct{})
	var failed error
	go func() {
		defer close(ended)
		failed = s.suffer(x, c)
	}()
	s.load(ended, func() {})
	gophers.Wait()
	if failed != nil {
		s.t.Fatalf("%s: %v", x.name, failed)
	}
	s.settle()
	c.rounds++
	c.acknowledged += s.acknowledged - acknowledged
	c.done += s.without - done
	c.undone += s.lost - undone
	s.say("held")
}

// suffer strikes and heals. Too little traffic before or after is an error.
func (s *siege) suffer(x nemesis, c *cell) error {
	if err := s.traffic("before"); err != nil {
		return err
	}
	watch := s.pulse()
	heal, err := x.strike(s)
	if err != nil {
		return err
	}
	time.Sleep(holdMin + time.Duration(s.rng.Int64N(int64(holdMax-holdMin))))
	s.say("heal")
	if err := heal(); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	for _, m := range s.cluster.Members {
		if !m.Running() {
			log, _ := m.Log()
			return fmt.Errorf("member %d has ended:\n%s", m.ID, log[max(0, len(log)-2000):])
		}
	}
	err = s.traffic("after")
	c.gap = max(c.gap, watch())
	return err
}

// traffic waits until requests are answered again, in number.
func (s *siege) traffic(when string) error {
	hit := s.answers(trafficMin)
	select {
	case <-hit:
		return nil
	case <-time.After(settleMax):
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("%d of %d answers %s the fault within %v", trafficMin-s.count, trafficMin, when, settleMax)
	}
}

// pulse begins to look for the longest time without an answer; what it returns ends that.
func (s *siege) pulse() (end func() time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat, s.gap = time.Now(), 0
	return func() time.Duration {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.gap
	}
}

// tabulate writes the cells as Markdown.
func tabulate(table []*cell) string {
	var b strings.Builder
	b.WriteString("| servers | nemesis | rounds | writes acknowledged | unknown: done | unknown: not, or overwritten | longest silence, s |\n")
	b.WriteString("|---:|---|---:|---:|---:|---:|---:|\n")
	for _, c := range table {
		switch {
		case c.skipped != "":
			fmt.Fprintf(&b, "| %d | %s | skipped: %s | | | | |\n", c.servers, c.nemesis, c.skipped)
		case c.rounds > 0:
			fmt.Fprintf(&b, "| %d | %s | %d | %d | %d | %d | %.2f |\n", c.servers, c.nemesis, c.rounds,
				c.acknowledged, c.done, c.undone, c.gap.Seconds())
		}
	}
	return b.String()
}
