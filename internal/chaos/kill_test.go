//go:build linux

package chaos

import (
	"syscall"
	"testing"
	"time"
)

// kill -9 at any moment, under load, in a start, in a checkpoint: nothing acknowledged is lost, nothing is
// there by half, no zxid and no number is given twice, and every session finds what it owned.
func TestKill(t *testing.T) {
	t.Parallel()
	r := newRun(t, "")
	r.start()
	starts := 0
	for n := kills(); n > 0; n-- {
		switch k := r.rng.IntN(10); {
		case k < 2: // soon after the start
			r.load(r.answers(1+r.rng.IntN(20)), r.kill)
		case k < 4:
			r.load(r.checkpoint(), r.kill)
		default:
			r.load(r.answers(1+r.rng.IntN(3000)), r.kill)
		}
		if r.rng.IntN(4) == 0 {
			if err := verify(r.dir); err != nil {
				t.Fatal(err)
			}
		}
		for ; n > 1 && r.rng.IntN(4) == 0; n-- {
			r.killStart(time.Duration(r.rng.IntN(30_000)) * time.Microsecond)
			starts++
		}
		r.start()
	}
	r.awaitStrays()
	r.stop()
	if err := verify(r.dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills, %d of them during a start: %d writes acknowledged; of those without an answer %d were done and %d not, or overwritten",
		kills(), starts, r.acknowledged, r.without, r.lost)
}

func (r *run) kill() {
	if err := r.server.kill(); err != nil {
		r.t.Error(err)
	}
}

// killStart starts a server and kills it after a while, ready or not.
func (r *run) killStart(after time.Duration) {
	p, err := launch(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	select {
	case <-time.After(after):
	case <-p.down:
		r.t.Fatalf("ended by itself: %v\n%s", p.outcome(), p.log)
	}
	if err := p.kill(); err != nil {
		r.t.Fatal(err)
	}
}

// stop asks the server to end, which it must do well.
func (r *run) stop() {
	r.t.Helper()
	if err := r.server.signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	if err := r.server.wait(); err != nil {
		r.t.Fatal(err)
	}
	if code := r.server.exitCode(); code != 0 {
		r.t.Fatalf("asked to end, and ended with %d:\n%s", code, r.server.log)
	}
}
