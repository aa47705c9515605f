package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grovekeeper/grove/internal/group"
	"github.com/grovekeeper/grove/internal/wire"
)

// crowd is many connections that watch the same node, and one that changes it.
type crowd struct {
	ctx     context.Context
	members []*client
	writer  *client
}

// doors is how many connections are opened at the same time.
const doors = 64

// gather opens the connections.
func gather(ctx context.Context, addr string, n int) (*crowd, error) {
	c := &crowd{ctx: ctx, members: make([]*client, n)}
	writer, err := dial(ctx, nth(addr, 0), patience)
	if err != nil {
		return nil, err
	}
	c.writer = writer
	g, _ := group.New(ctx)
	for door := range min(doors, n) {
		g.Go("door", func() error {
			for i := door; i < n; i += doors {
				m, err := dial(ctx, nth(addr, i), patience)
				if err != nil {
					return err
				}
				m.buf = make([]byte, 512) // one small event at a time
				c.members[i] = m
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// fire lets all members arm a watch on path, changes it once, and returns when each was told, sorted.
func (c *crowd) fire(path string, data []byte) ([]time.Duration, error) {
	if err := c.arm(path); err != nil {
		return nil, err
	}
	arrived := make([]time.Duration, len(c.members))
	g, _ := group.New(c.ctx)
	begin := time.Now()
	for i, m := range c.members {
		g.Go("member", func() error {
			frame, err := m.frame()
			arrived[i] = time.Since(begin)
			if err != nil {
				return err
			}
			h, _, err := m.header(frame)
			if err == nil && h.Xid != wire.XidNotification {
				err = fmt.Errorf("reply %d in the place of an event", h.Xid)
			}
			return err
		})
	}
	if err := c.writer.do(wire.OpSetData, &wire.SetDataRequest{Path: path, Data: data, Version: -1}, nil); err != nil {
		return nil, err // the members end when their connections close
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(arrived)
	return arrived, nil
}

// arm leaves a one-shot watch of every member. It also bounds what follows in time.
func (c *crowd) arm(path string) error {
	g, _ := group.New(c.ctx)
	for door := range min(doors, len(c.members)) {
		g.Go("door", func() error {
			for i := door; i < len(c.members); i += doors {
				m := c.members[i]
				if err := m.nc.SetDeadline(time.Now().Add(patience)); err != nil {
					return err
				}
				if err := m.do(wire.OpExists, &wire.ExistsRequest{Path: path, Watch: true}, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("arm watches: %w", err)
	}
	return c.writer.nc.SetDeadline(time.Now().Add(patience))
}

func (c *crowd) close() {
	for _, m := range append(c.members, c.writer) {
		if m != nil {
			m.nc.Close()
		}
	}
}
