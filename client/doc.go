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
// its own context. If an answer is lost, operations that change nothing are sent again. For a write, the
// client reconnects and looks: one that had no effect is sent again, one that is certain to have taken
// place has succeeded, and only what nobody can know is told to be unknown. Creates that are Protected,
// and writes that are Idempotent, always come out certain as long as a server can be reached.
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
// # Watches
//
// GetW, StatW and ChildrenW watch for one event; Follow and FollowChildren yield what there is now and
// whatever it becomes; Subscribe tells of every event at a node or below. All of them outlive connections.
// A watch that can no longer be relied on ends with an error, never in silence, and one that is no longer
// wanted is given back to the server.
//
// # Sessions
//
// Ephemeral nodes live as long as the session, which survives the loss of connections for its timeout.
// WithSession makes contexts that end before any server can give away what the session holds. Detach and
// WithTicket continue a session in another process. When a session is gone, another one is opened:
// SessionInfo.Incarnation counts them, and States tells.
//
// # Tests
//
// Package clienttest is a service in memory, which loses answers, cuts connections and ends sessions as a
// test tells it to.
//
// The package needs the standard library only, has no global state, and leaves no goroutine after
// Close.
package client
