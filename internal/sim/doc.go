// Package sim runs whole clusters in one goroutine under a seed. The servers are the production
// code: the raft loop, the log, the applied state, the feed, the judge of sessions; what is made up
// is around them: the network, the disks, the clocks and the clients. Everything random is drawn
// from the seed, so that a run that goes wrong goes wrong again.
//
// Everything is in the tests of this package: see TestSeeds for how to run it, and
// docs/design/testing.md for what it holds a cluster to.
package sim
