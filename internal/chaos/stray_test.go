//go:build linux

package chaos

import (
	"fmt"
	"strings"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// A stray is a session that was left behind with a few ephemerals, made at once.
type stray struct {
	who   credentials
	names []string
	acked bool
}

const (
	strayTimeout = 400 * time.Millisecond
	strayNodes   = 3
)

// leaveStrays opens a few sessions and leaves them without a word.
func (r *run) leaveStrays() error {
	for range 3 {
		c, err := r.dial(anywhere)
		if err == nil {
			err = r.leaveStray(c)
			c.close()
		}
		switch {
		case err == nil:
		case r.over.Load() || r.mortal.Load():
			return nil // the server may be dead, or about to be
		default:
			return fmt.Errorf("stray session: %w", err)
		}
	}
	return nil
}

func (r *run) leaveStray(c *conn) error {
	who, err := c.hello(credentials{}, strayTimeout, 0)
	if err != nil {
		return err
	}
	s := stray{who: who}
	var m wire.MultiRequest
	for i := range strayNodes {
		name := fmt.Sprintf("%016x-%d", uint64(who.id), i)
		s.names = append(s.names, name)
		m.Ops = append(m.Ops, wire.MultiOp{Op: wire.OpCreate, Path: passing + "/" + name, ACL: anyone, Flags: wire.FlagEphemeral})
	}
	h, err := c.call(wire.OpMulti, &m, &wire.MultiResponse{})
	s.acked = err == nil
	r.advance(h.Zxid)
	r.strays = append(r.strays, s) // by this goroutine only, and read when it has ended
	return err
}

// checkStrays sees that sessions left behind have all of their ephemerals or none.
func (r *run) checkStrays(now *tree) (wrong []string) {
	left := map[string]int{}
	for _, name := range now.nodes[passing].children {
		id, _, _ := strings.Cut(name, "-")
		left[id]++
	}
	kept := r.strays[:0]
	for _, s := range r.strays {
		n := left[fmt.Sprintf("%016x", uint64(s.who.id))]
		delete(left, fmt.Sprintf("%016x", uint64(s.who.id)))
		if n != 0 && n != strayNodes {
			wrong = append(wrong, fmt.Sprintf("session 0x%x has %d of %d ephemerals", s.who.id, n, strayNodes))
		}
		if n > 0 {
			kept = append(kept, s)
		}
	}
	r.strays = kept
	for id, n := range left {
		wrong = append(wrong, fmt.Sprintf("session 0x%s has %d ephemerals again, after it had none", id, n))
	}
	return wrong
}

// awaitStrays waits until the sessions left behind have expired and taken their nodes along, as the watch
// on their parent tells.
func (r *run) awaitStrays() {
	r.t.Helper()
	c, err := r.dial(anywhere)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.close()
	if _, err := c.hello(credentials{}, longTimeout, r.newest.Load()); err != nil {
		r.t.Fatal(err)
	}
	for {
		var list wire.GetChildrenResponse
		if _, err := c.call(wire.OpGetChildren, &wire.GetChildrenRequest{Path: passing, Watch: true}, &list); err != nil {
			r.t.Fatal(err)
		}
		if len(list.Children) == 0 {
			return
		}
		if _, err := c.frame(); err != nil { // an event; which, the next look says
			r.t.Fatalf("%d ephemerals of sessions left behind are still there: %v", len(list.Children), err)
		}
	}
}
