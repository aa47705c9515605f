// Package differential compares Grove with Apache ZooKeeper: the same random scripts of all operations,
// watches, permissions, sessions and bad input are replayed on both, and every answer and event must be
// the same. It has no code of its own.
//
// The scripts come from zkdiff, which lies beside the checkout (../shared/tools/zkdiff), and the reference
// is Debian's zookeeper, or the release whose jars are in ZK_CLASSPATH. What an old release is known to answer
// otherwise than a current one is excluded by a rule (see rules), never by the number of a script.
//
//	GROVE_INTEROP=1 go test -v -count=1 ./interop/differential
//
// The same is done with three servers beside three, the sessions of a script spread over them.
//
// GROVE_SCRIPTS says how many scripts must be identical, 500 by default and 300 with three servers, and
// GROVE_SEED which is the first.
package differential
