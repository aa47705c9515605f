package client

import (
	"context"

	"github.com/grovekeeper/grove/internal/wire"
)

// Async makes operations without waiting for their answers. Those of one goroutine are sent in the
// order it makes them, many in one packet, and are answered in that order: each sees those before it.
//
//	a := c.Async()
//	created := a.Create(ctx, "/tasks/t-", task, client.Sequential())
//	list := a.Children(ctx, "/tasks")         // shows the new node; one round trip for both
//	node, err := created.Wait(ctx)
//
// A method waits only while Config.MaxInFlight operations are under way, and not beyond the end of its
// context. The same context then bounds the operation: when it ends, the future does, with what is
// known. Data must not be changed before the future is done. What is wrong at once is told by the
// future, too.
type Async struct{ c *Client }

// Async returns the asynchronous form of c.
func (c *Client) Async() Async { return Async{c} }

// Create is Client.Create.
func (a Async) Create(ctx context.Context, path string, data []byte, opts ...CreateOption) *Future[Node] {
	q := a.c.newFutureCall(wire.OpCreate2, path)
	if err := q.createOf(data, opts); err != nil {
		return failed[Node](misuse("create", path, err))
	}
	return launch(ctx, a.c, "create", path, q, a.c.createdNode)
}

// Get is Client.Get.
func (a Async) Get(ctx context.Context, path string) *Future[Node] {
	return launch(ctx, a.c, "get", path, a.c.newFutureCall(wire.OpGetData, path), a.c.node)
}

// Stat is Client.Stat.
func (a Async) Stat(ctx context.Context, path string) *Future[Stat] {
	return launch(ctx, a.c, "stat", path, a.c.newFutureCall(wire.OpExists, path), a.c.stat)
}

// Children is Client.Children.
func (a Async) Children(ctx context.Context, path string) *Future[Children] {
	return launch(ctx, a.c, "children", path, a.c.newFutureCall(wire.OpGetChildren2, path), a.c.children)
}

// Set is Client.Set.
func (a Async) Set(ctx context.Context, path string, data []byte, version Version, opts ...WriteOption) *Future[Stat] {
	q := a.c.newFutureCall(wire.OpSetData, path)
	q.writeOf(opts)
	q.request.data, q.version = data, int32(version)
	return launch(ctx, a.c, "set", path, q, a.c.stat)
}

// Delete is Client.Delete.
func (a Async) Delete(ctx context.Context, path string, version Version, opts ...WriteOption) *Future[struct{}] {
	q := a.c.newFutureCall(wire.OpDelete, path)
	q.writeOf(opts)
	q.version = int32(version)
	return launch(ctx, a.c, "delete", path, q, a.c.nothing)
}

// Sync is Client.Sync.
func (a Async) Sync(ctx context.Context, path string) *Future[struct{}] {
	return launch(ctx, a.c, "sync", path, a.c.newFutureCall(wire.OpSync, path), a.c.nothing)
}

// Multi is Client.Multi.
func (a Async) Multi(ctx context.Context, ops ...Op) *Future[[]OpResult] {
	q := a.c.newFutureCall(wire.OpMulti, "/")
	if err := a.c.multiOf(q, ops); err != nil {
		return failed[[]OpResult](misuse("multi", "", err))
	}
	return launch(ctx, a.c, "multi", "", q, func(_ string, q *call) ([]OpResult, error) {
		return a.c.multiResults(q, ops)
	})
}

// Future is an operation that may still be under way. Its methods may be called by any number of
// goroutines.
type Future[T any] struct {
	done     chan struct{}
	c        *Client
	op, path string
	q        *call
	meaning  func(path string, q *call) (T, error)
	err      error // set before done is closed; what q comes to is of no interest then
}

// Done is closed when the operation has ended, or will not be waited for any longer.
func (f *Future[T]) Done() <-chan struct{} { return f.done }

// Wait waits for the operation and returns its result. If ctx ends before, it returns that; the
// operation goes on, under its own context, and can be waited for again.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	var none T
	if ctx == nil {
		return none, misuse(f.op, f.path, errNilContext)
	}
	select {
	case <-f.done:
		return f.Result()
	default:
	}
	select {
	case <-f.done:
		return f.Result()
	case <-ctx.Done():
		return none, &OpError{Op: f.op, Path: f.path, Outcome: Unknown, Err: context.Cause(ctx)}
	}
}

// Result returns the result of an operation that is done. It waits for Done.
func (f *Future[T]) Result() (T, error) {
	<-f.done
	var none T
	switch {
	case f.err != nil:
		return none, f.err
	case f.q.err != nil:
		return none, f.c.shell.opError(f.op, f.path, f.q, f.q.err, f.q.outcome)
	}
	return f.meaning(f.path, f.q)
}

// WaitAll waits for all of futures and returns their results in order. The error is that of the first
// that failed, in that order; the results of the others are there nevertheless.
func WaitAll[T any](ctx context.Context, futures ...*Future[T]) ([]T, error) {
	results := make([]T, len(futures))
	var first error
	for i, f := range futures {
		var err error
		if results[i], err = f.Wait(ctx); err != nil && first == nil {
			first = err
		}
	}
	return results, first
}

// newFutureCall is newCall for a call that is not used again.
func (c *Client) newFutureCall(op wire.Op, path string) *call {
	q := &call{done: make(chan struct{})}
	q.op, q.path = op, absolute(c.root, path)
	return q
}

// failed is a future that was none.
func failed[T any](err error) *Future[T] {
	f := &Future[T]{done: make(chan struct{}), err: err}
	close(f.done)
	return f
}

// launch sends q, whose answer means what meaning says.
func launch[T any](
	ctx context.Context, c *Client, op, path string, q *call, meaning func(string, *call) (T, error),
) *Future[T] {
	if err := c.check(ctx, path, q); err != nil {
		return failed[T](misuse(op, path, err))
	}
	f := &Future[T]{done: q.done, c: c, op: op, path: path, q: q, meaning: meaning}
	ctx, cancel := c.shell.bound(ctx)
	var hook func()
	if ctx.Done() != nil {
		hook = func() { f.abandon(ctx, cancel) }
	}
	if err := c.shell.admit(ctx, q, hook); err != nil {
		if cancel != nil {
			cancel()
		}
		return failed[T](c.shell.opError(op, path, q, err, NeverSent))
	}
	return f
}

// abandon ends the future because its context has.
func (f *Future[T]) abandon(ctx context.Context, cancel context.CancelFunc) {
	if err := f.c.shell.cancel(ctx, f.op, f.path, f.q); err != nil {
		f.err = err
		close(f.done)
	}
	if cancel != nil {
		cancel()
	}
}
