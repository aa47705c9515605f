package client

import (
	"math/rand/v2"
	"slices"
	"time"
)

// hosts says whose turn it is. The list is walked round and round, from the server after the one
// that was tried last; after a lap in vain there is a pause.
type hosts struct {
	addrs []string
	next  int
	tried int // in a row, in vain
	dice  *rand.Rand
}

// The pause after a lap in vain doubles from one to the other.
const (
	pauseMin = 50 * time.Millisecond
	pauseMax = time.Second
)

// newHosts shuffles addrs, so that the clients of a service spread over its servers.
func newHosts(addrs []string, dice *rand.Rand) hosts {
	addrs = slices.Clone(addrs)
	dice.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return hosts{addrs: addrs, dice: dice}
}

// turn returns the address to try, and how long to wait before. The wait is drawn from the upper
// half of the pause, so that clients that lost a server together do not come back together.
func (h *hosts) turn() (addr string, wait time.Duration) {
	addr = h.addrs[h.next]
	h.next = (h.next + 1) % len(h.addrs)
	if laps := h.tried / len(h.addrs); laps > 0 && h.tried%len(h.addrs) == 0 {
		pause := min(pauseMin<<min(laps-1, 10), pauseMax)
		wait = pause/2 + time.Duration(h.dice.Int64N(int64(pause/2)))
	}
	h.tried++
	return addr, wait
}

// connected notes that the server tried last serves a session.
func (h *hosts) connected() { h.tried = 0 }
