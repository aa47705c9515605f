package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/image"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
)

// images are the states on their way between servers: those pinned here until a peer has them, and
// those that have arrived from a leader and wait for their turn to be installed.
type images struct {
	s *Server

	mu      sync.Mutex             // guards the fields below
	pinned  map[uint64]*state.View // by index. Bound: imagesMax; a view costs what has changed since
	arrived arrivals
	holds   holds
	taken   chan struct{} // is closed when one is installed; nil while nobody waits for that
}

// imagesMax is how many states may be pinned for peers at a time: more than that are never on their way
// at once, and a peer that misses its own is sent another.
const imagesMax = 8

// arrivals are images that have come, oldest first. Bound: arrivalsMax. More than one counts: while the
// first waits to be installed a new leader may send another, and Raft will have them installed in turn.
// So none may give way that Raft still wants: when there is no room the next must wait, and its sender
// with it. What Raft did not want goes with the next that it wants, or when nobody has wanted it for
// arrivalMax.
type arrivals []*state.Machine

const (
	arrivalsMax = 3
	arrivalMax  = time.Minute
)

func (a *arrivals) full() bool { return len(*a) >= arrivalsMax }

func (a *arrivals) put(m *state.Machine) {
	if a.full() {
		*a = slices.Delete(*a, 0, 1)
	}
	*a = append(*a, m)
}

// take returns the image at index, nil if there is none, and forgets it and those before it.
func (a *arrivals) take(index uint64) (m *state.Machine) {
	for _, one := range *a {
		if uint64(one.Zxid()) == index {
			m = one
		}
	}
	*a = slices.DeleteFunc(*a, func(one *state.Machine) bool { return uint64(one.Zxid()) <= index })
	return m
}

var errNoImage = errors.New("image is not here any more")

// Latest is part of replica.Images: the state as it is now.
func (g *images) Latest() (replica.Image, bool) {
	v, term, conf := g.s.feed.Latest()
	if len(conf) == 0 || v.Zxid == 0 {
		return replica.Image{}, false
	}
	index := uint64(v.Zxid)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pinned[index] = v
	for len(g.pinned) > imagesMax {
		oldest := index
		for i := range g.pinned {
			oldest = min(oldest, i)
		}
		delete(g.pinned, oldest)
	}
	return replica.Image{Index: index, Term: term, ConfState: conf}, true
}

// write sends the body of the image that m names.
func (g *images) write(m *pb.Message, w io.Writer) error {
	index := m.GetSnapshot().GetMetadata().GetIndex()
	g.mu.Lock()
	v := g.pinned[index]
	g.mu.Unlock()
	if v == nil {
		return fmt.Errorf("send image at %d: %w", index, errNoImage)
	}
	g.holds.begin(m.GetTo(), index)
	begun := time.Now()
	if err := image.Write(w, v); err != nil {
		return fmt.Errorf("send image at %d: %w", index, err)
	}
	g.s.log.Info("image sent", "peer", member.Node(m.GetTo()), "zxid", index,
		"nodes", v.Nodes.Len(), "took", time.Since(begun))
	return nil
}

// sent tells the replica whether the peer has it. What others are still being sent is held by who sends
// it; what is only pinned would keep old nodes in memory.
func (g *images) sent(node uint64, arrived bool) {
	g.mu.Lock()
	clear(g.pinned)
	g.mu.Unlock()
	if r := g.s.replica.Load(); r != nil {
		_ = r.ImageSent(node, arrived) // a replica that has stopped does not care
	}
}

// take reads an image and then lets Raft know of it.
func (g *images) take(ctx context.Context, m *pb.Message, body io.Reader) error {
	r := g.s.replica.Load()
	if r == nil {
		return errNoImage
	}
	begun := time.Now()
	machine, err := image.Read(body)
	if err != nil {
		return err
	}
	if n, err := io.Copy(io.Discard, body); n > 0 || err != nil { // only at its end is it known to be whole
		return fmt.Errorf("image with %d bytes behind it: %w", n, errors.Join(err, errNoImage))
	}
	index := m.GetSnapshot().GetMetadata().GetIndex()
	if uint64(machine.Zxid()) != index {
		return fmt.Errorf("image at %d is said to be at %d", machine.Zxid(), index)
	}
	if err := g.keep(ctx, machine); err != nil {
		return err
	}
	g.s.log.Info("image received", "peer", member.Node(m.GetFrom()), "zxid", index, "took", time.Since(begun))
	return r.Receive(m)
}

// keep notes an image that has arrived. If there is no room it waits until one has been installed.
func (g *images) keep(ctx context.Context, machine *state.Machine) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	late := time.NewTimer(arrivalMax)
	defer late.Stop()
	for waiting := true; waiting && g.arrived.full(); {
		if g.taken == nil {
			g.taken = make(chan struct{})
		}
		taken := g.taken
		g.mu.Unlock()
		select {
		case <-taken:
		case <-late.C:
			waiting = false
		case <-ctx.Done():
			g.mu.Lock()
			return ctx.Err()
		}
		g.mu.Lock()
	}
	g.arrived.put(machine)
	return nil
}

// wanted returns the image at index and makes room for the next.
func (g *images) wanted(index uint64) *state.Machine {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken != nil {
		close(g.taken)
		g.taken = nil
	}
	return g.arrived.take(index)
}

// Install is part of replica.Images. The state is on disk before anybody sees it.
func (g *images) Install(i replica.Image) error {
	machine := g.wanted(i.Index)
	if machine == nil {
		return fmt.Errorf("install image at %d: %w", i.Index, errNoImage)
	}
	if err := g.s.disk.install(machine, i); err != nil {
		return err
	}
	g.s.feed.Install(machine, i.Term, i.ConfState)
	g.s.log.Info("image installed", "zxid", i.Index)
	return nil
}

// installedAt is what the checkpoint's record says of a state that came as an image: the log may not
// reach it.
func installedAt(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// installed says whether the state of a checkpoint is the one that an image brought.
func installed(meta checkpoint.Meta) bool {
	return len(meta.Extra) == 8 && binary.BigEndian.Uint64(meta.Extra) == uint64(meta.State.Zxid)
}
