package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// fault is a kind of trouble. A seed has about half of them.
type fault uint32

const (
	loss     fault = 1 << iota // messages are lost
	slowNet                    // messages take long
	double                     // messages arrive twice
	reorder                    // messages overtake each other
	oneWay                     // one direction of a link is cut
	isolate                    // a server is cut off
	crash                      // a process is killed; what it wrote stays in the page cache
	power                      // a machine loses power; what it did not flush is lost or torn
	slowDisk                   // writes take long
	badDisk                    // a flush fails
	pause                      // a process is stopped for a while
	wallJump                   // the time of day jumps
	drift                      // clocks run faster or slower
	transfer                   // leadership is handed over
	reshaped                   // the membership changes, and servers lose their disks
	compact                    // checkpoints are taken often, and the log let go at once
	torn                       // images break off on their way
	restless                   // connections of clients break
	faultsEnd
)

var faultNames = [...]string{"loss", "slow-net", "double", "reorder", "one-way", "isolate", "crash", "power",
	"slow-disk", "bad-disk", "pause", "wall-jump", "drift", "transfer", "members", "compact", "torn", "restless"}

func (f fault) String() string {
	var names []string
	for i, name := range faultNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// options are what a seed makes of a run.
type options struct {
	servers  int
	faults   fault
	length   int64 // of the stormy part
	clients  int
	window   int   // requests of a client that may be under way
	think    int64 // mean time between two requests of a client
	tick     int64 // of raft
	delay    int64 // mean of a message's way
	lossRate float64
	troubles int64 // mean time between two troubles

	sessionTick     int64 // of the judge, ms
	timeoutLow      int64 // ms, of sessions
	timeoutHigh     int64
	segment         int64
	checkpointEvery int
	checkpointOften int    // with compact
	retain          uint64 // entries kept in the log below a checkpoint
	recentMax       int
	smallLimits     bool // of the replica: small enough to be met
	paths           int  // how many tops there are in the tree that clients play in
	mixes           [opKinds]int
	inboxSmall      bool // of connections: small enough to overflow
	flawless        bool // no fault at all: the run must be smooth
	deepChecks      int  // one promise in so many is checked on a copy of the disk
	applyDelay      int64
	responderDelay  int64
	writeDelay      int64
}

func drawOptions(seed uint64) options {
	r := stream(seed, "options")
	o := options{
		servers: pick(r, 3, 3, 3, 3, 5, 5, 1),
		length:  between(r, 3*second, 9*second),
		clients: 2 + r.IntN(5), window: pick(r, 1, 2, 4, 8),
		think: pick(r, 10*milli, 20*milli, 40*milli), tick: pick(r, 30*milli, 50*milli, 100*milli),
		delay: pick(r, 100*micro, 500*micro, 2*milli), lossRate: pick(r, 0.01, 0.05, 0.2),
		troubles:    pick(r, 200*milli, 500*milli, 1500*milli),
		sessionTick: pick(r, int64(50), 100, 200), timeoutLow: 600, timeoutHigh: pick(r, int64(1000), 2000, 4000),
		segment: pick(r, int64(4<<10), 4<<10, 16<<10, 64<<10), checkpointEvery: 10_000,
		retain: pick(r, uint64(0), 10, 100), recentMax: pick(r, 10, 100, 1000), smallLimits: r.IntN(3) == 0,
		paths: pick(r, 1, 3, 6), deepChecks: 40,
		applyDelay: pick(r, 20*micro, 200*micro, 2*milli), responderDelay: pick(r, 20*micro, 500*micro, 5*milli),
		writeDelay: pick(r, 100*micro, 500*micro, 3*milli),
	}
	o.inboxSmall = r.IntN(12) == 0
	o.faults = fault(r.Uint32N(uint32(faultsEnd)))
	if o.flawless = r.IntN(20) == 0; o.flawless {
		o.faults, o.inboxSmall = 0, false
	}
	o.checkpointOften = pick(r, 5, 20, 60)
	for i := range o.mixes {
		if r.IntN(3) > 0 {
			o.mixes[i] = 1 + r.IntN(8)
		}
	}
	o.mixes[opSet] = max(o.mixes[opSet], 1)
	return o
}

func (o options) has(f fault) bool { return o.faults&f != 0 }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func (o options) String() string {
	return fmt.Sprintf("%d servers, %d clients with %d requests each, %d ms, raft tick %d ms, faults [%v] every %d ms,"+
		" sessions %d-%d ms by %d, segments of %d, a checkpoint every %d, %d kept, small limits %v, mix %v",
		o.servers, o.clients, o.window, o.length/milli, o.tick/milli, o.faults, o.troubles/milli,
		o.timeoutLow, o.timeoutHigh, o.sessionTick, o.segment, o.checkpoints(), o.retain, o.smallLimits, o.mixes)
}

// checkpoints returns after how many entries a checkpoint is due.
func (o options) checkpoints() int {
	if o.has(compact) {
		return o.checkpointOften
	}
	return o.checkpointEvery
}
