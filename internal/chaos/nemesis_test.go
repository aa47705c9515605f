//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	servers "github.com/grovekeeper/grove/interop/process"
)

// A nemesis does something to the servers, and returns what undoes it.
type nemesis struct {
	name   string
	needs  func(s *siege) string // what is missing, if it is; nil: nothing can be
	strike func(s *siege) (heal func() error, err error)
}

// nemeses are in the order of the first pass.
var nemeses = []nemesis{
	{"kill -9 the leader", nil, onLeader(kill)},
	{"stop the leader", nil, onLeader(pause)},
	{"cut off the leader", cables, onLeader(isolate)},
	{"full disk", disk, fillDisk},
	{"leader hears, is not heard", cables, onLeader(mute)},
	{"kill -9 all", nil, killAll},
	{"rolling SIGTERM", nil, roll},
	{"leader is heard, does not hear", cables, onLeader(deafen)},
	{"kill -9 a follower", nil, onFollower(kill)},
	{"cut off a follower", cables, onFollower(isolate)},
	{"halves that share one server", bridgeable, halves},
	{"kill -9 the leader twice", nil, killTwice},
	{"stop a follower", nil, onFollower(pause)},
	{"unplug the leader", cables, onLeader(unplug)},
	{"stop all", nil, stopAll},
	{"wipe a follower", nil, onFollower(wipe)},
	{"follower hears, is not heard", cables, onFollower(mute)},
	{"follower is heard, does not hear", cables, onFollower(deafen)},
	{"unplug one by one", cables, swizzle},
}

func cables(s *siege) string {
	if s.net == nil {
		return s.why.Error()
	}
	return ""
}

func bridgeable(s *siege) string {
	if len(s.cluster.Members) < 5 {
		return "takes five servers"
	}
	return cables(s)
}

func disk(s *siege) string {
	if s.small == nil {
		return "no right to mount a small disk"
	}
	return ""
}

type strike func(s *siege, m *servers.Member) (heal func() error, err error)

func onLeader(do strike) func(s *siege) (func() error, error) {
	return func(s *siege) (func() error, error) {
		m, err := s.cluster.Leader(settleMax)
		if err != nil {
			return nil, err
		}
		return do(s, m)
	}
}

func onFollower(do strike) func(s *siege) (func() error, error) {
	return func(s *siege) (func() error, error) {
		leader, err := s.cluster.Leader(settleMax)
		if err != nil {
			return nil, err
		}
		m := leader
		for m == leader {
			m = s.cluster.Members[s.rng.IntN(len(s.cluster.Members))]
		}
		return do(s, m)
	}
}

func kill(s *siege, m *servers.Member) (func() error, error) {
	s.say("kill %d", m.ID)
	return m.Start, m.Kill()
}

func pause(s *siege, m *servers.Member) (func() error, error) {
	s.say("stop %d", m.ID)
	return m.Resume, m.Pause()
}

