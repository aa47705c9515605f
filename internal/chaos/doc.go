// Package chaos treats the real binary badly and holds it to what it has acknowledged: it is killed at
// random moments under load, paused, asked to end, run out of disk, and given flushes that fail. Nothing
// is in it but tests, and nothing of the server's inside: they see what a client sees.
//
//	start ─► look at the whole tree ─► judge the round before by it ─► load ─► kill ─► start …
//
// Several sessions write at once, each pipelining a few requests: to nodes that all of them fight over,
// to nodes of their own, plain, sequential and ephemeral, one at a time and in multis. Every value
// written is written once, so what is found in the tree says which request it came from. A request whose
// answer a kill has swallowed may have been done or not, but not by half, and not later: when the server
// is up again, its fate is decided, and those of one session have been done in the order sent.
//
// Three and five servers are besieged in the same way, with several servers to go to (siege, nemesis): see
// docs/chaos.md.
//
//	GROVE_CHAOS_KILLS=100   how many kills, instead of 10
//	GROVE_CHAOS_SECONDS=60  how long to besiege several servers, instead of once
//	GROVE_CHAOS_NEMESIS=…   with what only, by a part of its name
//	GROVE_CHAOS_NODES=…     how many nodes a follower that was wiped has to be sent, instead of 20,000
//	GROVE_CHAOS_SEED=1      the choices of an earlier run; what the processes do with them is still theirs
//	GROVE_CHAOS_BUILD=-race how to build the server
//
// A run that fails prints the command that repeats it, keeps the data directory and says where.
package chaos
