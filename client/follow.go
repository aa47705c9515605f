package client

import (
	"context"
	"errors"
	"iter"
)

// Follow yields a node as it is, and again whenever it was seen to have changed, until ctx ends or the
// loop is left. A node that does not exist is yielded with Stat.Czxid 0 and no data. Who is slow skips
// states between, never the latest: each is read when it is asked for. Connections and sessions may end
// meanwhile; an error is final, and comes last.
//
//	for node, err := range c.Follow(ctx, "/config") {
//		if err != nil {
//			return err
//		}
//		apply(node.Data)
//	}
func (c *Client) Follow(ctx context.Context, path string) iter.Seq2[Node, error] {
	return follow(ctx, path, func() (Node, *Watch, error) { return c.getOrWait(ctx, path) },
		func(a, b Node) bool { return a.Stat.Czxid == b.Stat.Czxid && a.Stat.Mzxid == b.Stat.Mzxid })
}

// FollowChildren is Follow for the list of children. That of a node that does not exist is yielded with
// Stat.Czxid 0 and no names.
func (c *Client) FollowChildren(ctx context.Context, path string) iter.Seq2[Children, error] {
	return follow(ctx, path, func() (Children, *Watch, error) { return c.listOrWait(ctx, path) },
		func(a, b Children) bool { return a.Stat.Czxid == b.Stat.Czxid && a.Stat.Pzxid == b.Stat.Pzxid })
}

// follow reads, yields what is new, and waits for the watch that came with it.
func follow[T any](
	ctx context.Context, path string, read func() (T, *Watch, error), same func(a, b T) bool,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last, none T
		for first := true; ; {
			now, watch, err := read()
			if err != nil {
				yield(none, err)
				return
			}
			if first || !same(now, last) {
				first, last = false, now
				if !yield(now, nil) {
					watch.Cancel()
					return
				}
			}
			if err := settled(ctx, watch); err != nil {
				yield(none, &OpError{Op: "follow", Path: path, Err: err}) // nothing was to be changed
				return
			}
		}
	}
}

// settled waits until it is time to read again. A session that is gone is such a time: there will be
// another.
func settled(ctx context.Context, w *Watch) error {
	_, err := w.Wait(ctx)
	if err == nil || errors.Is(err, ErrSessionExpired) {
		return nil
	}
	w.Cancel()
	return err
}

// getOrWait reads a node, or watches for it to be created.
func (c *Client) getOrWait(ctx context.Context, path string) (Node, *Watch, error) {
	for {
		n, w, err := c.GetW(ctx, path)
		if !isCode(err, ErrNoNode) {
			return n, w, err
		}
		_, w, err = c.StatW(ctx, path)
		if isCode(err, ErrNoNode) {
			return Node{Path: path}, w, nil
		}
		if err != nil {
			return Node{}, nil, err
		}
		w.Cancel() // it was created between the two looks
	}
}

// listOrWait lists the children of a node, or watches for it to be created.
func (c *Client) listOrWait(ctx context.Context, path string) (Children, *Watch, error) {
	for {
		l, w, err := c.ChildrenW(ctx, path)
		if !isCode(err, ErrNoNode) {
			return l, w, err
		}
		_, w, err = c.StatW(ctx, path)
		if isCode(err, ErrNoNode) {
			return Children{Path: path}, w, nil
		}
		if err != nil {
			return Children{}, nil, err
		}
		w.Cancel()
	}
}