func wipe(s *siege, m *servers.Member) (func() error, error) {
	s.say("wipe %d", m.ID)
	if err := m.Kill(); err != nil {
		return nil, err
	}
	found, err := filepath.Glob(filepath.Join(m.Dir, "*"))
	for _, name := range found {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return m.Start, err
}

// others calls f for every other server, with its place and that of m.
func (s *siege) others(m *servers.Member, f func(self, other int) error) error {
	var all []error
	for i := range s.cluster.Members {
		if i != m.ID-1 {
			all = append(all, f(m.ID-1, i))
		}
	}
	return errors.Join(all...)
}

func isolate(s *siege, m *servers.Member) (func() error, error) {
	s.say("cut off %d", m.ID)
	return s.net.mend, s.others(m, s.net.part)
}

func mute(s *siege, m *servers.Member) (func() error, error) {
	s.say("%d is not heard", m.ID)
	return s.net.mend, s.others(m, s.net.cut)
}

func deafen(s *siege, m *servers.Member) (func() error, error) {
	s.say("%d does not hear", m.ID)
	return s.net.mend, s.others(m, func(self, other int) error { return s.net.cut(other, self) })
}

func unplug(s *siege, m *servers.Member) (func() error, error) {
	s.say("unplug %d", m.ID)
	return s.net.mend, s.net.plug(m.ID-1, false)
}

// part cuts both ways.
func (w *network) part(a, b int) error { return errors.Join(w.cut(a, b), w.cut(b, a)) }

// halves parts two pairs from each other; both see the fifth.
func halves(s *siege) (func() error, error) {
	order := s.rng.Perm(5)
	s.say("part %d %d from %d %d", order[0]+1, order[1]+1, order[2]+1, order[3]+1)
	var all []error
	for _, a := range order[:2] {
		for _, b := range order[2:4] {
			all = append(all, s.net.part(a, b))
		}
	}
	return s.net.mend, errors.Join(all...)
}

func killAll(s *siege) (func() error, error) {
	s.say("kill all")
	return s.cluster.Start, s.cluster.Kill()
}

func killTwice(s *siege) (func() error, error) {
	for range 2 {
		m, err := s.cluster.Leader(settleMax)
		if err != nil {
			return nil, err
		}
		s.say("kill %d", m.ID)
		if err := m.Kill(); err != nil {
			return nil, err
		}
		if err := m.Start(); err != nil {
			return nil, err
		}
	}
	return func() error { return nil }, nil
}

func stopAll(s *siege) (func() error, error) {
	s.say("stop all")
	each := func(f func(m *servers.Member) error) error {
		var all []error
		for _, m := range s.cluster.Members {
			all = append(all, f(m))
		}
		return errors.Join(all...)
	}
	return func() error { return each(func(m *servers.Member) error { return m.Resume() }) },
		each(func(m *servers.Member) error { return m.Pause() })
}

// roll asks one server after the other to end, which each must do well, and starts it again.
func roll(s *siege) (func() error, error) {
	for _, m := range s.cluster.Members {
		s.say("SIGTERM %d", m.ID)
		if err := m.Stop(); err != nil {
			return nil, fmt.Errorf("member %d: %w", m.ID, err)
		}
		if err := m.Start(); err != nil {
			return nil, fmt.Errorf("member %d: %w", m.ID, err)
		}
	}
	return func() error { return nil }, nil
}

// swizzle unplugs the servers one by one, and plugs them in again in another order.
func swizzle(s *siege) (func() error, error) {
	for _, plug := range []bool{false, true} {
		for _, i := range s.rng.Perm(len(s.cluster.Members)) {
			s.say("plug %d: %v", i+1, plug)
			if err := s.net.plug(i, plug); err != nil {
				return nil, err
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	return s.net.mend, nil
}

// flood writes what cannot all fit into the log of the small disk, until its server has ended or for a while.
func (s *siege) flood() error {
	end := time.Now().Add(3 * time.Second)
	var err error
	for s.small.Running() && time.Now().Before(end) {
		err = s.visit(s.where(anywhere), func(c *conn) error {
			for range 100 {
				big := &wire.SetDataRequest{Path: finalNode, Data: make([]byte, 100<<10), Version: -1}
				if _, err := c.call(wire.OpSetData, big, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if wrong := (protocolError{}); errors.As(err, &wrong) {
		return err
	}
	return nil // who was on the server that has ended has lost the connection
}

// fillDisk leaves no room on the small disk. The server there may end, or serve on.
func fillDisk(s *siege) (func() error, error) {
	s.say("fill the disk of %d", s.small.ID)
	path := filepath.Join(filepath.Dir(s.small.Dir), "ballast")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	piece := make([]byte, 64<<10)
	for len(piece) > 0 {
		if _, err := f.Write(piece); err != nil {
			piece = piece[:len(piece)/2] // what is left for less
		}
	}
	if err := s.flood(); err != nil {
		return nil, err
	}
	return func() error {
		if err := os.Remove(path); err != nil || s.small.Running() {
			return err
		}
		s.say("it had ended")
		log, err := s.small.Log()
		if err != nil {
			return err
		}
		if !strings.Contains(log, "no space left") {
			return fmt.Errorf("member %d ended on a full disk without saying so", s.small.ID)
		}
		if err := s.small.Kill(); err != nil {
			return err
		}
		return s.small.Start()
	}, nil
}
