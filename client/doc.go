// Package client is a session of a ZooKeeper service: it reads, writes and watches the nodes of
// Grove or of Apache ZooKeeper, on whatever of their servers can be reached.
//
//	c, err := client.Dial(ctx, "zk1,zk2,zk3/app")
//	if err != nil {
//		return err
//	}
//	defer c.Close(context.Background())
//
//	node, err := c.Get(ctx, "/config")
//	if errors.Is(err, client.ErrNoNode) {
//		node, err = c.Create(ctx, "/config", initial)
//	}
//
// # Failure
//
// Every error of an operation says what is known of it: OutcomeOf tells a definite failure, in which
// nothing was changed, from an operation that was never sent, and from one whose outcome is unknown,
// because it was sent and its answer was lost. Codes of the service match with errors.Is.
//
// Connections come and go without the caller's doing. While there is none, operations wait, each under
// its own context. Operations that change nothing are sent again if their answer was lost.
//
// A context bounds the wait for an operation, not the operation: one that was sent may still take
// effect after its context has ended. The error then matches that of the context, and, if it was a
// write, ErrOutcomeUnknown.
//
// # Order
//
// Operations of one goroutine take effect in the order it makes them, and each sees those before it.
// Of operations made at the same time by several goroutines, one comes first; all of them are on their
// way at once, and many of them travel in one packet.
//
// The package needs the standard library only, has no global state, and leaves no goroutine after
// Close.
package client
