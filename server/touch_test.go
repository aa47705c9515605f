package server

import (
	"testing"
	"time"
)

// A client pings after a third of its timeout. What is left must be enough to tell the leader, for the
// shortest timeout that is granted with any tick: the conductor may have looked just before the ping, and
// waits again if it told the leader a moment ago.
func TestTheLeaderHearsInTime(t *testing.T) {
	for _, tick := range []int{10, 11, 50, 100, 250, 2000, 60 * 60 * 1000} {
		for _, shortest := range []int{0, tick} {
			if shortest != 0 && shortest < 30 {
				continue // a client cannot ping as often as that
			}
			c := Config{TickMs: tick, SessionTimeoutMinMs: shortest}.Complete()
			timeout := time.Duration(c.SessionTimeoutMinMs) * time.Millisecond
			if late := timeout/3 + c.touchEvery() + c.beat(); late >= timeout {
				t.Errorf("tick %d ms: a session of %v is heard of every %v", tick, timeout, late)
			}
		}
	}
}
