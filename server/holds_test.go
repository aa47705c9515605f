package server

import (
	"testing"

	"github.com/grovekeeper/grove/server/replica"
)

// A peer that was sent an image holds the log from there on, moves on with what it has, and lets go when it
// is near the end, gone, or hopeless.
func TestHolds(t *testing.T) {
	const retain, most = 10, 1000
	at := func(last, match uint64, active bool) replica.Status {
		return replica.Status{LastIndex: last, Progress: map[uint64]replica.Progress{7: {Match: match, Active: active}}}
	}
	for name, one := range map[string]struct {
		now    replica.Status
		want   uint64
		stays  bool
		noHold bool
	}{
		"nobody was sent one":      {now: at(500, 100, true), want: 400, noHold: true},
		"it is being installed":    {now: at(500, 20, true), want: 100, stays: true},
		"by who had nothing":       {now: at(500, 0, false), want: 100, stays: true},
		"it goes on after it":      {now: at(500, 250, true), want: 250, stays: true},
		"it has caught up":         {now: at(500, 490, true), want: 400},
		"it is silent":             {now: at(500, 100, false), want: 100, stays: true},
		"it is too slow":           {now: at(1101, 20, true), want: 400},
		"it is no member any more": {now: replica.Status{LastIndex: 500}, want: 400},
	} {
		var h holds
		if !one.noHold {
			h.begin(7, 100)
			h.begin(7, 300) // another, before the first was installed
		}
		if got := h.limit(400, one.now, retain, most); got != one.want || (len(h.from) > 0) != one.stays {
			t.Errorf("%s: let go up to %d, want %d; held after it: %v", name, got, one.want, h.from)
		}
	}
}

// A server comes back that was away for long, while others write all the time and keep the log for a moment
// only: it catches up all the same.
func TestWhoIsSentAnImageCatchesUpUnderLoad(t *testing.T) {
	f := newFaults(t, 3, nil, 100)
	defer f.halt()
	away := f.leader()%3 + 1
	f.kill(away)
	gone := f.servers[f.leader()].Zxid()
	f.eventually("the log to be let go", func() bool { return f.servers[f.leader()].Zxid() > gone+5000 })
	f.start(away)
	f.await(away)
	f.progress()
}
