// Package replica keeps one log on several servers. It takes payloads in the order they are
// proposed, agrees with its peers on that order, makes it durable and hands what is agreed to an
// Applier, once and in order.
//
// The decisions are those of Raft, made by a Core: a value without goroutines, clock, chance or
// files, around go.etcd.io/raft's RawNode. A Replica is the shell that carries for it:
//
//	Propose ─► proposals ─┐                                ┌─► appends ─► log     ─► durable ─┐
//	Receive ─► received  ─┼─► raft: Core in, Output out ───┼─► applies ─► applier ─► applied ─┼─► raft
//	ReadIndex, … requests ┘                                └─► Transport                      ┘
//
// raft, log and applier are the three goroutines of Run; everything between them is a mailbox with
// a bound. docs/design/replica.md tells the whole path.
//
// The package moves bytes: it never looks into a payload, keeps no state of the application, and
// never serves a read. A panic inside of Raft says that an invariant is broken and is
// left alone: it ends the process.
package replica
