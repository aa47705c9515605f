// Package interop holds Grove to its main promise: that programs written for ZooKeeper cannot tell the
// difference. Its tests start the real binary on loopback and let clients that others wrote use it: the
// shell zkCli.sh, the Java library, Curator, kazoo, the C shell cli_mt, the C library and go-zookeeper.
// It has no code of its own.
//
// What the foreign clients do is in testdata: programs, which talk to the test in lines (see program),
// and conversations with the shells (see console). Both tick off rows of one table, which the test
// prints: what each client did, and which operations it does not have. A client that is not installed
// is skipped with a sentence that says what to install.
//
// go-zookeeper needs nothing but Go and always runs. All others run when GROVE_INTEROP=1 is set:
//
//	apt-get install zookeeper zookeeper-bin python3-kazoo libcurator-recipes-java default-jdk-headless
//	GROVE_INTEROP=1 go test -v -count=1 ./interop/...
package interop
